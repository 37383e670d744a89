"""A trace → JSON."""

from __future__ import annotations

from typing import Any

from gptrace.record import Failure, ModuleCall, Trace
from gptrace.report.json_answers import candidate_object, fitting_object, prompt_object
from gptrace.report.json_facts import cost_object, known, op_object, spec_object, step_object
from gptrace.report.json_model import model_object


def trace_object(trace: Trace) -> dict[str, Any]:
    """Return what `gptrace run --json` prints."""
    return {
        "schema": "gptrace.trace/1",
        "versions": trace.versions,
        "model": model_object(trace.model),
        "dims": trace.dims,
        "inputs": [prompt_object(prompt) | fitting_object(prompt) for prompt in trace.inputs],
        "flow": [step_object(step) for step in trace.flow],
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
            **cost_object(trace.totals.cost),
            **known(peak_bytes=trace.totals.peak_bytes, ops=trace.totals.ops),
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
        "inputs": [spec_object(spec) for spec in call.inputs],
        "outputs": [spec_object(spec) for spec in call.outputs],
        "parameters": {
            "own": call.parameters.own,
            "total": call.parameters.total,
            "trainable": call.parameters.trainable,
            "bytes": call.parameters.bytes,
        },
        "seconds": call.seconds,
        **cost_object(call.cost),
        **known(peak_bytes=call.peak_bytes),
    }
    if call.ops:
        described["ops"] = [op_object(op) for op in call.ops]
    if call.failed:
        described["failed"] = True
    return described


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "path": failure.path,
        "type": failure.type,
        "message": failure.message,
        "source": failure.source,
        "cause": failure.cause,
        "diagnosis": failure.diagnosis,
        "inputs": [spec_object(spec) for spec in failure.inputs],
    }
