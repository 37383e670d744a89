"""Records → the JSON objects that programs read. Names may be added within a version, never changed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from gptrace.comparison import Difference
from gptrace.printable import Printable
from gptrace.record import Explanation, Generation, Lens, Loss, Presets, Tokens, TopK, TopKStream, Trace
from gptrace.report.json_answers import (
    explanation_object,
    generation_object,
    lens_object,
    loss_object,
    prompt_object,
    topk_object,
    topk_result,
)
from gptrace.report.json_model import presets_object
from gptrace.report.json_trace import call_object, trace_object


def to_dict(record: Printable) -> dict[str, Any]:
    """Return a record as plain dicts and lists of its own, with its schema's name first.

    NaN and Infinity, which JSON does not know, are None.
    """
    if isinstance(record, TopKStream):
        record = record.whole()
    described: dict[str, Any] = _finite(_OBJECTS[type(record)](record))
    return described


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Write JSON that is ASCII only; NaN and Infinity, which JSON does not know, become null.

    >>> to_json({"loss": float("nan"), "text": "你"})
    '{"loss": null, "text": "\\\\u4f60"}'
    """
    return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, indent=indent)


def json_pieces(record: Printable) -> Iterator[str]:
    """Yield the JSON of a record in pieces; what may be long, one by one, so that no second copy is held.

    Together they are `to_json(to_dict(record), indent=2)`.
    """
    if isinstance(record, TopKStream):
        yield from _with_list(topk_object(record.head()), "results", map(topk_result, record.results))
    elif isinstance(record, Trace):
        around = trace_object(replace(record, calls=()))
        yield from _with_list(around, "calls", map(call_object, record.calls))
    else:
        yield to_json(to_dict(record), indent=2)


def json_lines(record: Printable) -> Iterable[dict[str, Any]]:
    """Return the objects of `--format jsonl`: a trace's calls, or one result for each prompt or model."""
    if isinstance(record, TopKStream):
        return map(topk_result, record.results)
    if isinstance(record, Trace):
        return map(call_object, record.calls)
    whole = to_dict(record)
    lines: Iterable[dict[str, Any]] = whole[
        {Presets: "models", Difference: "changed", Explanation: "topics"}.get(type(record), "results")
    ]
    return lines


def _with_list(around: dict[str, Any], name: str, items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield an object whose list `name` is empty as JSON, with the items in it."""
    # No text in JSON holds a line break, so this is the one place.
    head, tail = to_json(around, indent=2).split(f'\n  "{name}": []', 1)
    yield f'{head}\n  "{name}": ['
    # Each piece ends a line, so that what was written is whole lines wherever it ends.
    last = None
    for item in items:
        yield "\n" if last is None else f"{last},\n"
        last = "    " + to_json(item, indent=2).replace("\n", "\n    ")
    yield ("]" if last is None else f"{last}\n  ]") + tail


def _tokens(tokens: Tokens) -> dict[str, Any]:
    return {
        "schema": "gptrace.tokens/1",
        "versions": tokens.versions,
        "encoding": tokens.encoding,
        "vocab_size": tokens.vocab_size,
        "results": [{"index": index} | prompt_object(prompt) for index, prompt in enumerate(tokens.results)],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "schema": "gptrace.diff/1",
        "versions": difference.versions,
        "same": difference.is_same,
        "settings": [asdict(change) for change in difference.settings],
        "a": asdict(difference.a),
        "b": asdict(difference.b),
        "removed": [asdict(call) for call in difference.removed],
        "added": [asdict(call) for call in difference.added],
        "changed": [asdict(call) for call in difference.changed],
        "values": {
            "same_prompts": difference.same_prompts,
            "compared": difference.compared,
            "rtol": difference.rtol,
            "atol": difference.atol,
            "first_apart": asdict(difference.first_apart) if difference.first_apart else None,
        },
    }


_OBJECTS: dict[type[Printable], Callable[[Any], dict[str, Any]]] = {
    Trace: trace_object,
    TopK: topk_object,
    Loss: loss_object,
    Generation: generation_object,
    Lens: lens_object,
    Explanation: explanation_object,
    Tokens: _tokens,
    Presets: presets_object,
    Difference: _difference,
}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
