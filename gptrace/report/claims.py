"""The topics of an explanation, as they are read: a mark, the claim, and the figures below it."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from gptrace.record import Claim, Topic
from gptrace.report.prose import lines
from gptrace.report.safe_text import visible

# Longer lines are hard to read, however wide the terminal is.
WIDTH = 100
_INDENT = 2
_MARKS = {True: ("✓", "bold green"), False: ("✗", "bold red"), None: ("–", "dim")}


def mark(claim: Claim) -> str:
    """Return the mark of a claim: it holds, it does not, or it does not apply."""
    return _MARKS[claim.holds][0]


def parts(topic: Topic, width: int) -> list[RenderableType]:
    """Return a topic as its title and its claims, indented below their marks."""
    found = [Text(visible(topic.title), style="bold")]
    for number, claim in enumerate(topic.claims):
        found += [Text("")] * bool(number)
        first, *rest = lines(visible(claim.text), width - _INDENT)
        found.append(Text.assemble(_MARKS[claim.holds], " ", first))
        found += [Text(" " * _INDENT + line) for line in rest]
        style = "dim" if claim.holds is None else "cyan"
        found += [
            Text(" " * _INDENT + line, style=style)
            for line in lines(visible(claim.measured), width - _INDENT)
        ]
    return list(found)
