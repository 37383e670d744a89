"""Records → JSON: ASCII only, null for NaN and the infinities, long lists written piece by piece."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from gptrace.record.base import Record, Report
from gptrace.record.prompt_result import PromptResult


def to_dict(report: Report) -> dict[str, Any]:
    """Return a report as plain dicts and lists, its schema's name first; NaN and the infinities are None."""
    return _around_items(report) | {_items_name(report): list(item_dicts(report))}


def item_dicts(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the items of a report as plain dicts: a trace's calls, or one result for each prompt.

    They are the lines of `--format jsonl`.
    """
    return map(_item_dict, getattr(report, report.items))


def to_json(value: Any, *, indent: int | None = None) -> str:
    r"""Write plain values as JSON that is ASCII only; NaN and the infinities become null.

    >>> to_json({"loss": float("nan"), "text": "你"})
    '{"loss": null, "text": "\\u4f60"}'
    """
    return _dumps(_plain(value), indent)


def json_pieces(report: Report) -> Iterator[str]:
    """Yield the indented JSON of a report in pieces, one for each item, so that no second copy is held.

    Each piece begins or continues a line, and the pieces together are `to_json(to_dict(report), indent=2)`.
    """
    name = _items_name(report)
    # JSON text holds no line break inside a string, so the empty list is found in one place.
    head = _dumps(_around_items(report), 2).split(f'\n  "{name}": []', 1)[0]
    yield f'{head}\n  "{name}": ['
    last = None
    for item in item_dicts(report):
        yield "\n" if last is None else f"{last},\n"
        last = "    " + _dumps(item, 2).replace("\n", "\n    ")
    # Only now: a stream knows its sums when all of its items were read.
    tail = _dumps(_around_items(report), 2).split(f'\n  "{name}": []', 1)[1]
    yield ("]" if last is None else f"{last}\n  ]") + tail


def _dumps(plain: Any, indent: int | None) -> str:
    return json.dumps(plain, ensure_ascii=True, allow_nan=False, indent=indent)


def _items_name(report: Report) -> str:
    """Return the name of the long list in the JSON."""
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(type(report))}
    return fields[report.items]


def _around_items(report: Report) -> dict[str, Any]:
    """Return the object of a report with its list of items empty."""
    around: dict[str, Any] = _builtins(replace(report, **{report.items: ()}))
    return around


def _item_dict(item: Record) -> dict[str, Any]:
    """Return one item as a plain dict; keys that are passed through stand beside its fields, first."""
    fields: dict[str, Any] = _builtins(item)
    passed_through: dict[str, Any] = (
        fields.pop(item.pass_through, {}) if isinstance(item, PromptResult) else {}
    )
    return {**passed_through, **fields}


def _builtins(record: Record) -> Any:
    # Bytes are left as they are: msgspec would write them in base64.
    return _plain(msgspec.to_builtins(record, builtin_types=(bytes,), enc_hook=_encode))


def _encode(value: object) -> object:
    """Encode what msgspec does not know: HexBytes, Number, and subclasses such as torch's version."""
    if isinstance(value, bytes | float):
        return _plain(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    raise NotImplementedError(f"{type(value).__name__} in a record")


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: bytes in hexadecimal, None for NaN and the infinities."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
