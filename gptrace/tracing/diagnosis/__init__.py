"""The likely cause of a failed forward pass, in words, from the message, the module and its inputs."""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType

from gptrace.model.exception_hints import exception_hint
from gptrace.model.failed_conditions import indivisible_hint
from gptrace.model.notebooks.missing import missing_name_hint
from gptrace.tracing.diagnosis import ids, placement, shapes
from gptrace.tracing.diagnosis.context import FailureContext
from gptrace.tracing.diagnosis.returned import (
    returned_coroutine,
    returned_generator,
    returned_none,
    returned_tuple,
    why_none,
)

__all__ = ["FailureContext", "diagnose", "why_none"]

# Cause → function that returns the text of the diagnosis, or "" where the cause does not apply. The most
# certain ones come first, and the first that applies is taken. The names are part of the JSON.
_CAUSES: dict[str, Callable[[FailureContext], str]] = {
    "out_of_memory": placement.out_of_memory,
    "left_out": lambda context: missing_name_hint(context.error),
    "attribute_name": lambda context: _hint_on(AttributeError | NotImplementedError, context),
    "missing_self": lambda context: _hint_on(NameError, context),
    "key_name": lambda context: _hint_on(KeyError, context),
    "indivisible": lambda context: indivisible_hint(context.error, context.sizes),
    "assertion": lambda context: _hint_on(AssertionError, context),
    "returned_none": returned_none,
    "returned_coroutine": returned_coroutine,
    "returned_generator": returned_generator,
    "returned_tuple": returned_tuple,
    "ids_no_tensor": ids.ids_no_tensor,
    "float_ids": ids.float_ids,
    "ids_dtype": ids.ids_dtype,
    "prompt_too_long": ids.prompt_too_long,
    "id_outside_vocabulary": ids.id_outside_vocabulary,
    "missing_batch_axis": ids.missing_batch_axis,
    "lost_axis": ids.lost_axis,
    "device_mismatch": placement.device_mismatch,
    "mask_dtype": placement.mask_dtype,
    "dtype_mismatch": placement.dtype_mismatch,
    "inner_dimensions": shapes.inner_dimensions,
    "heads_do_not_divide": shapes.heads_do_not_divide,
    "view_of_wrong_size": shapes.view_of_wrong_size,
    "unequal_axes": shapes.unequal_axes,
    "missing_dim": shapes.missing_dim,
}


def _hint_on(kinds: type[Exception] | UnionType, context: FailureContext) -> str:
    """Return what is known of an exception of these classes."""
    return exception_hint(context.error) if isinstance(context.error, kinds) else ""


def diagnose(context: FailureContext) -> tuple[str, str] | tuple[None, None]:
    """Return the name and the text of a failure's likely cause; (None, None) for an unusual one."""
    for cause, explain in _CAUSES.items():
        if text := explain(context):
            return cause, text
    return None, None
