"""Why a forward pass raised, in words: the usual causes, told from the message, the module and its input."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import TensorInfo

nn = torch.nn
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FailureContext:
    """What is known of the moment: the exception, the innermost call that was open, and what it got.

    `ranges` are the least and the greatest number of each tensor of whole numbers that came in, by name.
    `producer` is the path of the call that made the first input; `root_inputs` are the ids that went in at
    the top; `operation` has the inputs of the operation that failed, where operations are noted.
    """

    error: BaseException
    module: nn.Module
    path: str
    inputs: Sequence[TensorInfo]
    ranges: Mapping[str, tuple[int, int]]
    producer: str | None
    root_inputs: Sequence[TensorInfo]
    operation: Sequence[TensorInfo] = ()

    @property
    def message(self) -> str:
        """The exception's own words, on one line."""
        return " ".join(str(self.error).split())

    @property
    def name(self) -> str:
        """How the call is named in a sentence."""
        return self.path or "the model itself"

    @property
    def first(self) -> TensorInfo | None:
        """The first tensor that came in."""
        return self.inputs[0] if self.inputs else None

    @property
    def seq_len(self) -> int | None:
        """How many tokens the prompt has, if ids `[batch, seq_len]` went in at the top."""
        ids = self.root_inputs[0] if self.root_inputs else None
        return ids.shape[-1] if ids is not None and ids.shape and not ids.dtype.is_floating_point else None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A likely cause: a name for programs, and a sentence or two with what to do."""

    cause: str
    text: str


def diagnose(scene: FailureContext) -> Diagnosis | None:
    """Return the likely cause, or None for one that is not among the usual ones."""
    for cause, explain in _CAUSES.items():
        text = explain(scene)
        if text:
            return Diagnosis(cause, text)
    return None


def expectation(module: nn.Module) -> str:
    """Return what a module of torch takes as its input, or "" where it does not tell.

    >>> expectation(nn.Linear(768, 10))
    'Linear expects [..., 768]'
    """
    kind = type(module).__name__
    if isinstance(module, nn.Linear):
        return f"{kind} expects [..., {module.in_features}]"
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return f"{kind} expects [..., {', '.join(map(str, module.normalized_shape))}]"
    if isinstance(module, nn.Embedding):
        return f"{kind} expects whole numbers below {module.num_embeddings}"
    if isinstance(module, nn.modules.conv._ConvNd):
        axes = ", ".join(
            ["length", "height, width", "depth, height, width"][len(module.kernel_size) - 1 :][:1]
        )
        return f"{kind} expects [batch, {module.in_channels}, {axes}]"
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return f"{kind} expects [batch, {module.num_features}, ...]"
    if isinstance(module, nn.RNNBase):
        return f"{kind} expects [..., {module.input_size}]"
    if isinstance(module, nn.MultiheadAttention):
        return f"{kind} expects [..., {module.embed_dim}]"
    return ""


def _width(module: nn.Module) -> int | None:
    """Return the size that the last axis of a module's input has to have."""
    if isinstance(module, nn.Linear):
        return module.in_features
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return int(module.normalized_shape[-1])
    if isinstance(module, nn.RNNBase):
        return module.input_size
    return module.embed_dim if isinstance(module, nn.MultiheadAttention) else None


def _out_of_memory(scene: FailureContext) -> str:
    torchs = re.search("(CUDA|MPS|HIP|XPU) (backend )?out of memory|DefaultCPUAllocator", scene.message)
    if not (isinstance(scene.error, MemoryError | torch.OutOfMemoryError) or torchs):
        return ""
    asked = re.search(
        r"allocate (?:memory: you tried to allocate )?([\d.]+ ?(?:bytes|[KMGT]iB))", scene.message
    )
    how_much = f", {asked.group(1)} at once," if asked else ""
    return (
        f"what {scene.name} was to make{how_much} does not fit into memory; use fewer or shorter prompts, or "
        "--device meta for shapes alone"
    )


def _missing_batch(scene: FailureContext) -> str:
    ids = scene.root_inputs[0] if scene.root_inputs else None
    if ids is None or len(ids.shape) != 1 or ids.dtype.is_floating_point:
        return ""
    asks = r"not enough values to unpack|tuple index out of range|Dimension out of range|too many indices"
    if not isinstance(scene.error, ValueError | IndexError) or not re.search(asks, scene.message):
        return ""
    return (
        f"the ids have the shape {list(ids.shape)}, without a batch axis; the model wants [batch, seq_len]: "
        "ids.unsqueeze(0), or ids[None]"
    )


def _float_ids(scene: FailureContext) -> str:
    given = scene.first
    is_lookup = "'indices' to have one of the following scalar types" in scene.message
    if not is_lookup or given is None or not given.dtype.is_floating_point:
        return ""
    return (
        f"{scene.name} looks up rows by whole numbers, and got {_dtype(given)}; ids.long() makes them int64"
    )


def _outside_a_table(scene: FailureContext) -> tuple[int, int, int] | None:
    """Return the least and the greatest index, and the rows of the table, where an index is outside."""
    given = scene.first
    if not isinstance(scene.module, nn.Embedding) or given is None or given.name not in scene.ranges:
        return None
    low, high = scene.ranges[given.name]
    rows = scene.module.num_embeddings
    return (low, high, rows) if low < 0 or high >= rows else None


def _too_long(scene: FailureContext) -> str:
    """Tell of positions beyond a table, looked up or added."""
    outside = _outside_a_table(scene)
    if outside and scene.seq_len is not None and outside[:2] == (0, scene.seq_len - 1) and scene.first:
        is_token_table = scene.root_inputs and scene.first.shape == scene.root_inputs[0].shape
        if not is_token_table or len(scene.first.shape) == 1:
            return _longer(scene.seq_len, scene.name, outside[2])
    sizes = _broadcast(scene)
    # [batch, seq_len, width] meets [1, rows, width] or [rows, width]: the axis of the tokens is the second.
    if sizes and scene.seq_len in sizes[:2] and sizes[2] == 1:
        rows = sizes[0] if sizes[1] == scene.seq_len else sizes[1]
        held = (*scene.module.named_parameters(recurse=False), *scene.module.named_buffers(recurse=False))
        tables = [name for name, tensor in held if tensor.dim() > 1 and tensor.shape[-2] == rows]
        table = tables[0] if len(tables) == 1 and rows < scene.seq_len else None
        if table:
            return _longer(scene.seq_len, ".".join(filter(None, (scene.path, table))), rows)
    return ""


def _longer(seq_len: int | None, table: str, rows: int) -> str:
    return (
        f"the prompt has {seq_len} tokens, and the table of positions {table} has {rows} rows; "
        "shorten the prompt, or make the model with a longer context"
    )


def _outside_vocabulary(scene: FailureContext) -> str:
    outside = _outside_a_table(scene)
    if not outside:
        return ""
    low, high, rows = outside
    wrong = low if low < 0 else high
    return (
        f"id {wrong} is not in the table {scene.name}, which has rows 0 to {rows - 1}; for ids of tokens: "
        "is it an id of the tokenizer that the model was made for? --ids gives ids in place of text"
    )


def _devices(scene: FailureContext) -> str:
    if not isinstance(scene.error, RuntimeError) or not re.search(
        r"same device|on the expected device|found two devices|device meta|not on the expected", scene.message
    ):
        return ""
    given = [*(scene.operation or scene.inputs)]
    places = {str(seen.device) for seen in given}
    first = next(scene.module.parameters(recurse=False), None)
    own = f", its parameters are on {first.device}" if first is not None else ""
    got = f"{scene.name} got tensors on {' and '.join(sorted(places))}{own}" if places else scene.name
    advice = "make new ones with device=x.device, or move them with .to()"
    return f"{got}; tensors that meet have to be on one device: {advice}"


def _dtypes(scene: FailureContext) -> str:
    unequal = (
        r"same dtype, but got|expected scalar type|[Ii]nput type \(.*weight type|to have the same dtype, but"
    )
    if not isinstance(scene.error, RuntimeError) or not re.search(unequal, scene.message):
        return ""
    given = [*(scene.operation or scene.inputs)]
    got = " and ".join(dict.fromkeys(map(_dtype, given)))
    first = next(scene.module.parameters(recurse=False), None)
    own = f", its parameters are {str(first.dtype).removeprefix('torch.')}" if first is not None else ""
    if not got:
        return ""
    advice = "x.to(weight.dtype), or model.to(…)"
    return f"{scene.name} got {got}{own}; tensors that meet have to be of one dtype: {advice}"


def _inner_dimensions(scene: FailureContext) -> str:
    width, given = _width(scene.module), scene.first
    is_torchs = type(scene.module).__module__.startswith("torch.")  # others may do anything with it
    if is_torchs and width is not None and given is not None and given.shape and given.shape[-1] != width:
        text = f"{scene.name}: {expectation(scene.module)}, got {list(given.shape)}"
        text += f", made by {scene.producer}" if scene.producer else ""
        if len(given.shape) > 1 and given.shape[-2] == width:
            text += "; the two last axes are the other way round: x.transpose(-2, -1) would fit"
        return text
    found = re.search(r"cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", scene.message)
    if found:
        return _product(*map(int, found.groups()))
    found = re.search(r"batch2 tensor to be: \[(\d+), (\d+)\] but got: \[(\d+), (\d+)\]", scene.message)
    if found:
        batch, inner, other_batch, got = map(int, found.groups())
        if batch != other_batch:
            return f"two batches of matrices are multiplied, {batch} of them with {other_batch}"
        return f"matrices of {inner} columns meet matrices of {got} rows; the two have to be the same"
    kind = expectation(scene.module)
    if (
        kind
        and given is not None
        and re.search(r"expected input|to have \d+ channels|size mismatch", scene.message)
    ):
        return f"{scene.name}: {kind}, got {list(given.shape)}" + (
            f", made by {scene.producer}" if scene.producer else ""
        )
    return ""


def _product(rows: int, inner: int, other: int, columns: int) -> str:
    text = (
        f"a matrix [{rows}, {inner}] is multiplied with one [{other}, {columns}]: "
        f"the inner sizes {inner} and {other} have to be the same"
    )
    if inner == columns:
        return text + f"; the second one transposed, [{columns}, {other}], would fit"
    if rows == other:
        return text + f"; the first one transposed, [{inner}, {rows}], would fit"
    return text


def _view(scene: FailureContext) -> tuple[list[int], int] | None:
    found = re.search(r"shape '\[([-\d, ]*)\]' is invalid for input of size (\d+)", scene.message)
    return ([int(n) for n in found.group(1).split(",") if n.strip()], int(found.group(2))) if found else None


def _heads(scene: FailureContext) -> str:
    """Tell of a width that does not divide into heads, where a view asks for [batch, seq_len, heads, …]."""
    view = _view(scene)
    if not view or len(view[0]) < 4:
        return ""
    (batch, seq_len, heads, *_), size = view
    known = [seen.shape[:2] for seen in (*scene.root_inputs[:1], *scene.inputs[:1])]
    if (batch, seq_len) not in known or size % (batch * seq_len):
        return ""
    width = size // (batch * seq_len)
    if heads < 1 or width % heads == 0:
        return ""
    near = sorted((n for n in range(1, width + 1) if width % n == 0), key=lambda n: abs(n - heads))[:3]
    return (
        f"a width of {width} does not divide into {heads} heads ({width} / {heads} = {width / heads:.2f}); "
        f"heads could be {', '.join(map(str, sorted(near)))}"
    )


def _wrong_view(scene: FailureContext) -> str:
    if "view size is not compatible" in scene.message:
        return (
            "the tensor does not lie in memory in that order, as after a transpose: "
            "x.contiguous().view(…), or x.reshape(…)"
        )
    view = _view(scene)
    if not view:
        return ""
    shape, size = view
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape and known:
        return f"the tensor holds {size:,} numbers, which is no multiple of {known:,}, what {shape} fixes"
    return f"the tensor holds {size:,} numbers, and the shape {shape} asks for {known:,}"


def _broadcast(scene: FailureContext) -> tuple[int, int, int] | None:
    sizes = r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)"
    found = re.search(sizes, scene.message)
    a, b, axis = map(int, found.groups()) if found else (0, 0, 0)
    return (a, b, axis) if found else None


def _unequal_axes(scene: FailureContext) -> str:
    sizes = _broadcast(scene)
    if not sizes:
        return ""
    a, b, axis = sizes
    shapes = " and ".join(str(list(seen.shape)) for seen in scene.operation[:2])
    which = f" ({shapes})" if shapes else ""
    return (
        f"two tensors{which} are put together, and axis {axis} is {a} in one and {b} in the other; "
        "they have to be the same, or one of them 1"
    )


def _dtype(seen: TensorInfo) -> str:
    return str(seen.dtype).removeprefix("torch.")


# In the order of how sure they are.
_CAUSES: dict[str, Callable[[FailureContext], str]] = {
    "out_of_memory": _out_of_memory,
    "float_ids": _float_ids,
    "prompt_too_long": _too_long,
    "id_outside_vocabulary": _outside_vocabulary,
    "missing_batch_axis": _missing_batch,
    "device_mismatch": _devices,
    "dtype_mismatch": _dtypes,
    "inner_dimensions": _inner_dimensions,
    "heads_do_not_divide": _heads,
    "view_of_wrong_size": _wrong_view,
    "unequal_axes": _unequal_axes,
}
