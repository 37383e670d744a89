"""A record of a GPT that is spread over a mesh, by closed forms, from the trace of the same GPT as it is.

Tensor parallelism ("tp") splits the columns of W_query, W_key, W_value, ff.layers.0 and out_head, and the
rows of out_proj, ff.layers.2 and tok_emb, whose results are summed by an all-reduce. What is fully sharded
("fsdp") is gathered before each block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec.structs import replace

from gptrace.record import Here, Mesh, ModuleCall, RankFacts, TensorSpec, Trace, Traffic
from gptrace.record.mesh import counted

_COLUMNS = ("W_query", "W_key", "W_value", "ff.layers.0", "out_head")
_ROWS = ("out_proj", "ff.layers.2", "tok_emb")
_FLOAT32 = 4  # bytes


def shard_size(size: int, parts: int, number: int) -> int:
    """The size of part `number` of an axis, as torch.chunk cuts it: the last parts may be smaller."""
    chunk = math.ceil(size / parts)
    return max(0, min(chunk, size - number * chunk))


def coordinate_of(rank: int, dims: Mapping[str, int]) -> dict[str, int]:
    """The place of a rank in a mesh, whose last dimension changes first."""
    coordinate: dict[str, int] = {}
    for name, size in reversed(list(dims.items())):
        rank, coordinate[name] = divmod(rank, size)
    return {name: coordinate[name] for name in dims}


def spread(trace: Trace, dims: Mapping[str, int], rank: int = 0, *, simulated: bool = True) -> Trace:
    """The record of one rank; a measured one has the totals of all ranks."""
    records = [_of_rank(trace, dims, number) for number in range(math.prod(dims.values()))]
    facts = [RankFacts(n, coordinate_of(n, dims), _here(record)) for n, record in enumerate(records)]
    mesh = Mesh(
        dict(dims),
        rank,
        coordinate_of(rank, dims),
        simulated=simulated,
        backend="fake" if simulated else "gloo",
        plan="built in",
        ranks=() if simulated else tuple(facts),
    )
    return replace(records[rank], mesh=mesh)


def _here(trace: Trace) -> Here:
    assert trace.totals.here is not None
    return trace.totals.here


def _of_rank(trace: Trace, dims: Mapping[str, int], rank: int) -> Trace:
    coordinate = coordinate_of(rank, dims)
    calls = list(trace.calls)
    for call in reversed(trace.calls):  # children first
        below = [calls[other.index].here for other in trace.calls if other.parent == call.index]
        calls[call.index] = _of_call(call, [here for here in below if here], dims, coordinate)
    root = calls[0].here
    assert root is not None
    return replace(trace, calls=tuple(calls), totals=replace(trace.totals, here=root))


def _of_call(
    call: ModuleCall, below: list[Here], dims: Mapping[str, int], coordinate: Mapping[str, int]
) -> ModuleCall:
    tp, place = dims.get("tp", 1), coordinate.get("tp", 0)
    is_column, is_row = call.path.endswith(_COLUMNS), call.path.endswith(_ROWS)
    inputs, outputs = call.inputs, call.outputs
    if is_column and tp > 1:
        outputs = tuple(_split(spec, tp, place) for spec in outputs)
    if is_row and tp > 1 and "emb" not in call.path:
        inputs = tuple(_split(spec, tp, place) for spec in inputs)
    size = outputs[0].local_shape or outputs[0].shape
    traffic = [message for here in below for message in here.traffic]
    if is_row and tp > 1:
        traffic.append(Traffic("all_reduce", "tp", tp, "float32", _FLOAT32 * math.prod(size), 1))
    parameters = sum(here.parameters or 0 for here in below)
    macs = None if call.macs is None else sum(here.macs or 0 for here in below)
    if not below:
        parameters, macs = call.parameters.total, call.macs
        if is_column or is_row:
            parameters, macs = _share(call, is_column, tp, place)
        parameters = shard_size(parameters, dims.get("fsdp", 1), coordinate.get("fsdp", 0))
    elif call.path.rpartition(".")[2].isdigit() and dims.get("fsdp", 1) > 1:
        gathered = _FLOAT32 * parameters * dims["fsdp"]
        traffic.insert(0, Traffic("all_gather", "fsdp", dims["fsdp"], "float32", gathered, 1))
    here = Here(
        macs=macs,
        parameters=parameters,
        parameter_bytes=_FLOAT32 * parameters,
        buffer_bytes=0,
        peak_bytes=None if call.peak_bytes is None else call.peak_bytes // tp,
        traffic=counted(traffic),
    )
    return replace(call, inputs=inputs, outputs=outputs, here=here)


def _share(call: ModuleCall, is_column: bool, tp: int, place: int) -> tuple[int, int | None]:
    """The parameters and the MACs of a rank: of the matrix its rows or columns, and a bias beside columns."""
    width = call.outputs[0].shape[-1]
    height = call.parameters.total // width if call.type == "Embedding" else call.inputs[0].shape[-1]
    bias = call.parameters.total - width * height
    size = width if is_column else height
    part = shard_size(size, tp, place)
    parameters = width * height * part // size + (bias * part // size if is_column else bias)
    return parameters, None if call.macs is None else call.macs * part // size


def _split(spec: TensorSpec, parts: int, number: int) -> TensorSpec:
    """A tensor whose last axis is split."""
    *others, last = spec.shape
    return replace(
        spec,
        local_shape=(*others, shard_size(last, parts, number)),
        split_by=(*[()] * len(others), ("tp",)),
        placements={"tp": f"Shard({len(others)})"},
    )
