"""The exception that ended the block → a Failure: the call, its inputs and the likely cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from gptrace.model.user_code_errors import line_of
from gptrace.record import Failure, ModuleCall
from gptrace.tracing.diagnosis import FailureContext, diagnose
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Span
from gptrace.wording import message_of


def failure_of(
    recorder: SpanRecorder,
    calls: Sequence[ModuleCall],
    error: BaseException | None,
    sizes: Mapping[int, Mapping[str, int]],
) -> Failure | None:
    """Return the record of the exception that ended the block, or None if none did.

    `calls` are the records of the recorder's spans, in the same order, and `sizes` those that the axis
    names of each forward pass are made of, by its root.
    """
    if error is None:
        return None
    errors = _with_causes(error)
    # The innermost call that the exception went through was entered last. Other failed calls, whose exception
    # the model caught, do not count.
    span = next((span for span in reversed(recorder.spans) if _ended_in(span, errors)), None)
    cause = diagnosis = None
    if span is not None:
        with suppress(Exception):  # a failing diagnosis must not hide the user's exception
            cause, diagnosis = diagnose(_failure_context(recorder, span, errors, calls, sizes))
    return Failure(
        path=span.path if span is not None else "",
        type=type(error).__name__,
        message=message_of(error),
        inputs=calls[span.index].inputs if span is not None else (),
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
    if not span.failed:
        return False
    if span.error is None:  # cut off before its call could note it, as by a KeyboardInterrupt
        return not isinstance(errors[0], Exception)
    return any(span.error is error for error in errors)


def _failure_context(
    recorder: SpanRecorder, span: Span, errors: Sequence[BaseException], calls: Sequence[ModuleCall],
    sizes: Mapping[int, Mapping[str, int]],
) -> FailureContext:  # fmt: skip
    mode = recorder.operations
    operation = mode.failed if mode is not None and mode.error in errors else None
    operation_inputs = operation.inputs if operation is not None else ()
    first = next(iter(calls[span.index].inputs), None)
    return FailureContext(
        errors[0], span, recorder.spans[span.root].inputs, operation_inputs,
        sizes=sizes.get(span.root, {}), dims=() if first is None else first.dims,
        calls=[call for call in recorder.spans if call.root == span.root],
    )  # fmt: skip
