"""`gptrace diff`: the first place where two traces part."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from gptrace.cli import options
from gptrace.cli.option_groups import OutputOptions
from gptrace.cli.output import CommandResult, Destination
from gptrace.errors import EXIT_DONE, EXIT_FAILED, InputError
from gptrace.record import Difference, Trace
from gptrace.record.reading import expect, load, parse
from gptrace.text.source import read_stdin
from gptrace.verify.diff import DEFAULT_ATOL, DEFAULT_RTOL, diff_traces


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
    first, second = (read_trace(name) for name in (a, b))
    return reply_of(diff_traces(first, second, names=(a, b), rtol=rtol, atol=atol), target)


def read_trace(name: str) -> Trace:
    """Read a kept trace from a file, or from stdin for "-"."""
    report = parse(read_stdin(), "stdin") if name == "-" else load(name)
    return expect(report, Trace, "stdin" if name == "-" else name)


def reply_of(difference: Difference, target: Destination) -> CommandResult:
    """Return what is written of a comparison; its exit code tells the outcome."""
    return replace(target.reply(difference), code=EXIT_DONE if difference.same else EXIT_FAILED)
