"""`gptrace loss`: the tokens of each text, and the probability that the model gave each of them."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Sequence

from gptrace.record import Loss, LossResult, LossStream, ScoredToken
from gptrace.record.loss import LossTotal
from gptrace.report.common_parts import (
    FactPairs,
    hex_of,
    model_facts,
    note_parts,
    percent,
    problem_cells,
    problem_parts,
    prompt_title,
)
from gptrace.report.counted import counted_tokens
from gptrace.report.parts import Facts, Legend, Lines, Part, Table, TintedPiece, line
from gptrace.report.safe_text import token_label, visible_lines
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import joined, words

# The role of a token by its probability: at least so high; the last one is for all below.
_ROLES = (
    (0.5, "likely"), (0.1, "fairly likely"), (0.01, "possible"), (0.0001, "unlikely"), (0.0, "very unlikely"),
)  # fmt: skip
_MOST_ROWS = 64
_ROWS_OF_LONG_TEXT = 10


def parts(loss: Loss, view: View) -> list[Part]:
    """Return the header, and a table for each text."""
    items = [part for result in loss.results for part in item_parts(result, view)]
    return [Facts([*model_facts(loss.model), *_facts(loss)]), *note_parts(loss.notes), *items]


def item_parts(result: LossResult, view: View) -> list[Part]:
    """Return the table of one text, or its error: of a long one, the tokens with the highest surprisal."""
    if result.problem is not None:
        return problem_parts(result.index, result.problem)
    columns = [
        Column("position", words("Position"), is_number=True),
        Column("token", words("Token"), token_label, role="strong"),
        Column("id", words("Id"), is_number=True, drop_order=1),
        Column("probability", words("Probability"), _probability, is_number=True, role_of=_role),
        Column("rank", words("Rank"), _rank, is_number=True),
        Column("surprisal", words("Surprisal"), _surprisal, is_number=True),
    ]
    rows = [
        (position, scored.token, scored.id, scored.probability, scored.rank, scored.log_probability)
        for position, scored in enumerate(result.tokens)
    ]
    is_tinted, lines = len(rows) > 1, []
    if len(rows) > _MOST_ROWS and not view.full:
        rows = sorted(rows[1:], key=lambda row: (row[5] or 0.0, row[0]))[:_ROWS_OF_LONG_TEXT]
        template = "the {} of {} tokens with the highest surprisal; --full shows all"
        text = words(template, _ROWS_OF_LONG_TEXT, f"{len(result.tokens):,}")
        lines.append(line(text, "quiet"))
    title = words("{}: {}", prompt_title(result), loss_text(result.loss, result.perplexity))
    tinted, legend = (_tinted_text(result.tokens), _legend()) if is_tinted else ((), None)
    return [Table(TableData(columns, rows), title, lines, tinted, legend)]


def csv_table(loss: Loss, view: View) -> TableData:
    """Return one row for each token of each text."""
    keys = (
        "index", "position", "id", "token", "bytes", "log_probability", "probability", "rank", "error",
        "extra",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for result in loss.results:
        if result.problem is not None:
            rows.append((result.index, *[""] * 7, *problem_cells(result)))
        rows += [
            (
                result.index, position, scored.id, scored.text, hex_of(scored.bytes),
                *("" if value is None else value
                  for value in (scored.log_probability, scored.probability, scored.rank)),
                *problem_cells(result),
            )
            for position, scored in enumerate(result.tokens)
        ]  # fmt: skip
    return TableData.plain(keys, rows)


def closing_parts(loss: Loss | LossStream, view: View) -> list[Part]:
    """Return what is known at the end of a stream: the loss of all texts together."""
    total = loss.total
    if total.loss is None:
        return []
    return [Lines([line(words("together: {}", _total_text(total)))])]


def loss_text(loss: float | None, perplexity: float | None) -> str:
    """Return a loss and its perplexity in words.

    >>> loss_text(1.0, 2.718281828)
    'loss 1.0000, perplexity 2.718'
    """
    if loss is None or perplexity is None:
        return words("one token, so nothing is predicted")
    shown = f"{perplexity:.4g}" if perplexity < 1000 else f"{perplexity:,.0f}"
    return words("loss {}, perplexity {}", f"{loss:.4f}", shown)


def _total_text(total: LossTotal) -> str:
    return joined([loss_text(total.loss, total.perplexity), counted_tokens(total.tokens)])


def _facts(loss: Loss) -> FactPairs:
    facts: FactPairs = []
    if loss.total.loss is not None and len(loss.results) > 1:
        facts.append((words("together"), line(_total_text(loss.total))))
    if loss.uniform is not None:
        text = (
            "the loss is the mean surprisal, -ln p, in nats; equal probabilities for all tokens would give {}"
        )
        facts.append((words("measure"), line(words(text, f"{loss.uniform:.4f}"))))
    if loss.stride is not None:
        text = "windows as long as the context, each {} tokens after the one before"
        facts.append((words("windows"), line(words(text, loss.stride))))
    return facts


def _probability(probability: float | None) -> str:
    return "–" if probability is None else percent(probability)


def _rank(rank: int | None) -> str:
    return "–" if rank is None else f"{rank:,}"


def _surprisal(log_probability: float | None) -> str:
    return "–" if log_probability is None else f"{-log_probability:.4f}"


def _role(probability: float | None) -> str:
    if probability is None:
        return "quiet"
    return next((role for least, role in _ROLES if probability >= least), "")


def _tinted_text(tokens: Sequence[ScoredToken]) -> list[TintedPiece]:
    """Return the text, each token in the role of its probability."""
    pieces: list[TintedPiece] = []
    waiting: list[ScoredToken] = []  # parts of a character that is not whole yet
    decoder = getincrementaldecoder("utf-8")("replace")
    for scored in tokens:
        waiting.append(scored)
        is_last, is_unknown = scored is tokens[-1], scored.bytes is None
        text = decoder.decode(scored.bytes or b"", final=is_last or is_unknown)
        if is_unknown:
            text += scored.text if scored.text is not None else f" {scored.id}"
        if text or is_last:
            pieces.append(_piece(text, waiting))
            waiting = []
    return pieces


def _piece(text: str, tokens: Sequence[ScoredToken]) -> TintedPiece:
    """Return a text with the figures of its tokens: several where they share a character."""
    probabilities = [token.probability for token in tokens if token.probability is not None]
    figures = [
        words("{}, rank {}", percent(token.probability), _rank(token.rank))
        for token in tokens
        if token.probability is not None
    ]
    return TintedPiece(visible_lines(text), _role(min(probabilities, default=None)), joined(figures, "; "))


def _legend() -> Legend:
    tints = [(f"≥ {100 * least:g} %" if least else words("less"), role) for least, role in _ROLES]
    return Legend(words("probability "), tints)
