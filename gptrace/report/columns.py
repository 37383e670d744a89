"""The columns of a trace's table beside the module itself: the title, the measure and the texts of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gptrace.errors import OptionError
from gptrace.measures import Measures
from gptrace.record import Cost, Here, Trace
from gptrace.report.call_rows import CallRow
from gptrace.report.shards import NOTHING, local_text, traffic_text
from gptrace.translation import words
from gptrace.wording import readable_bytes, suggestion


@dataclass(frozen=True, slots=True)
class TreeColumn:
    """A column of numbers or words; `measure` names the measure that it needs.

    of_this_rank  the same of the rank whose record it is, which stands beside it where a model is spread
    of_spread     whether only the record of a spread model has it; such a column may stand below the shapes
    """

    title: str
    show: Callable[[CallRow], str]
    measure: str = ""
    is_number: bool = True
    of_this_rank: Callable[[CallRow], str] | None = None
    of_spread: bool = False


def cost_text(cost: Cost | None) -> str:
    """Return MACs as text; an unknown cost is never a silent 0.

    >>> cost_text(Cost(1234)), cost_text(Cost(12, ("my.op",))), cost_text(Cost(0, ("my.op",)))
    ('1,234', '≥ 12', '?')
    """
    if cost is None:
        return NOTHING
    if cost.unknown:
        return f"≥ {cost.macs:,}" if cost.macs else "?"
    return f"{cost.macs:,}" if cost.macs else NOTHING


def _of_parameters(fact: str, text_of: Callable[[int], str] = "{:,}".format) -> Callable[[CallRow], str]:
    def show(row: CallRow) -> str:
        count = sum(getattr(call.parameters, fact) for call in row.calls)
        if row.op is not None or not count:
            return NOTHING
        return words("above") if row.call.call > 1 else text_of(count)  # counted at the module's first call

    return show


def _macs(row: CallRow) -> str:
    if row.op is not None:
        return cost_text(row.op.cost)
    costs = [call.cost for call in row.calls if call.cost is not None]
    unknown = tuple(name for cost in costs for name in cost.unknown)
    return cost_text(Cost(sum(cost.macs for cost in costs), unknown)) if costs else NOTHING


def _of_this_rank(fact: str, text_of: Callable[[int], str] = "{:,}".format) -> Callable[[CallRow], str]:
    def show(row: CallRow) -> str:
        values = [value for here in _heres(row) if (value := getattr(here, fact)) is not None]
        if row.op is not None or not values:
            return NOTHING
        if row.call.call > 1 and fact.startswith("parameter") and sum(values):
            return words("above")
        total = max(values) if fact == "peak_bytes" else sum(values)
        return text_of(total) if total else NOTHING

    return show


def _macs_of_this_rank(row: CallRow) -> str:
    known = [here for here in _heres(row) if here.macs is not None]
    unknown = tuple(name for here in known for name in here.macs_unknown)
    return cost_text(Cost(sum(here.macs or 0 for here in known), unknown)) if known else NOTHING


def _heres(row: CallRow) -> list[Here]:
    calls = [row.op] if row.op is not None else row.calls
    return [call.here for call in calls if call.here is not None]


def _local(row: CallRow) -> str:
    return local_text(row.op or row.call, {} if row.mesh is None else row.mesh.dims)


def _sent(row: CallRow) -> str:
    return traffic_text([message for here in _heres(row) for message in here.traffic])


def _time(row: CallRow) -> str:
    return _milliseconds(sum(call.seconds for call in row.calls)) if _is_timed(row) else NOTHING


def _own_time(row: CallRow) -> str:
    return _milliseconds(row.own_seconds) if _is_timed(row) else NOTHING


def _is_timed(row: CallRow) -> bool:
    """Tell whether there is a time to show; that of a simulation is not that of the model."""
    return row.op is None and not (row.mesh is not None and row.mesh.simulated)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _memory(row: CallRow) -> str:
    peaks = [call.peak_bytes for call in row.calls if call.peak_bytes is not None]
    return readable_bytes(max(peaks)) if peaks and row.op is None else NOTHING


def _of_tensors(fact: str) -> Callable[[CallRow], str]:
    def show(row: CallRow) -> str:
        entering, leaving = (list(dict.fromkeys(getattr(spec, fact) for spec in side)) for side in row.sides)
        if not entering or not leaving or entering == leaving:
            return ", ".join(leaving or entering) or NOTHING
        return f"{', '.join(entering)} → {', '.join(leaving)}"

    return show


def _statistic(fact: str, combine: Callable[[Sequence[float]], float] | None) -> Callable[[CallRow], str]:
    def show(row: CallRow) -> str:
        values = [value for each in row.statistics if (value := getattr(each, fact)) is not None]
        if not values or (len(values) > 1 and combine is None):
            return NOTHING
        return f"{combine(values) if combine else values[0]:.4g}"

    return show


def _not_finite(row: CallRow) -> str:
    if not row.statistics:
        return NOTHING
    nan = sum(statistics.nan for statistics in row.statistics)
    infinite = sum(statistics.infinite for statistics in row.statistics)
    counts = [f"{nan:,}"] if nan or not infinite else []
    return " + ".join(counts + [f"{infinite:,} inf"] * bool(infinite))


# Type and shapes have places of their own in the table; the others stand to the right of them.
LAYOUT = ("path", "type", "input", "output")
COLUMNS: dict[str, TreeColumn] = {
    "here": TreeColumn(words("Here"), _local, is_number=False, of_spread=True),
    "sent": TreeColumn(words("Sent"), _sent, is_number=False, of_spread=True),
    "params": TreeColumn(
        words("Parameters"), _of_parameters("total"), of_this_rank=_of_this_rank("parameters")
    ),
    "trainable": TreeColumn(words("Trainable"), _of_parameters("trainable")),
    "bytes": TreeColumn(
        words("Bytes"),
        _of_parameters("bytes", readable_bytes),
        of_this_rank=_of_this_rank("parameter_bytes", readable_bytes),
    ),
    "macs": TreeColumn(words("MACs"), _macs, "macs", of_this_rank=_macs_of_this_rank),
    "time": TreeColumn(words("Time"), _time),
    "own": TreeColumn(words("Own time"), _own_time),
    "memory": TreeColumn(
        words("Peak memory"), _memory, "memory", of_this_rank=_of_this_rank("peak_bytes", readable_bytes)
    ),
    "dtype": TreeColumn(words("Dtype"), _of_tensors("dtype"), is_number=False),
    "device": TreeColumn(words("Device"), _of_tensors("device"), is_number=False),
    # Not of folded rows: an average of averages is not the average.
    "mean": TreeColumn(words("Mean"), _statistic("mean", None), "statistics"),
    "std": TreeColumn(words("Std"), _statistic("std", None), "statistics"),
    "min": TreeColumn(words("Min"), _statistic("min", min), "statistics"),
    "max": TreeColumn(words("Max"), _statistic("max", max), "statistics"),
    "nan": TreeColumn(words("NaN"), _not_finite, "statistics"),
}
DEFAULT_COLUMNS = ("path", "type", "input", "output", "params")
ALL_COLUMNS = (*LAYOUT, *COLUMNS)


# Other tools' names of what a column here shows, or of what it is nearest to.
_SYNONYMS = {
    "flops": "macs", "mult_adds": "macs", "num_params": "params", "parameters": "params", "size": "bytes",
    "shape": "output", "shapes": "output", "output_size": "output", "input_size": "input", "kind": "type",
    "module": "path", "name": "path", "peak": "memory", "duration": "time", "inf": "nan",
}  # fmt: skip


def parse_columns(text: str) -> tuple[str, ...]:
    """Read column names with commas between them; "all" stands for each.

    Raises an OptionError that lists the columns for a wrong name.

    >>> parse_columns("path,macs")
    ('path', 'macs')
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if "all" in names:
        return ALL_COLUMNS
    for name in names:
        if name not in ALL_COLUMNS:
            raise OptionError(f"{name!r} is not a column", suggestion(_SYNONYMS.get(name, name), ALL_COLUMNS))
    if not names:
        raise OptionError("--columns names no column", suggestion("", ALL_COLUMNS))
    return tuple(dict.fromkeys(names))


def measures_for(columns: Sequence[str], *, ops: bool) -> Measures:
    """Return the measures that some columns need."""
    needed = {COLUMNS[name].measure for name in columns if name in COLUMNS} - {""}
    return Measures.of(needed | ({"ops"} if ops else set()))


def check_columns(trace: Trace, columns: Sequence[str], name: str) -> None:
    """Raise an OptionError for a column that a trace, called `name`, has no measurement for."""
    held = measured_columns(trace)
    missing = [key for key in columns if key in COLUMNS and COLUMNS[key].measure and key not in held]
    if trace.mesh is None:
        refuse_columns_of_spread(columns, name)
    # "all" is all that there is; a trace that failed may hold less than was asked for.
    if missing and set(columns) != set(ALL_COLUMNS) and trace.error is None:
        hint = f"measure it: gptrace run --columns {','.join(missing)} -o FILE.json"
        raise OptionError(f"{name} holds no {', '.join(missing)}", hint)


def refuse_columns_of_spread(columns: Sequence[str], name: str) -> None:
    """Raise an OptionError for a column that only a spread model has: the trace `name` is of another."""
    of_spread = [key for key in columns if key in COLUMNS and COLUMNS[key].of_spread]
    if of_spread and set(columns) != set(ALL_COLUMNS):  # "all" is all that there is
        hint = f"spread the model: gptrace run --mesh tp=2 --columns {','.join(columns)} -o FILE.json"
        raise OptionError(f"{name} is of a model on one device, so it has no {', '.join(of_spread)}", hint)


def measured_columns(trace: Trace) -> tuple[str, ...]:
    """Return the usual columns, and those whose measure the trace holds."""
    measures = {
        "macs": trace.totals.macs is not None,
        "memory": trace.totals.peak_bytes is not None,
        "statistics": any(spec.statistics for call in trace.calls for spec in call.outputs),
    }
    measured = (name for name, column in COLUMNS.items() if measures.get(column.measure, False))
    *layout, last = DEFAULT_COLUMNS
    return (*layout, *_columns_of_spread(trace), last, *measured)


def _columns_of_spread(trace: Trace) -> list[str]:
    """Return the columns of a spread model that have something to say."""
    if trace.mesh is None:
        return []
    tensors = (spec for call in trace.calls for spec in (*call.inputs, *call.outputs))
    has_parts = any(spec.local_shape not in (None, spec.shape) for spec in tensors)
    has_traffic = any(call.here is not None and call.here.traffic for call in trace.calls)
    return ["here"] * has_parts + ["sent"] * has_traffic


def heads_of(trace: Trace, columns: Sequence[str]) -> list[TreeColumn]:
    """Return the columns beside the layout, and beside each, where it is known, the same of this rank."""
    heads: list[TreeColumn] = []
    for column in (COLUMNS[name] for name in columns if name in COLUMNS):
        if column.of_spread and trace.mesh is None:  # "all" is all that there is
            continue
        heads.append(column)
        if column.of_this_rank is not None and trace.mesh is not None:
            heads.append(TreeColumn(words("{} here", column.title), column.of_this_rank))
    return heads
