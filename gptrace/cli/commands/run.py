"""`gptrace run`: the shapes through every submodule, and the next tokens."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace

from gptrace import api
from gptrace.cli import options
from gptrace.cli.commands.diff import read_trace, reply_of
from gptrace.cli.option_groups import ModelOptions, OutputOptions, TextOptions
from gptrace.cli.output import CommandResult
from gptrace.errors import GptraceError, OptionError
from gptrace.measures import Measures
from gptrace.record import Trace
from gptrace.report import View
from gptrace.report.columns import measures_for, parse_columns
from gptrace.verify.diff import DEFAULT_ATOL, DEFAULT_RTOL, diff_traces, measured


def run(
    text: TextOptions,
    model: ModelOptions,
    output: OutputOptions,
    truncate: options.Truncate = False,
    k: options.K = None,
    temperature: options.Temperature = 1.0,
    ops: options.Ops = False,
    columns: options.Columns = None,
    only: options.Only = None,
    kind: options.Type = None,
    full: options.Full = False,
    depth: options.Depth = None,
    expect: options.Expect = None,
    rtol: options.Rtol = DEFAULT_RTOL,
    atol: options.Atol = DEFAULT_ATOL,
) -> CommandResult:
    """Trace the shapes through every submodule and show the next tokens."""
    target = output.target()
    shown = parse_columns(columns) if columns is not None else ()
    if expect is not None and output.output is not None and expect.resolve() == output.output.resolve():
        raise OptionError(
            f"--output {output.output} would replace the trace to compare with", "name another file"
        )
    expected = read_trace(str(expect)) if expect is not None else None
    measures = _measures(shown, ops, expected)
    chosen = model.chosen()
    given = text.given()
    failed: GptraceError | None = None
    try:
        with redirect_stdout(sys.stderr):
            trace = api.trace(
                given, model=chosen, k=k, temperature=temperature, truncate=truncate, measure=measures
            )
    except GptraceError as error:
        if not isinstance(error.trace, Trace):
            raise
        trace, failed = error.trace, error  # up to where it broke
    if expected is not None and failed is None:
        difference = diff_traces(expected, trace, names=(str(expect), "now"), rtol=rtol, atol=atol)
        return reply_of(difference, target)
    reply = target.reply(trace, View(full=full, depth=depth, columns=shown, only=only, type=kind))
    return replace(reply, ending=lambda: failed)


def _measures(columns: Sequence[str], ops: bool, expected: Trace | None) -> Measures:
    """Return what to measure: what is shown, and what a kept trace has to be compared with."""
    needed = measures_for(columns, ops=ops)
    if expected is None:
        return needed
    kept = measured(expected)
    return replace(
        needed, macs=needed.macs or "macs" in kept, statistics=needed.statistics or "statistics" in kept
    )
