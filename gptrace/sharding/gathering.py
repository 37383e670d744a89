"""The records of all ranks → one: the totals of each, and where a rank differs from the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from msgspec.structs import replace

from gptrace.record import ModuleCall, OpCall, Prediction, TensorSpec, Trace
from gptrace.record.mesh import Here, Mesh, RankDifference, RankFacts
from gptrace.sharding.measured_group import everywhere, from_first_rank
from gptrace.sharding.spread_model import SpreadModel

# The facts that all ranks should share, by the kind of the fact, and then by the call.
_Facts = Mapping[str, Mapping[str, str]]
_NONE = "none"
_ONLY_THIS_RANK = (
    "torch does not know how the plan spread this model, which has no DTensor and is under no FSDP2 or DDP: "
    "shapes, parameters and costs are those of this rank alone, and messages are not counted"
)


def with_mesh(trace: Trace, model: SpreadModel) -> Trace:
    """Return the trace of a spread model with the mesh, and with the plan that spread it."""
    request = model.request
    mesh = Mesh(
        dims=dict(request.shape.dims),
        rank=request.rank,
        coordinate=request.shape.coordinate(request.rank),
        simulated=request.is_simulated,
        backend=model.backend,
        plan=model.plan,
    )
    if trace.mesh is None:  # the tracer has seen no part of a spread model
        if request.plan is None:
            trace = _held_whole(trace)
        else:
            trace = replace(trace, notes=(_ONLY_THIS_RANK, *trace.notes))
    return replace(trace, mesh=mesh)


def _held_whole(trace: Trace) -> Trace:
    """Return the trace of a model that every rank holds whole, as along dp alone: this rank's part is all."""
    parameters = trace.model.parameters
    here = Here(
        macs=trace.totals.macs,
        macs_unknown=trace.totals.macs_unknown,
        parameters=parameters.unique,
        parameter_bytes=parameters.bytes,
        buffer_bytes=trace.model.buffers.bytes,
        peak_bytes=trace.totals.peak_bytes,
    )
    calls = tuple(map(_call_held_whole, trace.calls))
    return replace(trace, calls=calls, totals=replace(trace.totals, here=here))


def _call_held_whole(call: ModuleCall) -> ModuleCall:
    here = Here(
        macs=call.macs,
        macs_unknown=call.macs_unknown,
        parameters=call.parameters.total,
        parameter_bytes=call.parameters.bytes,
        peak_bytes=call.peak_bytes,
    )
    return replace(
        call,
        inputs=_unsplit(call.inputs),
        outputs=_unsplit(call.outputs),
        ops=tuple(map(_op_held_whole, call.ops)),
        here=here,
    )


def _op_held_whole(op: OpCall) -> OpCall:
    here = None if op.macs is None else Here(macs=op.macs, macs_unknown=op.macs_unknown)
    return replace(op, inputs=_unsplit(op.inputs), outputs=_unsplit(op.outputs), here=here)


def _unsplit(specs: Iterable[TensorSpec]) -> tuple[TensorSpec, ...]:
    return tuple([
        replace(spec, local_shape=spec.shape, split_by=((),) * len(spec.shape)) for spec in specs
    ])  # fmt: skip


def gathered(trace: Trace) -> Trace:
    """Return the measured trace of this rank with the totals of every rank; every rank has to call this.

    A rank whose record differs from that of rank 0, other than in the sizes of its shards, has an entry that
    says where.
    """
    mesh = trace.mesh
    assert mesh is not None
    own = RankFacts(mesh.rank, mesh.coordinate, trace.totals.here or Here())
    # The first rank sends its facts to all, and each returns only the differences, which are few.
    facts = _facts(trace)
    differing = tuple(_differences(mesh.rank, facts, from_first_rank(facts)))
    every: Iterable[tuple[RankFacts, tuple[RankDifference, ...]]] = everywhere((own, differing))
    ranks, differences = zip(*every, strict=True)
    return replace(trace, mesh=replace(mesh, ranks=ranks, differing=tuple(chain(*differences))))


def _facts(trace: Trace) -> _Facts:
    # Innermost calls first: a difference in a call is also one in all calls around it.
    calls = sorted(trace.calls, key=lambda call: -call.depth)
    return {
        "versions": {"": ", ".join(f"{name} {version}" for name, version in trace.versions.items())},
        "calls": {_name(call): call.type for call in trace.calls},
        "outputs": {_name(call): _outputs(call) for call in calls},
        "macs": {_name(call): str(call.macs) for call in calls},
        "traffic": {_name(call): _traffic(call) for call in calls},
        "predictions": {"": ", ".join(map(_next_token, trace.predictions))},
    }


def _differences(rank: int, here: _Facts, there: _Facts) -> Iterator[RankDifference]:
    """Yield the first difference of each kind."""
    for what in here:
        mine, first = here[what], there[what]
        for name in [*mine, *(name for name in first if name not in mine)]:
            values = mine.get(name, _NONE), first.get(name, _NONE)
            if values[0] != values[1]:
                yield RankDifference(rank, what, *values, path=name)
                break


def _name(call: ModuleCall) -> str:
    return call.path if call.call == 1 else f"{call.path} ({call.call})"


def _outputs(call: ModuleCall) -> str:
    return ", ".join(f"{list(spec.shape)} {spec.dtype}" for spec in call.outputs)


def _traffic(call: ModuleCall) -> str:
    messages = () if call.here is None else call.here.traffic
    each_told = (f"{each.kind} {each.bytes} × {each.count}, {each.mesh_dim}" for each in messages)
    return ", ".join(each_told) or _NONE


def _next_token(prediction: Prediction) -> str:
    return str(prediction.candidates[0].token.id) if prediction.candidates else _NONE
