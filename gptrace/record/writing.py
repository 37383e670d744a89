"""Records → JSON: ASCII only, null for NaN and the infinities, long lists written piece by piece."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from gptrace.record.base import Base64Bytes, Record, Report
from gptrace.record.prompt_result import PromptResult


def to_dict(report: Report) -> dict[str, Any]:
    """Return a report as plain dicts and lists, its schema's name first; NaN and the infinities are None."""
    return _without(report, [report.items]) | {_items_name(report): list(item_dicts(report))}


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
    """Yield the indented JSON of a report in pieces, one for each record in a list, so that it is held once.

    Each piece begins or continues a line, and the pieces together are `to_json(to_dict(report), indent=2)`.
    """
    lists = _record_lists(report)
    rest = _dumps(_without(report, lists), 2)
    for field, name in lists.items():
        # JSON text holds no line break inside a string, so the empty list is found in one place.
        empty = f'\n  "{name}": []'
        head, rest = rest.split(empty, 1)
        yield f'{head}\n  "{name}": ['
        last = None
        for item in map(_item_dict, getattr(report, field)):
            yield "\n" if last is None else f"{last},\n"
            last = "    " + _dumps(item, 2).replace("\n", "\n    ")
        yield "]" if last is None else f"{last}\n  ]"
        if field == report.items and report.is_stream:  # only now does it know its sums
            rest = _dumps(_without(report, lists), 2).split(empty, 1)[1]
    yield rest


def deflated(record: Record, *, level: int = 9) -> bytes:
    """Return the JSON of a record without spaces, deflated with a header of zlib, and floats cut to 7 digits.

    It is for what people look at: float32 has as many digits.
    """
    plain = _cut(_builtins(record))
    text = json.dumps(plain, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return zlib.compress(text.encode(), level)


def _cut(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value


def _dumps(plain: Any, indent: int | None) -> str:
    return json.dumps(plain, ensure_ascii=True, allow_nan=False, indent=indent)


def _items_name(report: Report) -> str:
    """Return the name of the items in the JSON."""
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(type(report))}
    return fields[report.items]


def _record_lists(report: Report) -> dict[str, str]:
    """Return the fields that hold a list of records, in order, with their names in the JSON."""
    return {
        field.name: field.encode_name
        for field in msgspec.structs.fields(type(report))
        if field.name == report.items
        or (field.required and _is_record_list(getattr(report, field.name)))  # others may be left out
    }


def _is_record_list(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(item, Record) for item in value)


def _without(report: Report, lists: Iterable[str]) -> dict[str, Any]:
    """Return the object of a report with these lists empty."""
    around: dict[str, Any] = _builtins(replace(report, **dict.fromkeys(lists, ())))
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
    """Return a value that JSON can hold: bytes as text, None for NaN and the infinities."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Base64Bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
