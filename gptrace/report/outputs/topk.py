"""`gptrace topk`: a table of candidates for each prompt, or of positions."""

from __future__ import annotations

from functools import partial

from gptrace.record import Candidate, PositionPrediction, TopK, TopKResult
from gptrace.record.writing import to_json
from gptrace.report.candidate_tables import candidates_table, figures_of, next_tokens
from gptrace.report.common_parts import (
    fitting_facts,
    hex_of,
    model_facts,
    note_parts,
    problem_parts,
    prompt_title,
    temperature_facts,
    text_of,
)
from gptrace.report.parts import Facts, Part, Table
from gptrace.report.safe_text import token_or_id
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import words

_CSV_KEYS = (
    "index", "prompt", "rank", "id", "token", "bytes", "logit", "probability", "log_probability", "position",
    "error", "extra",
)  # fmt: skip


def parts(topk: TopK, view: View) -> list[Part]:
    """Return the header, and a table for each prompt."""
    results = tuple(topk.results)
    facts = [*model_facts(topk.model), *fitting_facts(results), *temperature_facts(topk.temperature)]
    items = [part for result in results for part in item_parts(result, view)]
    return [Facts(facts), *note_parts(topk.notes), *items]


def item_parts(result: TopKResult, view: View) -> list[Part]:
    """Return the table of one prompt, or its error."""
    if result.problem is not None:
        return problem_parts(result.index, result.problem)
    if result.positions:
        return [_positions_table(result, view)]
    return [
        candidates_table(result, result.candidates, result.chosen, log_probabilities=view.log_probabilities)
    ]


def csv_table(topk: TopK, view: View) -> TableData:
    """Return one row for each candidate of each prompt, and one for each prompt with an error."""
    rows: list[tuple[object, ...]] = []
    for result in topk.results:
        prompt = (result.index, text_of(result))
        extra = to_json(result.extra) if result.extra else ""
        last = PositionPrediction(len(result.ids) - 1, result.candidates, result.chosen)
        rows += [
            (
                *prompt, c.rank, c.id, c.text, hex_of(c.bytes), c.logit, c.probability, c.log_probability,
                prediction.position, "", extra,
            )
            for prediction in result.positions or [last]
            for c in (
                *prediction.candidates,
                *(chosen for chosen in prediction.chosen if chosen not in prediction.candidates),
            )
        ]  # fmt: skip
        if result.problem is not None:
            rows.append((*prompt, *[""] * (len(_CSV_KEYS) - 4), result.problem.message, extra))
    return TableData.plain(_CSV_KEYS, rows)


def _positions_table(result: TopKResult, view: View) -> Table:
    """Return a row for each position: its token, the next tokens, and the chosen tokens."""
    is_logarithmic = view.log_probabilities

    def chosen_text(candidate: Candidate) -> str:
        figures = figures_of(candidate, log_probabilities=is_logarithmic)
        return words("{}, rank {}", figures, f"{candidate.rank:,}")

    columns = [
        Column("position", words("Position"), is_number=True),
        Column("token", words("Token"), token_or_id),
        Column(
            "next",
            words("Next tokens"),
            units_of=partial(next_tokens, log_probabilities=is_logarithmic),
            role="strong",
        ),
    ]
    for number, chosen in enumerate(result.chosen):
        columns.append(Column(f"chosen {number}", token_or_id(chosen.token), chosen_text, is_number=True))
    rows = [
        (prediction.position, result.tokens[prediction.position], prediction.candidates, *prediction.chosen)
        for prediction in result.positions
    ]
    return Table(TableData(columns, rows), title=words("At each position of {}", prompt_title(result)))
