"""Kept reports that commands read, and the result of comparing with one."""

from __future__ import annotations

from dataclasses import replace

from gptrace.cli.output import CommandResult, Destination
from gptrace.errors import EXIT_DONE, EXIT_FAILED
from gptrace.record import Difference, Report, Trace
from gptrace.record.reading import expect, load, parse
from gptrace.text.stdin import read_stdin


def read_report(name: str) -> Report:
    """Read a kept JSON from a file, or from stdin for "-"."""
    return parse(read_stdin(), "stdin") if name == "-" else load(name)


def read_trace(name: str) -> Trace:
    """Read a kept trace from a file, or from stdin for "-"."""
    return expect(read_report(name), Trace, "stdin" if name == "-" else name)


def difference_result(difference: Difference, destination: Destination) -> CommandResult:
    """Return the result of a comparison, whose exit code tells the outcome."""
    exit_code = EXIT_DONE if difference.same else EXIT_FAILED
    return replace(destination.result(difference), exit_code=exit_code)
