"""The exception that ended the block → a Failure: the call, its inputs and the likely cause."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from gptrace.model.user_code_errors import line_of
from gptrace.record import Failure, ModuleCall
from gptrace.tracing.diagnosis import FailureContext, diagnose
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Span


def failure_of(
    recorder: SpanRecorder, calls: Sequence[ModuleCall], error: BaseException | None
) -> Failure | None:
    """Return the record of the exception that ended the block, or None if none did.

    `calls` are the records of the recorder's spans, in the same order.
    """
    if error is None:
        return None
    errors = _with_causes(error)
    # The innermost call that the exception went through was entered last. Other failed calls, whose exception
    # the model caught, do not count.
    failed = next((call for call in reversed(calls) if _ended_in(recorder.spans[call.index], errors)), None)
    cause = diagnosis = None
    if failed is not None:
        with suppress(Exception):  # a failing diagnosis must not hide the user's exception
            cause, diagnosis = diagnose(_failure_context(recorder, calls, failed, errors))
    return Failure(
        path=failed.path if failed else "",
        type=type(error).__name__,
        message=_message(error),
        inputs=failed.inputs if failed else (),
        source=line_of(error),
        cause=cause,
        diagnosis=diagnosis,
    )


def _with_causes(error: BaseException) -> list[BaseException]:
    """Return an exception and those that it was raised from, the latest first."""
    errors: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and not any(cause is earlier for earlier in errors):
        errors.append(cause)
        cause = cause.__cause__
    return errors


def _ended_in(span: Span, errors: Sequence[BaseException]) -> bool:
    """Tell whether a call ended in one of these exceptions.

    A failed call without an exception was cut off by one for which torch runs no hooks, such as
    KeyboardInterrupt.
    """
    if not span.failed:
        return False
    if span.error is None:
        return not isinstance(errors[0], Exception)
    return any(span.error is error for error in errors)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # __str__ of the user's exception may raise
        return "(no message)"


def _failure_context(
    recorder: SpanRecorder, calls: Sequence[ModuleCall], failed: ModuleCall, errors: Sequence[BaseException]
) -> FailureContext:
    root = failed
    while root.parent is not None:
        root = calls[root.parent]
    span = recorder.spans[failed.index]
    mode = recorder.operations
    operation = mode.failed if mode is not None and mode.error in errors else None
    return FailureContext(
        error=errors[0],
        module=span.module,
        path=failed.path,
        inputs=span.inputs,
        integer_ranges=span.integer_ranges,
        producer=span.producer,
        root_inputs=recorder.spans[root.index].inputs,
        operation_inputs=operation.inputs if operation is not None else (),
    )
