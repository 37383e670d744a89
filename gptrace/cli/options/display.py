"""What a report shows: rows and columns of a trace, and how values are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from gptrace.cli.options.option import option
from gptrace.report.columns import ALL_COLUMNS
from gptrace.report.view import THEMES

PAGE_FILE = "gptrace.html"

FullTrace = Annotated[bool, option("--full", "Show every call, without folding equal blocks.")]
FullText = Annotated[bool, option("--full", "Show every token of a long text.")]
Depth = Annotated[
    int | None,
    option("--depth INTEGER", "Show calls down to this depth; sums still include the deeper ones.", least=0),
]
Only = Annotated[
    str | None,
    option(
        "--only GLOB",
        "Show only the modules with this name or path, such as att or 'trf_blocks.0.*', with their parents "
        "and submodules.",
    ),
]
Type = Annotated[
    str | None,
    option(
        "--type GLOB",
        "Show only the calls of this type, such as Linear; with --ops also operations, such as softmax.",
    ),
]
TypeSaved = Annotated[
    str | None,
    option(
        "--type GLOB",
        "Show only the calls of this type, such as Linear, or saved operations, such as softmax.",
    ),
]
Ops = Annotated[
    bool, option("--ops", "Also show the operations between the modules, with their source lines.")
]
Columns = Annotated[
    str | None,
    option(
        "--columns NAMES", variable=True,
        help=f"Columns of the table, separated by commas: {', '.join(ALL_COLUMNS)}; or all. What these "
        "columns need is measured, and added to the JSON.",
    ),
]  # fmt: skip
ColumnsSaved = Annotated[
    str | None,
    option(
        "--columns NAMES", variable=True,
        help=f"Columns of the table, separated by commas: {', '.join(ALL_COLUMNS)}; or all. The file must "
        "hold what they need.",
    ),
]  # fmt: skip
LogProbabilities = Annotated[
    bool, option("--logprobs", "Also show log-probabilities in the table; JSON always has them.")
]

Expect = Annotated[
    Path | None,
    option(
        "--expect FILE", "Compare with a saved trace, as `gptrace diff` does; exit code 1 if they differ."
    ),
]
OnlyChecks = Annotated[
    list[str] | None,
    option("--only NAME", "Run only this check, as --list names it. Repeatable.  [default: all]"),
]
Learns = Annotated[bool, option("--learns", "Also train a copy on one batch, which it must learn by heart.")]
Devices = Annotated[
    bool,
    option("--devices", "Also compare the devices of this machine, and the implementations of attention."),
]
Dtypes = Annotated[bool, option("--dtypes", "Also compare float32 and bfloat16.")]
CheckLines = Annotated[
    bool,
    option(
        "--check",
        "Also check the model, as gptrace check does, and mark the lines that are wrong; exit code 1 if "
        "there are any.",
    ),
]
WriteComments = Annotated[
    bool,
    option(
        "--write", "Write the shapes as comments into the file itself, in place of those of an earlier run."
    ),
]
RemoveComments = Annotated[bool, option("--remove", "Remove from the file the comments that --write made.")]
DiffComments = Annotated[
    bool, option("--diff", "Show the changes that --write, or --remove, would make, as a diff.")
]
FullCode = Annotated[bool, option("--full", "Show every line of the functions that ran.")]
ListChecks = Annotated[bool, option("--list", "List the checks, each with what must hold.")]
Open = Annotated[
    bool,
    option("--open", f"Open the page in a browser; without --output, it is written to {PAGE_FILE}."),
]
CheckToo = Annotated[bool, option("--check", "Also run gptrace check, and show its findings on the page.")]
Landscape = Annotated[bool, option("--landscape", "Draw a 16:9 SVG, for a slide.")]
Theme = Annotated[
    str | None,
    option(
        f"--theme {'|'.join(THEMES)}", variable=True,
        help="Colours of HTML and SVG.  [default: HTML follows the reader's system, SVG is light]",
    ),
]  # fmt: skip
Rtol = Annotated[float, option("--rtol NUMBER", "Relative tolerance for comparing values.")]
Atol = Annotated[float, option("--atol NUMBER", "Absolute tolerance for comparing values.")]
