"""Records → the JSON objects that programs read. Names may be added within a version, never changed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from gptrace.comparison import Difference
from gptrace.printable import Printable
from gptrace.record import (
    Candidate,
    Cost,
    Failure,
    ModelInfo,
    ModuleCall,
    OpCall,
    Presets,
    Prompt,
    TensorSpec,
    Token,
    Tokens,
    TopK,
    TopKResult,
    Trace,
)


def to_dict(record: Printable) -> dict[str, Any]:
    """Return a record as plain dicts and lists of its own, with its schema's name first.

    NaN and Infinity, which JSON does not know, are None.
    """
    described: dict[str, Any] = _finite(_described(record))
    return described


def _described(record: Printable) -> dict[str, Any]:
    if isinstance(record, Trace):
        return _trace(record)
    if isinstance(record, TopK):
        return _topk(record)
    if isinstance(record, Tokens):
        return _tokens(record)
    if isinstance(record, Presets):
        return _presets(record)
    if isinstance(record, Difference):
        return _difference(record)
    raise TypeError(f"no JSON for a {type(record).__name__}")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Write JSON that is ASCII only; NaN and Infinity, which JSON does not know, become null.

    >>> to_json({"loss": float("nan"), "text": "你"})
    '{"loss": null, "text": "\\\\u4f60"}'
    """
    return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, indent=indent)


def json_pieces(record: Printable) -> Iterator[str]:
    """Yield the JSON of a record in pieces; a trace's calls one by one, so that no second copy is held.

    Together they are `to_json(to_dict(record), indent=2)`.
    """
    if not isinstance(record, Trace) or not record.calls:
        yield to_json(to_dict(record), indent=2)
        return
    around = to_json(_finite(_trace(replace(record, calls=()))), indent=2)
    # No text in JSON holds a line break, so this is the one place.
    head, tail = around.split('\n  "calls": []', 1)
    yield head + '\n  "calls": ['
    for number, call in enumerate(record.calls):
        described = to_json(_call(call), indent=2).replace("\n", "\n    ")
        yield ("," if number else "") + "\n    " + described
    yield "\n  ]" + tail


def json_lines(record: Printable) -> Iterable[dict[str, Any]]:
    """Return the objects of `--format jsonl`: a trace's calls, or one result for each prompt or model."""
    if isinstance(record, Trace):
        return (_finite(_call(call)) for call in record.calls)
    whole = to_dict(record)
    lines: Iterable[dict[str, Any]] = whole[
        {Presets: "models", Difference: "changed"}.get(type(record), "results")
    ]
    return lines


def _trace(trace: Trace) -> dict[str, Any]:
    return {
        "schema": "gptrace.trace/1",
        "versions": trace.versions,
        "model": _model(trace.model),
        "dims": trace.dims,
        "inputs": [_prompt(prompt) | _fitting(prompt) for prompt in trace.inputs],
        "flow": [{"at": step.at, "shape": list(step.shape), "dims": list(step.dims)} for step in trace.flow],
        "calls": [_call(call) for call in trace.calls],
        "uncalled": list(trace.uncalled),
        "temperature": trace.temperature,
        "predictions": [
            {
                "input": prediction.input,
                "position": prediction.position,
                "candidates": [_candidate(one) for one in prediction.candidates],
            }
            for prediction in trace.predictions
        ],
        "totals": {
            "calls": trace.totals.calls,
            "modules": trace.totals.modules,
            "seconds": trace.totals.seconds,
            **_cost(trace.totals.cost),
            **_known(peak_bytes=trace.totals.peak_bytes, ops=trace.totals.ops),
        },
        "notes": list(trace.notes),
        "error": _failure(trace.error) if trace.error else None,
    }


def _topk(topk: TopK) -> dict[str, Any]:
    return {
        "schema": "gptrace.topk/1",
        "versions": topk.versions,
        "model": _model(topk.model),
        "k": topk.k,
        "temperature": topk.temperature,
        "results": [_topk_result(result) for result in topk.results],
        "notes": list(topk.notes),
    }


def _topk_result(result: TopKResult) -> dict[str, Any]:
    return {
        "index": result.index,
        "text": result.prompt.text,
        "ids": list(result.prompt.ids),
        **_fitting(result.prompt),
        "candidates": [_candidate(one) for one in result.candidates],
    }


def _tokens(tokens: Tokens) -> dict[str, Any]:
    return {
        "schema": "gptrace.tokens/1",
        "versions": tokens.versions,
        "encoding": tokens.encoding,
        "vocab_size": tokens.vocab_size,
        "results": [{"index": index} | _prompt(prompt) for index, prompt in enumerate(tokens.results)],
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


def _presets(presets: Presets) -> dict[str, Any]:
    return {
        "schema": "gptrace.models/1",
        "versions": presets.versions,
        "models": [
            {
                "name": model.name,
                "aliases": list(model.aliases),
                "config": model.config,
                "parameters": {"total": model.parameters, "without_out_head": model.without_out_head},
                "bytes": model.bytes,
                **({} if model.pretrained is None else {"pretrained": {"at_hand": model.pretrained}}),
            }
            for model in presets.models
        ],
    }


def _model(model: ModelInfo) -> dict[str, Any]:
    count = model.parameters
    parameters: dict[str, Any] = {
        "total": count.total,
        "unique": count.unique,
        "trainable": count.trainable,
        "bytes": count.bytes,
        "tied": [list(names) for names in count.tied],
    }
    if count.without_out_head is not None:
        parameters["without_out_head"] = count.without_out_head
    described: dict[str, Any] = {"name": model.name, "class": model.class_name}
    if model.config is not None:
        described["config"] = model.config
    if model.weights is not None:
        described["weights"] = model.weights
    return described | {
        "parameters": parameters,
        "buffers": {"bytes": model.buffer_bytes},
        "dtype": model.dtype,
        "device": model.device,
    }


def _prompt(prompt: Prompt) -> dict[str, Any]:
    return {
        "text": prompt.text,
        "ids": list(prompt.ids),
        "tokens": [_token(token) for token in prompt.tokens],
    }


def _fitting(prompt: Prompt) -> dict[str, Any]:
    return {"padding": prompt.padding, "truncated": prompt.truncated}


def _token(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "text": token.text,
        "bytes": None if token.bytes is None else token.bytes.hex(),
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "rank": candidate.rank,
        **_token(candidate.token),
        "logit": candidate.logit,
        "probability": candidate.probability,
        "log_probability": candidate.log_probability,
    }


def _call(call: ModuleCall) -> dict[str, Any]:
    described: dict[str, Any] = {
        "index": call.index,
        "parent": call.parent,
        "depth": call.depth,
        "path": call.path,
        "type": call.type,
        "call": call.call,
        "calls": call.calls,
        "inputs": [_spec(spec) for spec in call.inputs],
        "outputs": [_spec(spec) for spec in call.outputs],
        "parameters": {
            "own": call.parameters.own,
            "total": call.parameters.total,
            "trainable": call.parameters.trainable,
            "bytes": call.parameters.bytes,
        },
        "seconds": call.seconds,
        **_cost(call.cost),
        **_known(peak_bytes=call.peak_bytes),
    }
    if call.ops:
        described["ops"] = [_op(op) for op in call.ops]
    if call.failed:
        described["failed"] = True
    return described


def _op(op: OpCall) -> dict[str, Any]:
    return {
        "name": op.name,
        "place": op.place,
        "inputs": [_spec(spec) for spec in op.inputs],
        "outputs": [_spec(spec) for spec in op.outputs],
        "view": op.is_view,
        "in_place": op.in_place,
        "source": op.source,
        **_cost(op.cost),
        **({"failed": True} if op.failed else {}),
    }


def _cost(cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return {}
    return {"macs": cost.macs} | ({"macs_unknown": list(cost.unknown)} if cost.unknown else {})


def _known(**facts: Any) -> dict[str, Any]:
    """Leave out what was not measured."""
    return {name: value for name, value in facts.items() if value is not None}


def _spec(spec: TensorSpec) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": spec.name,
        "shape": list(spec.shape),
        "dims": list(spec.dims),
        "dtype": spec.dtype,
        "device": spec.device,
    }
    if spec.local_shape is not None:
        described["local_shape"] = list(spec.local_shape)
    if spec.statistics is not None:
        described["statistics"] = asdict(spec.statistics)
    return described


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "path": failure.path,
        "type": failure.type,
        "message": failure.message,
        "source": failure.source,
        "cause": failure.cause,
        "diagnosis": failure.diagnosis,
        "inputs": [_spec(spec) for spec in failure.inputs],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
