"""Failures due to the token ids: their dtype, their number, their values, their shape."""

from __future__ import annotations

import linecache
import re
import traceback

from gptrace.model.dtypes import dtype_name
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import NEVER_USER_CODE
from gptrace.tracing.diagnosis.context import FailureContext
from gptrace.tracing.diagnosis.shapes import broadcast_sizes


def ids_no_tensor(context: FailureContext) -> str:
    """An embedding got a number or a list instead of a tensor."""
    got = re.search(
        r"embedding\(\): argument 'indices' .*must be Tensor, not (int|float|list)", context.message
    )
    if not got:
        return ""
    advice = "torch.tensor(ids) makes one of a list"
    if got[1] != "list":
        advice = "for the positions of a text, torch.arange(seq_len) makes one"
    return f"{context.name} looks up a tensor of ids and got a value of type {got[1]}; {advice}"


def float_ids(context: FailureContext) -> str:
    """An embedding got floating-point numbers."""
    first = context.first_input
    is_lookup = "'indices' to have one of the following scalar types" in context.message
    if not is_lookup or first is None or not first.dtype.is_floating_point:
        return ""
    return (
        f"{context.name} looks up rows by integer ids and got {dtype_name(first.dtype)}; "
        "ids.long() converts them to int64"
    )


def ids_dtype(context: FailureContext) -> str:
    """An embedding got integers of a dtype that torch does not look up."""
    first = context.first_input
    is_lookup = "'indices' to have one of the following scalar types" in context.message
    if not is_lookup or first is None or first.dtype.is_floating_point:
        return ""
    return (
        f"{context.name} got ids of {dtype_name(first.dtype)}, and torch looks up int64 and int32: ids.long()"
    )


def prompt_too_long(context: FailureContext) -> str:
    """There are more tokens than rows in a position table, which is looked up or added."""
    index_error = _index_error(context)
    first, seq_len = context.first_input, context.seq_len
    if index_error and seq_len is not None and index_error[:2] == (0, seq_len - 1) and first:
        is_token_table = context.root_inputs and first.shape == context.root_inputs[0].shape
        if not is_token_table or len(first.shape) == 1:
            return _too_long(seq_len, context.name, index_error[2])
    sizes = broadcast_sizes(context)
    # [B, T, D] is added to [1, rows, D] or [rows, D]: the axis of the tokens is axis 1.
    if sizes and seq_len in sizes[:2] and sizes[2] == 1:
        rows = sizes[0] if sizes[1] == seq_len else sizes[1]
        module = context.call.module
        tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        tables = [name for name, tensor in tensors if tensor.dim() > 1 and tensor.shape[-2] == rows]
        if seq_len is not None and len(tables) == 1 and tables[0] and rows < seq_len:
            return _too_long(seq_len, ".".join(filter(None, (context.call.path, tables[0]))), rows)
    return ""


def _too_long(seq_len: int, table: str, rows: int) -> str:
    return (
        f"the prompt has {seq_len} tokens, but the position table {table} has {rows} rows; "
        "shorten the prompt, or build the model with a longer context"
    )


def id_outside_vocabulary(context: FailureContext) -> str:
    """An embedding got an index that is none of its rows."""
    index_error = _index_error(context)
    if not index_error:
        return ""
    low, high, rows = index_error
    return (
        f"id {low if low < 0 else high} is outside the table {context.name}, which has rows 0 to {rows - 1}; "
        "for token ids, check that the tokenizer belongs to the model, or pass ids with --ids"
    )


def _index_error(context: FailureContext) -> tuple[int, int, int] | None:
    """Return (smallest index, largest index, rows) of an embedding, if an index is outside its rows."""
    first = context.first_input
    module, ranges = context.call.module, context.call.integer_ranges
    if not isinstance(module, torch.nn.Embedding) or first is None or first.name not in ranges:
        return None
    (low, high), rows = ranges[first.name], module.num_embeddings
    return (low, high, rows) if low < 0 or high >= rows else None


def missing_batch_axis(context: FailureContext) -> str:
    """The model unpacked or indexed an axis that ids of shape [T] do not have."""
    ids = context.ids
    if ids is None or len(ids.shape) != 1 or not _is_one_axis_short(context):
        return ""
    return (
        f"the ids have shape {list(ids.shape)}, without a batch axis; if the model expects [batch, seq_len], "
        "pass ids.unsqueeze(0)"
    )


def lost_axis(context: FailureContext) -> str:
    """A tensor has an axis too few, in a run where an axis of one element may have been squeezed away."""
    ids = context.ids
    if ids is None or 1 not in ids.shape or not _is_one_axis_short(context) or not _squeezes(context):
        return ""
    return (
        "a tensor has one axis fewer than this line expects; squeeze() may have removed it: without a dim it "
        f"removes every axis of size 1, and the ids are {list(ids.shape)}"
    )


def _squeezes(context: FailureContext) -> bool:
    """Tell whether a file whose modules the exception went through calls squeeze."""
    frames = (frame for frame, _ in traceback.walk_tb(context.error.__traceback__))
    of_modules = [frame for frame in frames if isinstance(frame.f_locals.get("self"), torch.nn.Module)]
    files = {frame.f_code.co_filename: frame.f_globals for frame in of_modules}
    return any(
        re.search(r"(?<!un)squeeze\(", line)
        for name, space in files.items()
        if not name.startswith(NEVER_USER_CODE)
        for line in linecache.getlines(name, space)
    )


def _is_one_axis_short(context: FailureContext) -> bool:
    """Tell whether the code asked for exactly one axis more than a tensor has."""
    message = context.message
    if not isinstance(context.error, ValueError | IndexError):
        return False
    if unpacked := re.search(r"not enough values to unpack \(expected (\d+), got (\d+)\)", message):
        return int(unpacked.group(1)) - int(unpacked.group(2)) == 1
    if axis := re.search(r"expected to be in range of \[(-\d+), (\d+)\], but got (-?\d+)\)", message):
        low, high, got = map(int, axis.groups())
        return got in (low - 1, high + 1)
    return bool(re.search("tuple index out of range|too many indices", message))
