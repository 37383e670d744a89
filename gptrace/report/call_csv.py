"""The calls of a trace as one table for programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from gptrace.record import Here, ModuleCall, TensorSpec, Trace
from gptrace.report.columns import cost_text, measured_columns
from gptrace.report.table_data import TableData
from gptrace.report.view import View
from gptrace.wording import bracketed


def csv_table(trace: Trace, view: View) -> TableData:
    """Return one row for each call: its tensors as text, and the columns of the view."""
    keys = (
        "index", "parent", "depth", "path", "type", "call", "calls", "input_dims", "input_shape",
        "output_dims", "output_shape", "own_parameters", "total_parameters", "seconds",
    )  # fmt: skip
    columns = [name for name in view.columns or measured_columns(trace) if name in _CSV_VALUES]
    wanted = view.columns or measured_columns(trace)
    of_this_rank = [] if trace.mesh is None else [each for each in _OF_THIS_RANK if each[0] in wanted]
    inside: defaultdict[int | None, float] = defaultdict(float)  # seconds of the calls that each call made
    for call in trace.calls:
        inside[call.parent] += call.seconds
    rows = [
        (
            call.index, call.parent, call.depth, call.path, call.type, call.call, call.calls,
            *(" ".join(bracketed(getattr(spec, fact)) for spec in side)
              for side in (call.inputs, call.outputs) for fact in ("dims", "shape")),
            call.parameters.own, call.parameters.total, call.seconds,
            *(_CSV_VALUES[name](call, call.seconds - inside[call.index]) for name in columns),
            *(value(call, call.here or Here()) for _, _, value in of_this_rank),
        )
        for call in trace.calls
    ]  # fmt: skip
    return TableData.plain((*keys, *columns, *(key for _, key, _ in of_this_rank)), rows)


def _of_first(fact: str) -> Callable[[ModuleCall, float], object]:
    """Return a statistic of the first output that has any."""

    def value(call: ModuleCall, own_seconds: float) -> object:
        statistics = next((spec.statistics for spec in call.outputs if spec.statistics), None)
        return None if statistics is None else getattr(statistics, fact)

    return value


# The columns of the view that are not in every CSV, by their raw values.
_CSV_VALUES: dict[str, Callable[[ModuleCall, float], object]] = {
    "trainable": lambda call, _: call.parameters.trainable,
    "bytes": lambda call, _: call.parameters.bytes,
    "macs": lambda call, _: cost_text(call.cost) if call.macs_unknown else call.macs,
    "own": lambda _, own_seconds: own_seconds,
    "memory": lambda call, _: call.peak_bytes,
    "dtype": lambda call, _: tuple(spec.dtype for spec in call.outputs),
    "device": lambda call, _: tuple(spec.device for spec in call.outputs),
    **{fact: _of_first(fact) for fact in ("mean", "std", "min", "max", "nan")},
}


def _local_shapes(specs: Sequence[TensorSpec]) -> str:
    return " ".join(bracketed(spec.local_shape or spec.shape) for spec in specs)


# The part of this rank of a spread model: the column of the view, the key in the CSV, the raw value.
_OF_THIS_RANK: tuple[tuple[str, str, Callable[[ModuleCall, Here], object]], ...] = (
    ("here", "input_shape_here", lambda call, _: _local_shapes(call.inputs)),
    ("here", "output_shape_here", lambda call, _: _local_shapes(call.outputs)),
    ("sent", "messages", lambda _, here: sum(message.count for message in here.traffic)),
    ("sent", "message_bytes", lambda _, here: sum(message.total_bytes for message in here.traffic)),
    ("params", "parameters_here", lambda _, here: here.parameters),
    ("bytes", "bytes_here", lambda _, here: here.parameter_bytes),
    ("macs", "macs_here", lambda _, here: cost_text(here.cost) if here.macs_unknown else here.macs),
    ("memory", "memory_here", lambda _, here: here.peak_bytes),
)
