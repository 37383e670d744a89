"""A continuation as it is written to a terminal: the report's lines, with the text in between as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

from rich.text import Text

from gptrace.record import Generation, GenerationResult, Prompt
from gptrace.report import header
from gptrace.report.answer_facts import ending
from gptrace.report.answer_sheets import before, readable
from gptrace.report.document import document
from gptrace.report.terminal import console, to_text
from gptrace.report.view import View


class LiveText:
    """Turns what happens into what is written."""

    def __init__(self, view: View) -> None:
        self._view = view

    def head(self, report: Generation) -> str:
        """Return the lines about the model and how it picks."""
        return to_text(document(replace(report, results=(), notes=()), self._view), self._view)

    def prompt(self, prompt: Prompt) -> str:
        """Return a prompt, after which its continuation is to stand."""
        return "\n" + self._styled(before(prompt), "dim")

    def piece(self, text: str) -> str:
        """Return a piece of text; the terminal itself breaks its lines."""
        return self._styled(readable(text), "bold")

    def ending(self, result: GenerationResult, notes: Sequence[str]) -> str:
        """Return what is said of a continuation that is whole."""
        text = "" if result.text is not None else self.piece(" ".join(str(one.id) for one in result.tokens))
        out = StringIO()
        console(out, self._view).print(ending(result), *map(header.note, notes), sep="\n")
        return f"{text}\n{out.getvalue()}"

    def _styled(self, text: str, style: str) -> str:
        out = StringIO()
        wide = console(out, replace(self._view, width=None))
        wide.print(Text(text, style=style), end="", soft_wrap=True)
        return out.getvalue()
