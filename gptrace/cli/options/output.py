"""The format, the place and the width of the output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from gptrace.cli.options.option import option
from gptrace.cli.output import Destination

OutputFile = Annotated[
    Path | None,
    option(
        "--output -o FILE",
        "Write to FILE, whole or not at all; .json, .jsonl, .csv, .md, .html or .txt picks the format.",
    ),
]


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The format, the place and the width of the output."""

    title: ClassVar = "Output"

    format: Annotated[
        str | None,
        option(
            "--format -f NAME",
            "One of table (or text), json, jsonl, csv, markdown, html.  "
            "[env var: GPTRACE_FORMAT; default: table]",
        ),
    ] = None
    json: Annotated[bool, option("--json", "Short for --format json.")] = False
    file: OutputFile = None
    width: Annotated[
        int | None,
        option(
            "--width INTEGER", least=40, variable=True,
            help="Width of the table in characters.  "
            "[default: the terminal's; in a pipe or a file as wide as the table needs]",
        ),
    ] = None  # fmt: skip

    def destination(self) -> Destination:
        """Check the options, before any work is done."""
        return Destination.parse(self.format, self.json, self.file, self.width)
