"""A continuation in a terminal: the report's lines, and between them the text as it comes."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gptrace.record import Generation, GenerationResult
from gptrace.report import outputs
from gptrace.report.common_parts import note_text
from gptrace.report.outputs.generate import ending, prompt_text
from gptrace.report.parts import Lines, Part, line
from gptrace.report.safe_text import visible_lines
from gptrace.report.terminal import line_text, to_text
from gptrace.report.translated_parts import translated
from gptrace.report.view import View
from gptrace.translation import in_language


class LiveText:
    """Turns each step of a generation into the text to write."""

    def __init__(self, view: View) -> None:
        self._view, self._language = view, view.language_of(None)

    def head(self, report: Generation) -> str:
        """Return the lines about the model and the decoding."""
        return to_text(outputs.parts(replace(report, results=(), notes=()), self._view), self._view)

    def prompt(self, text: str | None, ids: tuple[int, ...]) -> str:
        """Return a prompt, after which its continuation is to stand."""
        return "\n" + self._styled(in_language(prompt_text(text, ids), self._language), "prompt")

    def continuation(self, text: str) -> str:
        """Return a part of the continuation; the terminal itself breaks its lines."""
        return self._styled(visible_lines(text), "continuation")

    def ending(self, result: GenerationResult, notes: Sequence[str]) -> str:
        """Return the lines below a finished continuation."""
        text = "" if result.text is not None else self.continuation(" ".join(map(str, result.new_ids)))
        below: list[Part] = [Lines([ending(result), *(line(note_text(note)) for note in notes)])]
        below = translated(below, self._language)
        return f"{text}\n{to_text(below, self._view)}"

    def _styled(self, text: str, role: str) -> str:
        return line_text(line(text, role), self._view, end="")
