"""The result of a command, and the destination that it is written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from gptrace.cli import streams
from gptrace.errors import EXIT_DONE, GptraceError, OptionError
from gptrace.record import Report
from gptrace.report import FORMATS, View, render_pieces
from gptrace.wording import suggestion

_SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".md": "markdown",
    ".html": "html",
    ".txt": "table",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """The format, file and width of an output; `file` None is stdout, `width` None the terminal's."""

    format: str = "table"
    file: Path | None = None
    width: int | None = None

    @classmethod
    def parse(
        cls, format: str | None, json: bool, file: Path | None, width: int | None, *, junit: bool = False
    ) -> Destination:  # fmt: skip
        """Check --format, --json, --output and --width; raise OptionError for what cannot be.

        The format is that of --json or --format, of the file's suffix, or of the variable GPTRACE_FORMAT.
        `junit` allows JUnit XML, which only `gptrace check` writes.
        """
        formats = (*FORMATS, "junit") if junit else tuple(FORMATS)
        suffixes = _SUFFIXES | ({".xml": "junit"} if junit else {})
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
        if format not in formats:
            raise OptionError(f"{format!r} is not a format", suggestion(format, formats) + origin)
        return cls(format, file, width)

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
    kept_bytes: int | None = None

    def pieces(self) -> Iterator[str]:
        """Yield the output piece by piece; on stdout it takes the terminal's width and colour."""
        if isinstance(self.content, str):
            return iter([self.content])
        to_stdout = self.destination.file is None
        view = replace(
            self.view,
            width=self.destination.width or (streams.stdout_width() if to_stdout else None),
            color=to_stdout and streams.stdout_wants_color(),
        )
        return render_pieces(self.content, self.destination.format, view)


def checked_file(file: Path | None) -> Path | None:
    """Return the file of --output, None for "-"; raise OptionError if it cannot be written."""
    if file is None or str(file) == "-":
        return None
    streams.check_writable(file)
    return file


def variable_origin(variable: str) -> str:
    """Return the end of a hint about a value that comes from an environment variable."""
    return f"; the value comes from the variable {variable}"
