"""The topics of an explanation, as they are read: a mark, the claim, and below it the figures."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gptrace.record import Claim, Topic
from gptrace.report.safe_text import visible

# Longer lines are hard to read, however wide the terminal is.
WIDTH = 100
_MARKS = {True: ("✓", "bold green"), False: ("✗", "bold red"), None: ("–", "dim")}


def mark(claim: Claim) -> str:
    """Return the mark of a claim: it holds, it does not, or it does not apply."""
    return _MARKS[claim.holds][0]


def parts(topic: Topic) -> list[RenderableType]:
    """Return a topic as its title and a grid of claims."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for number, claim in enumerate(topic.claims):
        if number:
            grid.add_row("", "")
        grid.add_row(Text(*_MARKS[claim.holds]), Text(visible(claim.text)))
        grid.add_row("", Text(visible(claim.measured), style="dim" if claim.holds is None else "cyan"))
    return [Text(visible(topic.title), style="bold"), grid]
