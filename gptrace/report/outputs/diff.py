"""`gptrace diff`: the settings, the calls and the values that differ."""

from __future__ import annotations

from collections.abc import Iterator

from gptrace.record import ChangedCall, Difference
from gptrace.report.parts import Facts, Line, Lines, Part, Table, line
from gptrace.report.safe_text import visible
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View


def parts(difference: Difference, view: View) -> list[Part]:
    """Return the two traces, a summary, and a table of the differences."""
    table = csv_table(difference, view)
    facts = Facts([*_traces(difference), *_settings(difference)])
    return [facts, Lines(_summary(difference)), *([Table(table)] if table.rows else [])]


def csv_table(difference: Difference, view: View) -> TableData:
    """Return one row for each call that one trace alone has, and one for each fact that differs."""
    columns = [
        Column("kind", "", role="strong"),
        Column("path", "Module"),
        Column("call", None),
        Column("type", "Type", drop_order=1),
        Column("what", "What"),
        Column("a", "A"),
        Column("b", "B"),
    ]
    return TableData(columns, list(_rows(difference)))


def _traces(difference: Difference) -> list[tuple[str, Line]]:
    return [
        (letter, line(f"{visible(trace.name)}: {visible(trace.model)}, {trace.calls} calls"))
        for letter, trace in (("A", difference.a), ("B", difference.b))
    ]


def _settings(difference: Difference) -> list[tuple[str, Line]]:
    return [
        (visible(change.what), line(f"{visible(change.a)} → {visible(change.b)}"))
        for change in difference.settings
    ]


def _summary(difference: Difference) -> list[Line]:
    values = difference.values
    kinds = {"removed": difference.removed, "added": difference.added, "changed": difference.changed}
    counts = ", ".join(f"{len(calls)} {kind}" for kind, calls in kinds.items() if calls)
    lines = [f"calls: {counts or 'the same, with the same shapes, dtypes and parameters'}"]
    if difference.operations_compared is None:
        lines.append("operations: not compared; make both traces with --ops")
    elif not difference.changed:
        lines.append("operations: the same, in the same order")
    tolerance = f"rtol {values.rtol:g} and atol {values.atol:g}"
    if not values.compared:
        without = " and ".join(map(visible, difference.without_statistics))
        reason = f": no statistics in {without}" if without else ""
        lines.append(f"values: not compared{reason}; make both traces with --columns mean,std,min,max,nan")
    elif values.first_apart is None:
        lines.append(f"values: the same in {values.compared} calls, within {tolerance}")
    else:
        first = visible(values.first_apart.path or values.first_apart.type)
        text = f"values: {first} is the first of {values.compared} calls that differs beyond {tolerance}"
        lines.append(text)
    if values.compared and not values.same_prompts:
        lines.append("the two traces have different prompts, so their values are expected to differ")
    return [line(text) for text in lines]


def _rows(difference: Difference) -> Iterator[tuple[object, ...]]:
    for call in difference.removed:
        yield "removed", _name(call), call.call, call.type, "", "present", "absent"
    for call in difference.added:
        yield "added", _name(call), call.call, call.type, "", "absent", "present"
    for call in difference.changed:
        yield from _change_rows("changed", call)
    if difference.values.first_apart is not None:
        yield from _change_rows("values", difference.values.first_apart)


def _change_rows(kind: str, call: ChangedCall) -> Iterator[tuple[object, ...]]:
    for change in call.changes:
        yield kind, _name(call), call.call, call.type, change.what, change.a, change.b


def _name(call: ChangedCall) -> str:
    path = call.path or call.type
    return f"{path} ({call.call})" if call.call > 1 else path
