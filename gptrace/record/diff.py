"""`gptrace diff`: the differences between two traces."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from gptrace.record.base import Count, Positive, Record, Report, Versions, about

Tolerance = Annotated[float, Meta(ge=0)]


class Change(Record, frozen=True):
    """A fact that differs between the two traces."""

    what: Annotated[str, about("what differs, such as shape or dtype")]
    a: Annotated[str, about("how it is in the first trace")]
    b: Annotated[str, about("how it is in the second trace")]


class ChangedCall(Record, frozen=True):
    """A call by module path and number, and what of it changed."""

    path: Annotated[str, about("path of the module")]
    call: Annotated[Positive, about("which call of the module it is, from 1")]
    type: Annotated[str, about("class of the module")]
    changes: Annotated[tuple[Change, ...], about("what differs in this call")]


class TraceSummary(Record, frozen=True):
    """A trace that was compared: where it was kept, its model, and its number of calls."""

    name: Annotated[str, about("file of the trace, or what stands for it")]
    model: Annotated[str, about("name of the model")]
    calls: Annotated[Count, about("number of calls")]


class ValueDifference(Record, frozen=True):
    """The comparison of values, by the statistics that both traces hold."""

    same_prompts: Annotated[
        bool, about("whether both traces ran the same ids, so that figures can be compared")
    ]
    compared: Annotated[Count, about("calls whose outputs both traces have statistics of")]
    rtol: Annotated[Tolerance, about("relative tolerance of the comparison")]
    atol: Annotated[Tolerance, about("absolute tolerance of the comparison")]
    first_apart: Annotated[ChangedCall | None, about("the first to end, beyond the tolerances")]


class Difference(Report, frozen=True, tag_field="schema", tag="gptrace.diff/1"):
    """The differences between two traces.

    `settings` are the inputs of the two: prompts, weights, configuration; they are no difference by
    themselves.
    """

    items: ClassVar[str] = "changed"

    versions: Versions
    same: Annotated[bool, about("no call and no value differs")]
    settings: Annotated[tuple[Change, ...], about("settings that differ, such as those of the configuration")]
    a: Annotated[TraceSummary, about("the first trace")]
    b: Annotated[TraceSummary, about("the second trace")]
    removed: Annotated[tuple[ChangedCall, ...], about("calls that only the first trace has")]
    added: Annotated[tuple[ChangedCall, ...], about("calls that only the second trace has")]
    changed: Annotated[tuple[ChangedCall, ...], about("calls that both traces have, with what differs")]
    values: Annotated[ValueDifference, about("how far figures differ")]
    operations_compared: Annotated[Count | None, about("operations of A, where both traces hold them")] = None
    without_statistics: Annotated[tuple[str, ...], about("names of the traces without statistics")] = ()
