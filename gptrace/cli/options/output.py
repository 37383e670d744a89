"""The format, the place and the width of the output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from gptrace.cli.options.parsers import whole_number
from gptrace.cli.output import Destination

_Format = Annotated[
    str | None,
    typer.Option(
        "--format", "-f", metavar="NAME",
        help="One of table (or text), json, jsonl, csv, markdown, html.  "
        "[env var: GPTRACE_FORMAT; default: table]",
    ),
]  # fmt: skip
_Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE",
        help="Write to FILE, whole or not at all; .json, .jsonl, .csv, .md, .html or .txt picks the format.",
    ),
]  # fmt: skip
_Width = Annotated[
    int | None,
    typer.Option(
        "--width", metavar="INTEGER", parser=whole_number("--width", least=40), envvar="GPTRACE_WIDTH",
        help="Width of the table in characters.  "
        "[default: the terminal's; in a pipe or a file as wide as the table needs]",
    ),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The format, the place and the width of the output."""

    title: ClassVar = "Output"

    format: _Format = None
    json: _Json = False
    file: OutputFile = None
    width: _Width = None

    def destination(self) -> Destination:
        """Check the options, before any work is done."""
        return Destination.parse(self.format, self.json, self.file, self.width)
