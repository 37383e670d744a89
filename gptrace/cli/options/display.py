"""What a report shows: rows and columns of a trace, and how values are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gptrace.cli.options.parsers import number, whole_number
from gptrace.report.columns import ALL_COLUMNS

FullTrace = Annotated[bool, typer.Option("--full", help="Show every call, without folding equal blocks.")]
FullText = Annotated[bool, typer.Option("--full", help="Show every token of a long text.")]
Depth = Annotated[
    int | None,
    typer.Option(
        "--depth", metavar="INTEGER", parser=whole_number("--depth", least=0),
        help="Show calls down to this depth; sums still include the deeper ones.",
    ),
]  # fmt: skip
Only = Annotated[
    str | None,
    typer.Option(
        "--only", metavar="GLOB",
        help="Show the modules with this name or path, as in att or 'trf_blocks.0.*', and the modules in and "
        "around them.",
    ),
]  # fmt: skip
Type = Annotated[
    str | None,
    typer.Option(
        "--type", metavar="GLOB",
        help="Show the calls of this type, as in Linear, or with --ops the operations, as in softmax.",
    ),
]  # fmt: skip
Ops = Annotated[
    bool, typer.Option("--ops", help="Also show the operations between the modules, with their source lines.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="NAMES", envvar="GPTRACE_COLUMNS",
        help=f"Columns of the table, separated by commas: {', '.join(ALL_COLUMNS)}; or all. The values of a "
        "column are measured, and are in the JSON too.",
    ),
]  # fmt: skip
LogProbabilities = Annotated[
    bool, typer.Option("--logprobs", help="Also show log-probabilities in the table; JSON always has them.")
]

Expect = Annotated[
    Path | None,
    typer.Option(
        "--expect", metavar="FILE",
        help="Compare with a kept trace, as `gptrace diff` does; exit code 1 if they differ.",
    ),
]  # fmt: skip
Rtol = Annotated[
    float,
    typer.Option(
        "--rtol", metavar="NUMBER", parser=number("--rtol"),
        help="Largest relative difference of values that count as equal.",
    ),
]  # fmt: skip
Atol = Annotated[
    float,
    typer.Option(
        "--atol", metavar="NUMBER", parser=number("--atol"),
        help="Largest absolute difference of values that count as equal.",
    ),
]  # fmt: skip
