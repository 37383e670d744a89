"""Candidates for a next token: their table after one prompt, and as one cell of another table."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.record import Candidate
from gptrace.report.common_parts import AnyPrompt, percent, prompt_title
from gptrace.report.parts import Table
from gptrace.report.safe_text import token_label, token_or_id
from gptrace.report.table_data import Column, TableData
from gptrace.translation import words

_BAR_WIDTH = 12  # characters


def candidates_table(
    prompt: AnyPrompt,
    candidates: Sequence[Candidate],
    chosen: Sequence[Candidate] = (),
    *,
    log_probabilities: bool = False,
) -> Table:
    """Return the candidates after a prompt, and below them the `chosen` ones that are not among them.

    The bar compares probabilities with each other: the largest fills it.
    """
    largest = max((candidate.probability for candidate in candidates), default=0.0)

    def share(probability: float) -> float:
        return probability / largest if largest > 0 else 0.0

    log_title = words("Log-probability") if log_probabilities else None
    columns = [
        Column("rank", words("Rank"), is_number=True),
        Column("token", words("Next token"), token_label, role="strong"),
        Column("id", words("Id"), is_number=True),
        Column("probability", words("Probability"), percent, is_number=True),
        Column("bar", "", lambda value: bar_of(share(value)), role="bar", drop_order=1, share_of=share),
        Column("log", log_title, "{:.4f}".format, is_number=True),
        Column("logit", words("Logit"), "{:.4f}".format, is_number=True, drop_order=2),
    ]
    shown = [*candidates, *(candidate for candidate in chosen if candidate not in candidates)]
    rows = [(c.rank, c.token, c.id, c.probability, c.probability, c.log_probability, c.logit) for c in shown]
    return Table(TableData(columns, rows), title=words("After {}", prompt_title(prompt)))


def next_tokens(candidates: Sequence[Candidate], *, log_probabilities: bool = False) -> list[str]:
    """Return candidates with their probabilities, none of which a line break may split."""
    return [
        f"{token_or_id(each.token)} {figures_of(each, log_probabilities=log_probabilities)}"
        for each in candidates
    ]


def figures_of(candidate: Candidate, *, log_probabilities: bool) -> str:
    """Return the probability of a candidate, and its logarithm in brackets if that is asked for."""
    text = percent(candidate.probability)
    return f"{text} ({candidate.log_probability:.4f})" if log_probabilities else text


def bar_of(share: float) -> str:
    """Draw a share of 1 with eighths of a block.

    >>> bar_of(1.0), bar_of(0.5), bar_of(0.01)
    ('████████████', '██████', '▏')
    """
    eighths = max(1, round(share * _BAR_WIDTH * 8)) if share > 0 else 0
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
