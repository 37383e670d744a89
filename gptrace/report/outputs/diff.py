"""`gptrace diff`: the settings, the calls and the values that differ."""

from __future__ import annotations

from collections.abc import Iterator

from gptrace.record import ChangedCall, Difference, TraceSummary
from gptrace.report.common_parts import FactPairs, model_name
from gptrace.report.counted import counted_calls
from gptrace.report.parts import Facts, Line, Lines, Part, Table, line
from gptrace.report.safe_text import visible
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import joined, words


def parts(difference: Difference, view: View) -> list[Part]:
    """Return the two traces, a summary, and a table of the differences."""
    table = csv_table(difference, view)
    facts = Facts([*_traces(difference), *_settings(difference)])
    differences = [Table(table, name=words("Differences"))] if table.rows else []
    return [facts, Lines(_summary(difference)), *differences]


def csv_table(difference: Difference, view: View) -> TableData:
    """Return one row for each call that one trace alone has, and one for each fact that differs."""
    columns = [
        Column("kind", "", _as_it_is, role="strong"),
        Column("path", words("Module")),
        Column("call", None),
        Column("type", words("Type"), drop_order=1),
        Column("what", words("What"), _fact_name),
        Column("a", "A", _as_it_is),
        Column("b", "B", _as_it_is),
    ]
    return TableData(columns, list(_rows(difference)))


def _traces(difference: Difference) -> FactPairs:
    def summary(trace: TraceSummary) -> Line:
        name, model = _trace_name(trace.name), model_name(trace.model)
        return line(words("{}: {}, {}", name, model, counted_calls(trace.calls)))

    return [("A", summary(difference.a)), ("B", summary(difference.b))]


def _trace_name(name: str) -> str:
    """Return the name of a trace: its file, or `now` for the one that --expect has made."""
    return words("now") if name == "now" else visible(name)


def _settings(difference: Difference) -> FactPairs:
    return [
        (_fact_name(change.what), line(f"{visible(change.a)} → {visible(change.b)}"))
        for change in difference.settings
    ]


def _summary(difference: Difference) -> list[Line]:
    return [line(text) for text in (*_calls(difference), *_values(difference))]


def _calls(difference: Difference) -> Iterator[str]:
    kinds = [
        (difference.removed, "{} removed"),
        (difference.added, "{} added"),
        (difference.changed, "{} changed"),
    ]
    differing = [words(template, len(calls)) for calls, template in kinds if calls]
    same = words("the same, with the same shapes, dtypes and parameters")
    yield words("calls: {}", joined(differing) if differing else same)
    if difference.operations_compared is None:
        yield words("operations: not compared; make both traces with --ops")
    elif not difference.changed:
        yield words("operations: the same, in the same order")


def _values(difference: Difference) -> Iterator[str]:
    values = difference.values
    tolerance = words("rtol {} and atol {}", f"{values.rtol:g}", f"{values.atol:g}")
    if not values.compared:
        reason: str = words("values: not compared")
        if difference.without_statistics:
            without = joined(map(_trace_name, difference.without_statistics), " and ")
            reason = words("values: not compared: no statistics in {}", without)
        yield joined([reason, words("make both traces with --columns mean,std,min,max,nan")], "; ")
    elif values.first_apart is None:
        yield words("values: the same in {}, within {}", counted_calls(values.compared), tolerance)
    else:
        first = visible(values.first_apart.path or values.first_apart.type)
        template = "values: {} is the first of {} that differs beyond {}"
        yield words(template, first, counted_calls(values.compared), tolerance)
    if values.compared and not values.same_prompts:
        yield words("the two traces have different prompts, so their values are expected to differ")


def _rows(difference: Difference) -> Iterator[tuple[object, ...]]:
    present, absent = words("present"), words("absent")
    for call in difference.removed:
        yield words("removed"), _name(call), call.call, call.type, "", present, absent
    for call in difference.added:
        yield words("added"), _name(call), call.call, call.type, "", absent, present
    for call in difference.changed:
        yield from _change_rows(words("changed"), call)
    if difference.values.first_apart is not None:
        yield from _change_rows(words("values"), difference.values.first_apart)


def _change_rows(kind: str, call: ChangedCall) -> Iterator[tuple[object, ...]]:
    for change in call.changes:
        values = (_value_text(change.what, value) for value in (change.a, change.b))
        yield kind, _name(call), call.call, call.type, change.what, *values


def _name(call: ChangedCall) -> str:
    path = call.path or call.type
    return f"{path} ({call.call})" if call.call > 1 else path


_FACTS = {
    name: words(name)
    for name in (
        "prompt", "type", "input", "output", "input dtype", "output dtype", "device", "parameters",
        "parameter bytes", "trainable parameters", "raised", "exception",
        "input here", "output here", "parameters here", "MACs here", "messages",
        "mesh", "rank", "backend", "plan",
        "mean of output", "std of output", "min of output", "max of output",
    )
}  # fmt: skip
_GROUPS = {"config": "config {}", "weights": "weights {}", "step": "step {}"}


def _fact_name(what: str) -> str:
    """Return the name of a fact as people read it; the rest of it may be the name of a tensor or a key."""
    first, _, rest = what.partition(" ")
    if first in _GROUPS and rest:
        return words(_GROUPS[first], visible(rest))
    if rest.startswith("of ") and what not in _FACTS:
        return words("{} of {}", visible(first), visible(rest.removeprefix("of ")))
    return _FACTS.get(what, visible(what))


def _value_text(what: str, value: str) -> str:
    """Return a value of a fact, whose words are known for some facts."""
    if what in ("input", "output", "input here", "output here") and value == "no tensor":
        return words("no tensor")
    if what == "messages" and value == "no message":
        return words("no message")
    if what == "raised":
        return words("yes") if value == "yes" else words("no")
    call = value.removeprefix("call of ")
    return words("call of {}", call) if what.startswith("step ") and call != value else value


def _as_it_is(text: str) -> str:
    return text
