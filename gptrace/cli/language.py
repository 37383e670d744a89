"""The language of what goes to stderr, and whether a stream can show it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TextIO

from gptrace.cli.sink import encoding_of
from gptrace.errors import OptionError
from gptrace.translation import checked_language, in_language, language_of_environment

_language = "en"


def set_language(language: str) -> None:
    """Set the language of notes, errors and hints."""
    global _language
    _language = language


def language_of(arguments: Sequence[str]) -> str:
    """Return the language for errors while the command line is not parsed yet."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    given = [argument.partition("=")[2] for argument in options if argument.startswith("--lang=")]
    given += [value for name, value in pairwise(options) if name == "--lang"]
    try:
        return checked_language(given[-1]) if given else language_of_environment()
    except OptionError:
        return "en"


def spoken(text: str, stream: TextIO | None) -> str:
    """Return a text in the language of this run, or in English where the stream has no Chinese characters."""
    return in_language(text, _language if can_show(_language, stream) else "en")


def can_show(language: str, stream: TextIO | None) -> bool:
    """Tell whether a stream has the characters of a language: Big5 and Shift JIS lack simplified ones."""
    try:
        ("这个词，：（）" if language == "zh" else "").encode(encoding_of(stream))
    except (UnicodeEncodeError, LookupError):
        return False
    return True
