"""`gptrace diff`: the differences between two traces."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from gptrace.record.base import Count, Positive, Record, Report, Versions, about

Tolerance = Annotated[float, Meta(ge=0)]


class Change(Record, frozen=True):
    """A fact that differs between the two traces."""

    what: str
    a: str
    b: str


class ChangedCall(Record, frozen=True):
    """A call by module path and number, and what of it changed."""

    path: str
    call: Positive
    type: str
    changes: tuple[Change, ...]


class TraceSummary(Record, frozen=True):
    """A trace that was compared: where it was kept, its model, and its number of calls."""

    name: str
    model: str
    calls: Count


class ValueDifference(Record, frozen=True):
    """The comparison of values, by the statistics that both traces hold."""

    same_prompts: bool
    compared: Annotated[Count, about("calls whose outputs both traces have statistics of")]
    rtol: Tolerance
    atol: Tolerance
    first_apart: Annotated[ChangedCall | None, about("the first to end, beyond the tolerances")]


class Difference(Report, frozen=True, tag_field="schema", tag="gptrace.diff/1"):
    """The differences between two traces.

    `settings` are the inputs of the two: prompts, weights, configuration; they are no difference by
    themselves.
    """

    items: ClassVar[str] = "changed"

    versions: Versions
    same: Annotated[bool, about("no call and no value differs")]
    settings: tuple[Change, ...]
    a: TraceSummary
    b: TraceSummary
    removed: tuple[ChangedCall, ...]
    added: tuple[ChangedCall, ...]
    changed: tuple[ChangedCall, ...]
    values: ValueDifference
    operations_compared: Annotated[Count | None, about("operations of A, where both traces hold them")] = None
    without_statistics: Annotated[tuple[str, ...], about("names of the traces without statistics")] = ()
