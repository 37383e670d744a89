"""The facts that traces and answers share → JSON: tensors, operations, costs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gptrace.record import Cost, FlowStep, OpCall, TensorSpec


def step_object(step: FlowStep) -> dict[str, Any]:
    """Return one step of the main line."""
    return {"at": step.at, "shape": list(step.shape), "dims": list(step.dims)}


def op_object(op: OpCall) -> dict[str, Any]:
    """Return an operation."""
    return {
        "name": op.name,
        "place": op.place,
        "inputs": [spec_object(spec) for spec in op.inputs],
        "outputs": [spec_object(spec) for spec in op.outputs],
        "view": op.is_view,
        "in_place": op.in_place,
        "source": op.source,
        **cost_object(op.cost),
        **({"failed": True} if op.failed else {}),
    }


def spec_object(spec: TensorSpec) -> dict[str, Any]:
    """Return what a tensor looked like."""
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


def cost_object(cost: Cost | None) -> dict[str, Any]:
    """Return what a call costs, where that was counted."""
    if cost is None:
        return {}
    return {"macs": cost.macs} | ({"macs_unknown": list(cost.unknown)} if cost.unknown else {})


def known(**facts: Any) -> dict[str, Any]:
    """Leave out what was not measured."""
    return {name: value for name, value in facts.items() if value is not None}
