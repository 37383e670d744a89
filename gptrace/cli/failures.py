"""The error line after a report that already says what failed."""

from __future__ import annotations

from gptrace.cli.output import Destination
from gptrace.errors import OWN_CODE_RAISED, GptraceError, ModelCodeError
from gptrace.record import Failure

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
