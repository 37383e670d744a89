"""The parts of a report in the language of the reader. Renderers after this one see plain text."""

from __future__ import annotations

from gptrace.report.mapped_parts import with_texts
from gptrace.report.parts import Part
from gptrace.translation import in_language


def translated(parts: list[Part], language: str) -> list[Part]:
    """Return parts with their words in a language; names, tokens and figures stay as they are."""
    if language == "en":
        return parts
    return [with_texts(part, lambda text: in_language(text, language)) for part in parts]
