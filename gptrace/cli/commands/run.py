"""`gptrace run`: the shapes through every submodule, and the next tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gptrace.cli import streams
from gptrace.cli.browser import open_page
from gptrace.cli.failures import after_report, nothing_returned
from gptrace.cli.options.display import (
    Atol,
    CheckToo,
    Columns,
    Depth,
    Expect,
    FullTrace,
    Landscape,
    Only,
    Open,
    Ops,
    Rtol,
    Type,
)
from gptrace.cli.options.groups import ModelOptions, OutputOptions, TextOptions, Truncate
from gptrace.cli.options.mesh import MeshOptions
from gptrace.cli.options.prediction import K, Temperature
from gptrace.cli.output import PICTURES, CommandResult, Destination
from gptrace.cli.saved import difference_result, read_trace
from gptrace.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    NAMES_ORIGIN,
    GptraceError,
    OptionError,
    RunError,
    about_option,
)
from gptrace.measures import Measures
from gptrace.record import Page, Trace
from gptrace.report import View
from gptrace.report.columns import measures_for, parse_columns, refuse_columns_of_spread
from gptrace.verify.diff import DEFAULT_ATOL, DEFAULT_RTOL, diff_traces, measured


def run(
    text: TextOptions, model: ModelOptions, mesh: MeshOptions, output: OutputOptions,
    truncate: Truncate = False, k: K = None, temperature: Temperature = 1.0, ops: Ops = False,
    columns: Columns = None, only: Only = None, kind: Type = None, full: FullTrace = False,
    depth: Depth = None, expect: Expect = None, rtol: Rtol = DEFAULT_RTOL, atol: Atol = DEFAULT_ATOL,
    opens: Open = False, check: CheckToo = False, landscape: Landscape = False,
) -> CommandResult:  # fmt: skip
    """Trace shapes through every submodule, and show the next tokens.

    As HTML this is an interactive page: a map of the model, the attention of each head, the predictions of
    each layer, and more. The page shows everything, whatever rows and columns are chosen. As svg, mermaid or
    dot it is a picture of the model, with equal blocks drawn once.
    """
    destination = output.page_destination() if opens else output.destination(PICTURES)
    with about_option("columns"):
        names = parse_columns(columns) if columns is not None else ()
        if mesh.mesh is None:
            refuse_columns_of_spread(names, "the trace")
    destination.check_landscape(landscape)
    if destination.format == "svg":
        from gptrace.report.pictures.layout import quickjs_library

        quickjs_library()  # raises where it is missing: better now than after the model has run
    _check_expect(expect, output.file, opens=opens)
    if check and (destination.format != "html" or expect is not None):
        raise OptionError(
            "--check shows its findings on a page", "write one with -o FILE.html, or run gptrace check"
        )
    expected = read_trace(str(expect)) if expect is not None else None
    session, prompts = model.session(), text.source()
    if expected is None and destination.format == "html":
        language = destination.language
        traced = session.traced_page(
            prompts,
            truncate=truncate,
            k=k,
            temperature=temperature,
            check=check,
            lang=language,
            **mesh.given(),
        )
        failure = traced.error or _without_result(traced.page.trace, model, destination)
        return _page_result(traced.page, failure, destination, opens=opens)
    try:
        measures = _measures(names, ops or destination.is_picture, expected)
        trace = session.trace(
            prompts, truncate=truncate, k=k, temperature=temperature, measure=measures, **mesh.given()
        )
        failure = _without_result(trace, model, destination)
    except GptraceError as error:
        if not isinstance(error.trace, Trace):
            raise
        trace = error.trace  # up to where it broke
        failure = after_report(error, trace.error, destination)
    if expected is not None and trace.error is None:
        difference = diff_traces(expected, trace, names=(str(expect), "now"), rtol=rtol, atol=atol)
        return difference_result(difference, destination)
    view = View(full=full, depth=depth, columns=names, only=only, type=kind, landscape=landscape)
    return replace(destination.result(trace, view), final_error=lambda: failure)


def _check_expect(expect: Path | None, file: Path | None, *, opens: bool) -> None:
    if expect is not None and file is not None and expect.resolve() == file.resolve():
        raise OptionError(f"--output {file} would replace the trace to compare with", "name another file")
    if expect is not None and opens:
        raise OptionError("--open shows a trace, and --expect a difference", "drop one of the two")


def _page_result(
    page: Page, failure: GptraceError | None, destination: Destination, *, opens: bool
) -> CommandResult:
    """Return the result that writes a page, and then opens it, if that is asked for."""

    def final_error() -> GptraceError | None:
        if not opens or destination.file is None:
            return failure
        problem = open_page(destination.file)
        if problem is None:
            streams.write_notice(f"the page is in {destination.file}")
        return failure or problem

    exit_code = EXIT_DONE if page.check is None or page.check else EXIT_FAILED
    return replace(destination.result(page), final_error=final_error, exit_code=exit_code)


def _without_result(trace: Trace, model: ModelOptions, destination: Destination) -> RunError | None:
    """Return the error to end with, where the model returns nothing, or logits of a prompt have no greatest.

    It names the origin of NaN, unless a note of a report beside it does.
    """
    without = [prediction for prediction in trace.predictions if not prediction.candidates]
    if not without:
        return nothing_returned(trace, destination)
    problem = (
        f"{len(without)} of {len(trace.predictions)} "
        f"{'prompt has' if len(trace.predictions) == 1 else 'prompts have'} no next token: "
        "the greatest logit is NaN or infinite"
    )
    first = without[0]
    if not first.origin:
        return RunError(problem, NAMES_ORIGIN)
    if not destination.is_read_on_stdout:  # that of another prompt may have another origin
        problem += (
            f"; after prompt {first.input}: {first.origin}" if len(without) > 1 else f": {first.origin}"
        )
    check = model.command("check", "--only=finite")
    return RunError(problem, f"{check} says what is wrong there")


def _measures(columns: Sequence[str], ops: bool, expected: Trace | None) -> Measures:
    """Return what the columns need, and what a trace to compare with has measured."""
    measures = measures_for(columns, ops=ops)
    if expected is None:
        return measures
    kept = measured(expected)
    return replace(
        measures,
        macs=measures.macs or "macs" in kept,
        ops=measures.ops or "ops" in kept,
        statistics=measures.statistics or "statistics" in kept,
    )
