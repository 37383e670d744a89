"""A trace → JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gptrace.record import Cost, Failure, ModuleCall, OpCall, TensorSpec, Trace
from gptrace.report.json_answers import candidate_object, fitting_object, prompt_object
from gptrace.report.json_model import model_object


def trace_object(trace: Trace) -> dict[str, Any]:
    """Return what `gptrace run --json` prints."""
    return {
        "schema": "gptrace.trace/1",
        "versions": trace.versions,
        "model": model_object(trace.model),
        "dims": trace.dims,
        "inputs": [prompt_object(prompt) | fitting_object(prompt) for prompt in trace.inputs],
        "flow": [{"at": step.at, "shape": list(step.shape), "dims": list(step.dims)} for step in trace.flow],
        "calls": [call_object(call) for call in trace.calls],
        "uncalled": list(trace.uncalled),
        "temperature": trace.temperature,
        "predictions": [
            {
                "input": prediction.input,
                "position": prediction.position,
                "candidates": [candidate_object(one) for one in prediction.candidates],
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


def call_object(call: ModuleCall) -> dict[str, Any]:
    """Return one call of a trace."""
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
