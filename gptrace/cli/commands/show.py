"""`gptrace show`: a kept JSON again, in any format."""

from __future__ import annotations

from typing import Annotated

import typer

from gptrace.cli.options.display import (
    ColumnsSaved,
    Depth,
    FullTrace,
    Landscape,
    LogProbabilities,
    Only,
    TypeSaved,
)
from gptrace.cli.options.groups import OutputOptions
from gptrace.cli.output import PICTURES, CommandResult
from gptrace.cli.saved import read_report
from gptrace.errors import OptionError, about_option
from gptrace.record import Page, Trace
from gptrace.report import View
from gptrace.report.columns import check_columns, parse_columns


def show(
    kept: Annotated[str, typer.Argument(metavar="FILE", hidden=True)],
    output: OutputOptions,
    columns: ColumnsSaved = None, only: Only = None, kind: TypeSaved = None, full: FullTrace = False,
    depth: Depth = None, logprobs: LogProbabilities = False, landscape: Landscape = False,
) -> CommandResult:  # fmt: skip
    """Print a JSON file that gptrace wrote, in any format.

    FILE holds the JSON of any command; '-' is stdin. A trace shows all that was measured, or
    the columns of --columns.
    """
    destination = output.destination(PICTURES)
    destination.check_landscape(landscape)
    with about_option("columns"):
        names = parse_columns(columns) if columns is not None else ()
    report = read_report(kept)
    trace = report.trace if isinstance(report, Page) else report
    for_traces = {
        "--columns": columns,
        "--only": only,
        "--type": kind,
        "--depth": depth,
        "--landscape": landscape,
    }
    for option, value in for_traces.items():
        if value not in (None, False) and not isinstance(trace, Trace):
            raise OptionError(f"{option} is for a trace, and {kept} is not one", f"leave out {option}")
    if isinstance(trace, Trace):
        check_columns(trace, names, "stdin" if kept == "-" else kept)
    view = View(
        full=full, log_probabilities=logprobs, columns=names, depth=depth, only=only, type=kind,
        landscape=landscape,
    )  # fmt: skip
    return destination.result(report, view)
