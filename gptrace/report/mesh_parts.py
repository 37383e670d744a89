"""The parts of a report on a model that is spread over devices: the mesh, this rank, and its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gptrace.record import Here, Mesh, RankDifference, Trace
from gptrace.report.columns import cost_text
from gptrace.report.common_parts import FactPairs
from gptrace.report.parts import Line, Lines, Part, Table, line
from gptrace.report.safe_text import visible
from gptrace.report.shards import NOTHING, by_kind
from gptrace.report.table_data import Column, TableData
from gptrace.translation import joined, words
from gptrace.wording import readable_bytes

_PLANS = {"built in": words("the built-in plan"), "transformers": words("the plan of transformers")}
# The facts in which a rank may differ, as the record calls them.
_FACTS = {
    name: words(name) for name in ("versions", "calls", "outputs", "macs", "traffic", "predictions", "none")
}
_DIFFERING_SHOWN = 10
_GIB = 1 << 30


def mesh_facts(trace: Trace) -> FactPairs:
    """Return the lines of the header: the mesh, and the rank whose record it is."""
    mesh = trace.mesh
    if mesh is None:
        return []
    dims = joined([f"{visible(name)} {size}" for name, size in mesh.dims.items()], " × ")
    counted = words("{} rank" if mesh.size == 1 else "{} ranks", f"{mesh.size:,}")
    clauses = [words("{}: {}", dims, counted)]
    clauses.append(
        words("simulated in one process")
        if mesh.simulated
        else words("measured with {}", visible(mesh.backend))
    )
    if mesh.plan:
        clauses.append(words("spread by {}", _PLANS.get(mesh.plan, visible(mesh.plan))))
    rank = words("{} ({})", mesh.rank, coordinate_text(mesh.coordinate))
    held = _parameters_held(trace)
    return [
        (words("mesh"), line(joined(clauses))),
        (words("rank"), line(joined([rank, *([held] if held else [])]))),
    ]


def coordinate_text(coordinate: Mapping[str, int]) -> str:
    """Return the place of a rank in the mesh."""
    return joined([f"{visible(name)} {number}" for name, number in coordinate.items()])


def _parameters_held(trace: Trace) -> str:
    """Return how much of the parameters the rank holds: "this rank: 0.32 of 326.4 GiB parameters"."""
    here, whole = trace.totals.here, trace.model.parameters.bytes
    if here is None or here.parameter_bytes is None:
        return ""
    return words("this rank: {} of {} parameters", *in_one_unit(here.parameter_bytes, whole))


def in_one_unit(part: int, whole: int) -> tuple[str, str]:
    """Return two numbers of bytes, the unit at the second alone where it suits both.

    >>> in_one_unit(343597384, 350467400000), in_one_unit(512, 2048)
    (('0.32', '326.4 GiB'), ('512 B', '2.0 KiB'))
    """
    text, of_whole = readable_bytes(part), readable_bytes(whole)
    unit = of_whole.rpartition(" ")[2]
    if unit == "GiB" and part >= _GIB // 100:
        text = f"{part / _GIB:.{1 if part >= 10 * _GIB else 2}f} GiB"
    return text.removesuffix(f" {unit}"), of_whole


def mesh_parts(trace: Trace) -> list[Part]:
    """Return the parts below the tree of calls: the messages, the share of this rank, the other ranks."""
    mesh, here = trace.mesh, trace.totals.here
    if mesh is None:
        return []
    parts: list[Part] = []
    if here is not None:
        nothing = Lines([line(words("no messages between ranks"))])
        parts.append(_traffic_table(here) if here.traffic else nothing)
        parts.append(_rank_table(trace, here))
    if mesh.ranks:
        parts.append(_ranks_table(mesh))
    return [*parts, Lines([*_differing(mesh.differing), *_limits(mesh)])]


def _traffic_table(here: Here) -> Table:
    """Return the messages by mesh dimension and kind."""
    columns = [
        Column("mesh_dim", words("Along"), role="strong"),
        Column("kind", words("Kind")),
        Column("ranks", words("Ranks"), is_number=True, drop_order=2),
        Column("messages", words("Messages"), "{:,}".format, is_number=True),
        Column("bytes", words("Bytes"), readable_bytes, is_number=True),
        Column("ring_bytes", words("Ring estimate"), _bytes_or_nothing, is_number=True),
    ]
    rows = [
        (
            visible(group[0].mesh_dim) or NOTHING,
            visible(group[0].kind),
            group[0].group_size,
            sum(message.count for message in group),
            sum(message.total_bytes for message in group),
            _sum_of_known([message.ring_bytes for message in group]),
        )
        for group in by_kind(here.traffic)
    ]
    ring = words("ring estimate: the bytes that each rank sends if messages are passed along a ring")
    title = words("Messages of this rank in one forward pass")
    return Table(TableData(columns, rows), title=title, lines=[line(ring, "quiet")])


def _sum_of_known(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _bytes_or_nothing(count: int | None) -> str:
    return NOTHING if count is None else readable_bytes(count)


def _rank_table(trace: Trace, here: Here) -> Table:
    """Return what this rank holds and does beside the whole model."""
    totals = trace.totals
    facts: list[tuple[str, int | None, int | None]] = [
        (words("parameters"), here.parameter_bytes, trace.model.parameters.bytes),
        (words("buffers"), here.buffer_bytes, trace.model.buffers.bytes),
        (words("peak of activations"), here.peak_bytes, totals.peak_bytes),
    ]
    rows: list[tuple[str, str, str]] = [
        (name, readable_bytes(part), _bytes_or_nothing(whole))
        for name, part, whole in facts
        if part is not None
    ]
    if here.macs is not None:
        rows.append((words("MACs"), cost_text(here.cost), cost_text(totals.cost)))
    columns = [
        Column("fact", "", _as_it_is, role="strong", is_prose=True),
        Column("here", words("This rank"), _as_it_is, is_number=True),
        Column("whole", words("Whole model"), _as_it_is, is_number=True),
    ]
    return Table(TableData(columns, rows), title=words("This rank and the whole model"))


def _ranks_table(mesh: Mesh) -> Table:
    """Return the totals of all ranks; those that are equal share a row."""
    groups: dict[Here, list[int]] = {}
    for facts in mesh.ranks:
        groups.setdefault(facts.here, []).append(facts.rank)
    columns = [
        Column("ranks", words("Rank"), role="strong"),
        Column("parameters", words("Parameters"), _bytes_or_nothing, is_number=True),
        Column("buffers", words("Buffers"), _bytes_or_nothing, is_number=True, drop_order=1),
        Column("peak", words("Peak of activations"), _bytes_or_nothing, is_number=True),
        Column("macs", words("MACs"), _as_it_is, is_number=True, drop_order=3),
        Column("messages", words("Messages"), "{:,}".format, is_number=True, drop_order=2),
        Column("bytes", words("Bytes of messages"), readable_bytes, is_number=True),
    ]
    rows = [
        (
            numbers_text(ranks),
            here.parameter_bytes,
            here.buffer_bytes,
            here.peak_bytes,
            cost_text(here.cost),
            sum(message.count for message in here.traffic),
            sum(message.total_bytes for message in here.traffic),
        )
        for here, ranks in groups.items()
    ]
    return Table(TableData(columns, rows), title=words("All ranks"))


def numbers_text(numbers: Sequence[int]) -> str:
    """Return numbers in ascending order, those in a row as a range.

    >>> numbers_text([0, 1, 2, 5, 7, 8])
    '0–2, 5, 7–8'
    """
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return joined([f"{first}" if first == last else f"{first}–{last}" for first, last in ranges])


def _as_it_is(text: str) -> str:
    return text


def _differing(differences: Sequence[RankDifference]) -> list[Line]:
    lines = []
    for each in differences[:_DIFFERING_SHOWN]:
        what, here, there = (_FACTS.get(text, visible(text)) for text in (each.what, each.here, each.there))
        if each.path:
            what = words("{} of {}", what, visible(each.path))
        lines.append(
            line(
                words("rank {} differs from rank 0: {} {}, on rank 0 {}", each.rank, what, here, there),
                "failed",
            )
        )
    rest = len(differences) - _DIFFERING_SHOWN
    template = "… {} more difference between ranks" if rest == 1 else "… {} more differences between ranks"
    return lines + [line(words(template, rest))] * (rest > 0)


def _limits(mesh: Mesh) -> list[Line]:
    text = words(
        "of a forward pass alone: no gradients, no optimizer state, no allocator overhead, no overlap of "
        "messages with computation, no timing"
    )
    return [line(text, "quiet")]
