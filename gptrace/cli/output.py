"""What a command wants written, and where: settled before any work is done."""

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
class CommandResult:
    """What a command wants written: a record in some form, or text; to `output`, or else to stdout.

    `live`: each piece is written as soon as it is made. `ending` is asked when all is written whether there
    is an error to tell of.
    """

    content: Report | str
    form: str = "table"
    output: Path | None = None
    width: int | None = None
    view: View = field(default_factory=View)
    live: bool = False
    ending: Callable[[], GptraceError | None] = lambda: None
    code: int = EXIT_DONE

    def pieces(self) -> Iterator[str]:
        """Render for where it goes, piece by piece: a terminal gets its own width and colour."""
        if isinstance(self.content, str):
            return iter([self.content])
        to_stdout = self.output is None
        view = replace(
            self.view,
            width=self.width or (streams.stdout_width() if to_stdout else None),
            color=to_stdout and streams.stdout_wants_color(),
        )
        return render_pieces(self.content, self.form, view)


@dataclass(frozen=True, slots=True)
class Destination:
    """Format, place and width of an output, checked before any work is done."""

    form: str
    output: Path | None
    width: int | None

    @classmethod
    def of(cls, form: str | None, json: bool, output: Path | None, width: int | None) -> Destination:
        """Settle --format, --json, --output and --width; raise OptionError for what cannot be."""
        output = checked(output)
        if json and form not in (None, "json"):
            raise OptionError(f"--json and --format {form} are both given", "drop one of the two")
        if json:
            form = "json"
        if form is None and output is not None:
            form = _SUFFIXES.get(output.suffix.lower())
            if form is None:
                known = ", ".join(_SUFFIXES)
                raise OptionError(
                    f"--output {output}: its suffix names no format", f"use {known}, or --format"
                )
        form = form or os.environ.get("GPTRACE_FORMAT") or "table"
        form = "table" if form == "text" else form
        if form not in FORMATS:
            raise OptionError(f"{form!r} is not a format", suggestion(form, FORMATS))
        return cls(form, output, width)

    def reply(self, record: Report, view: View | None = None) -> CommandResult:
        """Return the record as it is to be written here; `view` says which rows and columns of a tree."""
        return CommandResult(record, self.form, self.output, self.width, view or View())


def checked(output: Path | None) -> Path | None:
    """Find out now whether a file could not be written later; "-" is stdout."""
    if output is None or str(output) == "-":
        return None
    streams.check_writable(output)
    return output
