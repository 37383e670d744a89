"""The result of a command, and the destination that it is written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gptrace.cli import output_file, streams
from gptrace.cli.language import set_language
from gptrace.errors import EXIT_DONE, GptraceError, OptionError
from gptrace.ranks import rank
from gptrace.record import Report
from gptrace.report import FORMATS, View, render_pieces
from gptrace.report.glyphs import has_all_glyphs, in_encoding
from gptrace.report.view import checked_theme
from gptrace.translation import checked_language, language_of_environment
from gptrace.wording import suggestion

if TYPE_CHECKING:
    from gptrace.cli.resumed import KeptResults

_SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".md": "markdown",
    ".html": "html",
    ".svg": "svg",
    ".txt": "table",
}
# Formats that some commands alone write, with the suffixes of their files.
JUNIT = {"junit": (".xml",)}
PICTURES = {"mermaid": (".mmd", ".mermaid"), "dot": (".dot", ".gv")}
_WRITTEN_BY = {"junit": "check", "mermaid": "run", "dot": "run"}
# Formats that are the same in every language.
_FOR_PROGRAMS = ("json", "jsonl", "csv")
_FOR_PEOPLE = ("table", "markdown")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an output goes: `file` None is stdout, `width` None the terminal's."""

    format: str = "table"
    file: Path | None = None
    width: int | None = None
    language: str = "en"
    theme: str | None = None

    @classmethod
    def parse(
        cls, format: str | None, json: bool, file: Path | None, width: int | None, lang: str | None = None,
        theme: str | None = None, *, more: Mapping[str, Sequence[str]] | None = None,
    ) -> Destination:  # fmt: skip
        """Check the options of the output; raise OptionError for what cannot be.

        From here on, notes and errors are in the language of the output, too. The format is that of --json
        or --format, of the file's suffix, or of the variable GPTRACE_FORMAT. `more` are formats of this
        command beside those that all have, with their suffixes.
        """
        language = settled_language(lang)
        own = more or {}
        formats = (*FORMATS, *own)
        suffixes = _SUFFIXES | {suffix: name for name in own for suffix in own[name]}
        file = checked_file(file)
        if json and format not in (None, "json"):
            raise OptionError(f"--json and --format {format} are both given", "drop one of the two")
        origin = ""
        if json:
            format = "json"
        if format is None and file is not None:
            format = suffixes.get(file.suffix.lower())
            if format is None:
                known = ", ".join(suffixes)
                raise OptionError(f"--output {file}: its suffix names no format", f"use {known}, or --format")
        if format is None and (format := os.environ.get("GPTRACE_FORMAT") or None):
            origin = variable_origin("GPTRACE_FORMAT")
        format = "table" if format in (None, "text") else format
        if format not in formats and format in _WRITTEN_BY:
            hint = f"gptrace {_WRITTEN_BY[format]} writes it; here, pick one of {', '.join(formats)}"
            raise OptionError(f"{format} is no format of this command", hint + origin)
        if format not in formats:
            raise OptionError(f"{format!r} is not a format", suggestion(format, formats) + origin)
        if file is None and format not in _FOR_PROGRAMS:
            language = streams.language_of_stdout(language)
        return cls(format, file, width, language, None if theme is None else checked_theme(theme))

    @property
    def is_read_on_stdout(self) -> bool:
        """Whether a person reads the report where errors are shown, too."""
        return self.file is None and self.format in _FOR_PEOPLE and rank() == 0

    @property
    def is_picture(self) -> bool:
        """Whether a trace is drawn, and not written."""
        return self.format == "svg" or self.format in PICTURES

    def check_landscape(self, landscape: bool) -> None:
        """Raise an OptionError where the option is given for another format than SVG."""
        if landscape and self.format != "svg":
            raise OptionError(f"--landscape is for svg, and the format is {self.format}", "use -o FILE.svg")

    def result(self, record: Report, view: View | None = None) -> CommandResult:
        """Return the result that writes a record here; `view` says which rows and columns it shows."""
        return CommandResult(record, self, view or View())


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A record or a text, and the destination to write it to.

    `is_live`: each piece is written as soon as it is made. `final_error` is called when all is written, and
    returns the error to end with, if there is one. Without an error, `exit_code` is the command's.
    """

    content: Report | str
    destination: Destination = field(default_factory=Destination)
    view: View = field(default_factory=View)
    is_live: bool = False
    final_error: Callable[[], GptraceError | None] = lambda: None
    exit_code: int = EXIT_DONE
    # How many bytes of the file stay, where the output is added to it; None: the file is replaced.
    kept: KeptResults | None = None

    def pieces(self) -> Iterator[str]:
        """Yield the output piece by piece; on stdout it takes the terminal's width and colour."""
        to_stdout = self.destination.file is None
        encoding = streams.stdout_encoding() if to_stdout else "utf-8"
        if isinstance(self.content, str):
            return iter([in_encoding(self.content, encoding)])
        view = replace(
            self.view,
            lang=self.destination.language,
            theme=self.destination.theme,
            width=self.destination.width or (streams.stdout_width() if to_stdout else None),
            color=to_stdout and streams.stdout_wants_color(),
            encoding=encoding,
        )
        pieces = render_pieces(self.content, self.destination.format, view)
        if has_all_glyphs(encoding):
            return pieces
        if self.destination.format == "mermaid":
            from gptrace.report.pictures.mermaid import mermaid_in_encoding  # it imports rich

            return (mermaid_in_encoding(piece, encoding) for piece in pieces)
        if self.destination.format in ("html", "svg", "dot"):  # which read characters by their numbers
            return (piece.encode("ascii", "xmlcharrefreplace").decode() for piece in pieces)
        is_text = self.destination.format == "markdown"
        return (in_encoding(piece, encoding) for piece in pieces) if is_text else pieces


def settled_language(lang: str | None) -> str:
    """Return the language of --lang, or else of the environment, and let notes and errors be in it."""
    language = language_of_environment() if lang is None else checked_language(lang)
    set_language(language)
    return language


def checked_file(file: Path | None) -> Path | None:
    """Return the file of --output, None for "-"; raise OptionError if it cannot be written."""
    if file is None or str(file) == "-":
        return None
    output_file.check_writable(file)
    return file


def variable_origin(variable: str) -> str:
    """Return the end of a hint about a value that comes from an environment variable."""
    return f"; the value comes from the variable {variable}"
