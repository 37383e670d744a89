"""What each layer would predict → sheets: a map of layers and positions, and what follows the last token."""

from __future__ import annotations

from rich.cells import set_cell_size
from rich.text import Text

from gptrace.record import Lens, LensCell, LensResult
from gptrace.report.safe_text import token_label
from gptrace.report.sheet import GAP, Column, Sheet
from gptrace.report.sheets import expected, plain_hex, prompt_title, text_of
from gptrace.report.view import View

# The rank that the model's prediction has in a layer, up to which a cell looks like that.
_STYLES = ((1, "bold green"), (10, "cyan"), (100, "yellow"))
_CELL = 12
_MOST_POSITIONS = 16
# What the column of the layers and the margin take.
_MARGIN = 18


def map_sheet(result: LensResult, view: View) -> Sheet:
    """A row for each layer, a column for each of the last positions, the likeliest token in each cell."""
    tokens = result.prompt.tokens
    fitting = _MOST_POSITIONS if view.width is None else max(1, (view.width - _MARGIN) // (_CELL + GAP))
    count = len(tokens) if view.full else min(len(tokens), fitting)
    positions = range(len(tokens) - count, len(tokens))
    columns = [Column("layer", "Layer")]
    for position in positions:
        title = f"{position} {_short(token_label(tokens[position]), _CELL - len(str(position)) - 1)}"
        columns.append(Column(str(position), title, _cell, style_of=_style))
    rows = [(layer.path, *(layer.cells[position] for position in positions)) for layer in result.layers]
    lines = [_legend()]
    if count < len(tokens):
        lines.append(Text(f"the last {count} of {len(tokens)} positions; --full shows all", style="dim"))
    title = f"After each token of {prompt_title(result.prompt)}, layer by layer"
    return Sheet(columns, rows, title, lines)


def last_sheet(result: LensResult) -> Sheet:
    """A row for each layer: its candidates after the last token, and its rank of what the model predicts."""
    prediction = result.layers[-1].candidates[0]
    columns = [
        Column("layer", "Layer"),
        Column("rank", f"Rank of {token_label(prediction.token)}", lambda rank: f"{rank:,}", is_number=True),
        Column("candidates", "Its next tokens", expected, style="bold"),
    ]
    rows = [(layer.path, layer.rank_of_prediction, layer.candidates) for layer in result.layers]
    return Sheet(columns, rows, "After the last token")


def flat_lens(lens: Lens) -> Sheet:
    """One row for each layer and position, for programs."""
    keys = (
        "index", "prompt", "layer", "position", "id", "token", "bytes", "probability", "rank_of_prediction",
    )  # fmt: skip
    rows = [
        (
            result.index, text_of(result.prompt), layer.path, position, token.id, token.text,
            plain_hex(token), cell.best.probability, cell.rank_of_prediction,
        )
        for result in lens.results
        for layer in result.layers
        for position, cell in enumerate(layer.cells)
        for token in [cell.best.token]
    ]  # fmt: skip
    return Sheet([Column(key, key) for key in keys], rows)


def _cell(cell: LensCell) -> str:
    return _short(token_label(cell.best.token), _CELL)


def _style(cell: LensCell) -> str:
    return next((style for most, style in _STYLES if cell.rank_of_prediction <= most), "dim")


def _short(label: str, width: int) -> str:
    return label if len(label) <= width else set_cell_size(label, max(1, width - 1)).rstrip() + "…"


def _legend() -> Text:
    parts: list[tuple[str, str]] = [
        ("cells: the likeliest token; coloured by the rank that the prediction has there: ", "dim")
    ]
    parts += [(f"{'the first' if most == 1 else f'up to {most}'}  ", style) for most, style in _STYLES]
    return Text.assemble(*parts, ("beyond", "dim"))
