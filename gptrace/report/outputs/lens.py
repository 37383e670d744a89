"""`gptrace lens`: a map of layers and positions, and the next tokens of each layer."""

from __future__ import annotations

from gptrace.record import Lens, LensCell, LensResult
from gptrace.report.candidate_tables import next_tokens
from gptrace.report.common_parts import (
    FactPairs,
    hex_of,
    model_facts,
    note_parts,
    problem_cells,
    problem_parts,
    prompt_title,
    text_of,
)
from gptrace.report.parts import Facts, Legend, Part, Table, line
from gptrace.report.safe_text import shortened_to, token_or_id, visible
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import joined, words

# The role of a cell by its rank of the model's prediction: at most so high.
_ROLES = ((1, "rank 1"), (10, "rank 10"), (100, "rank 100"))
_CELL_WIDTH, _MOST_CELL_WIDTH, _GAP, _LAYER_WIDTH = 12, 40, 2, 18  # columns of text
_MOST_POSITIONS = 16


def parts(lens: Lens, view: View) -> list[Part]:
    """Return the header, and a map and a table for each prompt."""
    path = " → ".join(map(visible, lens.through))
    results = tuple(lens.results)
    differences = [result.difference for result in results if result.problem is None]
    clauses = [words("each layer's output → {}", path)]
    if differences:
        template = "the last layer's logits differ from the model's by {}"
        clauses.append(words(template, f"{max(differences):.2g}"))
    through: FactPairs = [(words("lens"), line(joined(clauses, "; ")))] if lens.through else []
    facts = Facts([*model_facts(lens.model), *through])
    items = [part for result in results for part in item_parts(result, view)]
    return [facts, *note_parts(lens.notes), *items]


def item_parts(result: LensResult, view: View) -> list[Part]:
    """Return the map of one prompt and the table of its last position, or its error."""
    if result.problem is not None:
        return problem_parts(result.index, result.problem)
    return [_map(result, view), _last_position(result)]


def csv_table(lens: Lens, view: View) -> TableData:
    """Return one row for each layer and position."""
    keys = (
        "index", "prompt", "layer", "position", "id", "token", "bytes", "probability", "rank_of_prediction",
        "error", "extra",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for result in lens.results:
        if result.problem is not None:
            rows.append((result.index, text_of(result), *[""] * 7, *problem_cells(result)))
        rows += [
            (
                result.index, text_of(result), layer.path, cell.position, cell.best.id, cell.best.text,
                hex_of(cell.best.bytes), cell.best.probability, cell.rank_of_prediction,
                *problem_cells(result),
            )
            for layer in result.layers
            for cell in layer.cells
        ]  # fmt: skip
    return TableData.plain(keys, rows)


def _map(result: LensResult, view: View) -> Table:
    """Return a row for each layer, and a column for each of the last positions."""
    tokens = result.tokens
    room = _MOST_POSITIONS
    if view.width is not None:
        room = max(1, (view.width - _LAYER_WIDTH) // (_CELL_WIDTH + _GAP))
    count = len(tokens) if view.full else min(len(tokens), room)
    positions = range(len(tokens) - count, len(tokens))
    width = _cell_width(count, view)

    def cell(each: LensCell) -> str:
        return shortened_to(token_or_id(each.best.token), width)

    columns = [Column("layer", words("Layer"))]
    for position in positions:
        label = shortened_to(token_or_id(tokens[position]), width - len(str(position)) - 1)
        columns.append(Column(str(position), f"{position} {label}", cell, role_of=_role, detail_of=_rank))
    rows = [(layer.path, *(layer.cells[position] for position in positions)) for layer in result.layers]
    lines = []
    if count < len(tokens):
        text = words("the last {} of {} positions; --full shows all", count, len(tokens))
        lines.append(line(text, "quiet"))
    title = words("After each token of {}, layer by layer", prompt_title(result))
    return Table(TableData(columns, rows), title, lines, legend=_legend())


def _last_position(result: LensResult) -> Table:
    """Return a row for each layer: its candidates after the last token, and its rank of the prediction."""
    prediction = result.layers[-1].candidates[0]
    columns = [
        Column("layer", words("Layer")),
        Column("rank", words("Rank of {}", token_or_id(prediction.token)), "{:,}".format, is_number=True),
        Column("candidates", words("Its next tokens"), units_of=next_tokens, role="strong"),
    ]
    rows = [(layer.path, layer.rank_of_prediction, layer.candidates) for layer in result.layers]
    return Table(TableData(columns, rows), words("After the last token"))


def _cell_width(count: int, view: View) -> int:
    """Return the columns of one of `count` cells: those of few positions have room for whole tokens."""
    if view.width is None:
        return _MOST_CELL_WIDTH
    room = (view.width - _LAYER_WIDTH) // max(count, 1) - _GAP
    return min(max(room, _CELL_WIDTH), _MOST_CELL_WIDTH)


def _role(cell: LensCell) -> str:
    return next((role for rank, role in _ROLES if cell.rank_of_prediction <= rank), "quiet")


def _rank(cell: LensCell) -> str:
    return words("rank {}", f"{cell.rank_of_prediction:,}")


def _legend() -> Legend:
    tints = [("1" if rank == 1 else words("up to {}", rank), role) for rank, role in _ROLES]
    return Legend(
        words(_COLOR_LEGEND),
        [*tints, (words("beyond"), "quiet")],
        words("cells: the most likely token of the layer"),
        words(
            "cells: the most likely token of the layer, and the rank that the layer gives to the model's "
            "prediction"
        ),
    )


_COLOR_LEGEND = (
    "cells: the most likely token of the layer; colour: rank that the layer gives to the model's prediction: "
)
