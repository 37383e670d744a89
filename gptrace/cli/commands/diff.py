"""`gptrace diff`: the first place where two traces part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gptrace.cli import options
from gptrace.cli.option_groups import OutputOptions
from gptrace.cli.output import CommandResult, Destination
from gptrace.comparison import (
    DEFAULT_ATOL,
    DEFAULT_RTOL,
    Difference,
    compare,
    read_trace,
    read_trace_file,
)
from gptrace.errors import EXIT_DONE, EXIT_FAILED, InputError
from gptrace.text.source import read_stdin


def diff(
    a: Annotated[str, typer.Argument(metavar="A", hidden=True)],
    b: Annotated[str, typer.Argument(metavar="B", hidden=True)],
    output: OutputOptions,
    rtol: options.Rtol = DEFAULT_RTOL,
    atol: options.Atol = DEFAULT_ATOL,
) -> CommandResult:
    """Compare two traces: calls added, removed or changed, and the first whose values part.

    A and B are files that `gptrace run --json` wrote; one of them may be '-', stdin. Exit code 0: the same,
    1: different.
    """
    target = output.target()
    if a == b == "-":
        raise InputError("'-' stands for stdin, and is given twice", "stdin can be read only once")
    read = [
        read_trace(read_stdin(), "stdin") if name == "-" else read_trace_file(Path(name)) for name in (a, b)
    ]
    return reply_of(compare(*read, names=(a, b), rtol=rtol, atol=atol), target)


def reply_of(difference: Difference, target: Destination) -> CommandResult:
    """Return what is written of a comparison; its exit code tells the outcome."""
    return replace(target.reply(difference), code=EXIT_DONE if difference.is_same else EXIT_FAILED)
