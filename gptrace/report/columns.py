"""The columns of the tree beside the module itself: what each is called, needs measured, and shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gptrace.errors import OptionError
from gptrace.measures import Measures
from gptrace.record import Cost, Statistics
from gptrace.report.rows import Row
from gptrace.wording import readable_bytes, suggestion

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers or words; `measure` names what has to be taken for it."""

    title: str
    show: Callable[[Row], str]
    measure: str = ""
    is_number: bool = True


def cost_text(cost: Cost | None) -> str:
    """Write MACs; what is unknown is never a silent 0.

    >>> cost_text(Cost(1234)), cost_text(Cost(12, ("my.op",))), cost_text(Cost(0, ("my.op",)))
    ('1,234', '≥ 12', '?')
    """
    if cost is None:
        return NOTHING
    if cost.unknown:
        return f"≥ {cost.macs:,}" if cost.macs else "?"
    return f"{cost.macs:,}" if cost.macs else NOTHING


def _parameters(row: Row) -> str:
    if row.op is not None or not row.parameters:
        return NOTHING
    return "above" if row.call.call > 1 else f"{row.parameters:,}"  # counted at the module's first call


def _trainable(row: Row) -> str:
    count = sum(call.parameters.trainable for call in row.calls)
    return f"{count:,}" if count and row.op is None else NOTHING


def _bytes(row: Row) -> str:
    count = sum(call.parameters.bytes for call in row.calls)
    return readable_bytes(count) if count and row.op is None else NOTHING


def _macs(row: Row) -> str:
    if row.op is not None:
        return cost_text(row.op.cost)
    costs = [call.cost for call in row.calls if call.cost is not None]
    unknown = tuple(name for cost in costs for name in cost.unknown)
    return cost_text(Cost(sum(cost.macs for cost in costs), unknown)) if costs else NOTHING


def _time(row: Row) -> str:
    return NOTHING if row.op is not None else _milliseconds(sum(call.seconds for call in row.calls))


def _own_time(row: Row) -> str:
    return NOTHING if row.op is not None else _milliseconds(row.own_seconds)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _memory(row: Row) -> str:
    peaks = [call.peak_bytes for call in row.calls if call.peak_bytes is not None]
    return readable_bytes(max(peaks)) if peaks and row.op is None else NOTHING


def _of_tensors(fact: str) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        entering, leaving = (list(dict.fromkeys(getattr(spec, fact) for spec in side)) for side in row.sides)
        if not entering or not leaving or entering == leaving:
            return ", ".join(leaving or entering) or NOTHING
        return f"{', '.join(entering)} → {', '.join(leaving)}"

    return show


def _statistic(fact: str, combine: Callable[[Sequence[float]], float] | None) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        found = row.statistics
        values = [value for one in found if (value := getattr(one, fact)) is not None]
        if not values or (len(values) > 1 and combine is None):
            return NOTHING
        return f"{combine(values) if combine else values[0]:.4g}"

    return show


def _spoiled(row: Row) -> str:
    found: tuple[Statistics, ...] = row.statistics
    if not found:
        return NOTHING
    nan, infinite = sum(one.nan for one in found), sum(one.infinite for one in found)
    said = [f"{nan:,}"] if nan or not infinite else []
    return " + ".join(said + [f"{infinite:,} inf"] * bool(infinite))


# Type and shapes have places of their own in the table; the others stand to the right of them.
LAYOUT = ("path", "type", "input", "output")
COLUMNS: dict[str, Column] = {
    "params": Column("Parameters", _parameters),
    "trainable": Column("Trainable", _trainable),
    "bytes": Column("Bytes", _bytes),
    "macs": Column("MACs", _macs, "macs"),
    "time": Column("Time", _time),
    "own": Column("Own time", _own_time),
    "memory": Column("Peak memory", _memory, "memory"),
    "dtype": Column("Dtype", _of_tensors("dtype"), is_number=False),
    "device": Column("Device", _of_tensors("device"), is_number=False),
    # Of folded rows: an average of averages would be none.
    "mean": Column("Mean", _statistic("mean", None), "statistics"),
    "std": Column("Std", _statistic("std", None), "statistics"),
    "min": Column("Min", _statistic("min", min), "statistics"),
    "max": Column("Max", _statistic("max", max), "statistics"),
    "nan": Column("NaN", _spoiled, "statistics"),
}
DEFAULT_COLUMNS = ("path", "type", "input", "output", "params")
ALL_COLUMNS = (*LAYOUT, *COLUMNS)


def parse_columns(text: str) -> tuple[str, ...]:
    """Read names with commas between them; "all" stands for each. A wrong name lists them.

    >>> parse_columns("path,macs")
    ('path', 'macs')
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if "all" in names:
        return ALL_COLUMNS
    for name in names:
        if name not in ALL_COLUMNS:
            raise OptionError(f"{name!r} is not a column", suggestion(name, ALL_COLUMNS))
    if not names:
        raise OptionError("--columns names no column", suggestion("", ALL_COLUMNS))
    return tuple(dict.fromkeys(names))


def measures_for(columns: Sequence[str], *, ops: bool) -> Measures:
    """Return what has to be measured for some columns."""
    needed = {COLUMNS[name].measure for name in columns if name in COLUMNS} - {""}
    return Measures.of(needed | ({"ops"} if ops else set()))
