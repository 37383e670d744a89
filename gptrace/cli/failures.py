"""The error line after a report that says what failed."""

from __future__ import annotations

from gptrace.cli.output import Destination
from gptrace.errors import NO_NEXT_TOKENS, OWN_CODE_RAISED, GptraceError, ModelCodeError, NoLogitsError
from gptrace.record import Failure, Source, Trace

_SEE_REPORT = "the report shows where and why; GPTRACE_DEBUG=1 shows the whole traceback"


def after_report(error: GptraceError, failure: Failure | None, destination: Destination) -> GptraceError:
    """Return the error of a forward pass, without the cause where a report of `failure` on stdout tells it.

    A report in a file, or for programs, is not seen together with the error line, which stays whole then. So
    does a hint that the report does not hold.
    """
    if failure is None or not isinstance(error, ModelCodeError) or not destination.is_read_on_stdout:
        return error
    error.message = f"the forward pass raised {failure.type}"
    if failure.path:
        error.message = f"the forward pass raised {failure.type}, in {failure.path}"
    if error.hint in (OWN_CODE_RAISED, failure.diagnosis):
        error.hint = _SEE_REPORT
    return error


def nothing_returned(report: Trace | Source, destination: Destination) -> NoLogitsError | None:
    """Return the error for a model that has returned no tensor; the report on stdout tells why, if one is."""
    if isinstance(report, Trace) and not report.returned_nothing:
        return None
    notes = (note for note in report.notes if note.startswith(NO_NEXT_TOKENS))
    note = next(notes, None)
    if note is None:
        return None
    if destination.is_read_on_stdout:
        problem, hint = f"{report.model.name} gives nothing to predict with", "a note of the report says why"
        return NoLogitsError(problem, hint)
    problem = f"{report.model.name} gives nothing to predict with: {note.removeprefix(NO_NEXT_TOKENS)}"
    return NoLogitsError(problem, "the report holds the shapes up to there")
