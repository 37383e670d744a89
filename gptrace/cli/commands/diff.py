"""`gptrace diff`: the first place where two traces differ."""

from __future__ import annotations

from typing import Annotated

import typer

from gptrace.cli.options.display import Atol, Rtol
from gptrace.cli.options.groups import OutputOptions
from gptrace.cli.output import CommandResult
from gptrace.cli.saved import difference_result, read_trace
from gptrace.errors import InputError
from gptrace.verify.diff import DEFAULT_ATOL, DEFAULT_RTOL, diff_traces


def diff(
    a: Annotated[str, typer.Argument(metavar="A", hidden=True)],
    b: Annotated[str, typer.Argument(metavar="B", hidden=True)],
    output: OutputOptions,
    rtol: Rtol = DEFAULT_RTOL,
    atol: Atol = DEFAULT_ATOL,
) -> CommandResult:
    """Compare two traces and show the first call that differs.

    Shows the calls that were added, removed or changed, and the first one whose values differ. A and B are
    files that `gptrace run --json` wrote; one of them may be '-', stdin. Operations and values are compared
    where both hold them: make both with --ops, and with --columns mean. Next tokens are not compared. The
    exit code is 0 if what is compared is the same, 1 if it differs.
    """
    destination = output.destination()
    if a == b == "-":
        raise InputError("'-' stands for stdin, and is given twice", "stdin can be read only once")
    first, second = read_trace(a), read_trace(b)
    return difference_result(diff_traces(first, second, names=(a, b), rtol=rtol, atol=atol), destination)
