"""A record → the neutral parts of its report. What is said is decided here, what it looks like elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from gptrace.comparison import Difference
from gptrace.printable import Printable
from gptrace.record import (
    Explanation,
    Generation,
    Lens,
    Loss,
    Presets,
    Tokens,
    Topic,
    TopK,
    TopKResult,
    TopKStream,
    Trace,
)
from gptrace.report import answer_facts, answer_sheets, header, lens_sheets, sheets
from gptrace.report.rows import Row, rows_of
from gptrace.report.sheet import Sheet
from gptrace.report.view import View


@dataclass(frozen=True, slots=True)
class Document:
    """The parts, in reading order, and `flat`: the same facts as one sheet for programs.

    `problems` tell of the prompts of a stream that have no sheet. `topics` are those of an explanation.
    """

    flat: Sheet
    flow: list[Text] = field(default_factory=list)
    facts: list[tuple[str, Text]] = field(default_factory=list)
    tree: list[Row] = field(default_factory=list)
    notes: list[Text] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    problems: list[Text] = field(default_factory=list)
    topics: tuple[Topic, ...] = ()


def document(record: Printable, view: View) -> Document:
    """Return the parts of a record's report."""
    if isinstance(record, TopKStream):
        record = record.whole()
    return _MAKERS[type(record)](record, view)


def _of_trace(trace: Trace, view: View) -> Document:
    rows = rows_of(trace, full=view.full, depth=view.depth, only=view.only, kind=view.kind)
    return Document(
        flow=header.flow(trace),
        facts=header.trace_facts(trace),
        tree=rows,
        notes=header.notes(trace, rows),
        sheets=[
            sheets.candidates_sheet(
                trace.inputs[prediction.input], prediction.candidates, with_logs=view.log_probabilities
            )
            for prediction in trace.predictions
        ],
        flat=sheets.calls_sheet(trace),
    )


def _of_topk(topk: TopK, view: View) -> Document:
    return Document(
        facts=[
            *header.model_facts(topk.model),
            *header.fitting_facts([one.prompt for one in topk.results]),
            *header.temperature_facts(topk.temperature),
        ],
        sheets=[_result_sheet(one, view) for one in topk.results if one.problem is None],
        notes=list(map(header.note, topk.notes)),
        problems=[header.problem(one) for one in topk.results if one.problem is not None],
        flat=sheets.flat_candidates(topk),
    )


def _result_sheet(result: TopKResult, view: View) -> Sheet:
    if result.positions:
        return sheets.positions_sheet(result)
    return sheets.candidates_sheet(
        result.prompt, result.candidates, result.chosen, with_logs=view.log_probabilities
    )


def _of_tokens(tokens: Tokens, view: View) -> Document:
    return Document(
        sheets=[sheets.tokens_sheet(prompt) for prompt in tokens.results], flat=sheets.flat_tokens(tokens)
    )


def _of_presets(presets: Presets, view: View) -> Document:
    sheet = sheets.presets_sheet(presets)
    return Document(sheets=[sheet], flat=sheet)


def _of_difference(difference: Difference, view: View) -> Document:
    sheet = sheets.difference_sheet(difference)
    return Document(
        facts=header.difference_facts(difference),
        sheets=[sheet] if sheet.rows else [],
        notes=header.difference_notes(difference),
        flat=sheet,
    )


def _of_loss(loss: Loss, view: View) -> Document:
    return Document(
        facts=[*header.model_facts(loss.model), *answer_facts.loss_facts(loss)],
        sheets=[answer_sheets.loss_sheet(one, view) for one in loss.results],
        notes=list(map(header.note, loss.notes)),
        flat=answer_sheets.flat_loss(loss),
    )


def _of_generation(generation: Generation, view: View) -> Document:
    return Document(
        facts=[*header.model_facts(generation.model), *answer_facts.generation_facts(generation)],
        sheets=[answer_sheets.generation_sheet(one) for one in generation.results],
        notes=[*map(header.note, generation.notes)],
        flat=answer_sheets.flat_generation(generation),
    )


def _of_lens(lens: Lens, view: View) -> Document:
    return Document(
        facts=[*header.model_facts(lens.model), *answer_facts.lens_facts(lens)],
        sheets=[
            sheet
            for one in lens.results
            for sheet in (lens_sheets.map_sheet(one, view), lens_sheets.last_sheet(one))
        ],
        notes=list(map(header.note, lens.notes)),
        flat=lens_sheets.flat_lens(lens),
    )


def _of_explanation(explanation: Explanation, view: View) -> Document:
    return Document(
        facts=[*header.model_facts(explanation.model), *header.prompt_facts([explanation.prompt])],
        topics=explanation.topics,
        notes=list(map(header.note, explanation.notes)),
        flat=sheets.flat_explanation(explanation),
    )


_MAKERS: dict[type[Printable], Callable[[Any, View], Document]] = {
    Trace: _of_trace,
    TopK: _of_topk,
    Loss: _of_loss,
    Generation: _of_generation,
    Lens: _of_lens,
    Explanation: _of_explanation,
    Tokens: _of_tokens,
    Presets: _of_presets,
    Difference: _of_difference,
}
