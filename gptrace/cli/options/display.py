"""What a report shows: rows and columns of a trace, and how values are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from gptrace.cli.options.option import option
from gptrace.report.columns import ALL_COLUMNS

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
        "Show the modules with this name or path, as in att or 'trf_blocks.0.*', and the modules in and "
        "around them.",
    ),
]
Type = Annotated[
    str | None,
    option(
        "--type GLOB",
        "Show the calls of this type, as in Linear, or with --ops the operations, as in softmax.",
    ),
]
Ops = Annotated[
    bool, option("--ops", "Also show the operations between the modules, with their source lines.")
]
Columns = Annotated[
    str | None,
    option(
        "--columns NAMES", variable=True,
        help=f"Columns of the table, separated by commas: {', '.join(ALL_COLUMNS)}; or all. The values of a "
        "column are measured, and are in the JSON too.",
    ),
]  # fmt: skip
LogProbabilities = Annotated[
    bool, option("--logprobs", "Also show log-probabilities in the table; JSON always has them.")
]

Expect = Annotated[
    Path | None,
    option("--expect FILE", "Compare with a kept trace, as `gptrace diff` does; exit code 1 if they differ."),
]
Rtol = Annotated[float, option("--rtol NUMBER", "Largest relative difference of values that count as equal.")]
Atol = Annotated[float, option("--atol NUMBER", "Largest absolute difference of values that count as equal.")]
