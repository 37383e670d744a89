"""The residual stream of a forward pass: its norm after each sub-block, and the norm of what was added.

The stream is followed through the blocks by what is added to it: `x + att(norm(x))` adds the output of `att`.
Shapes: T tokens, D emb_dim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.recorder import FACTORS, LAYOUT
from gptrace.predict.candidates import as_float64
from gptrace.predict.open_calls import CallOf, KnownTensors, OpenCalls
from gptrace.tracing.operations import operation_name
from gptrace.tracing.tensors import find_tensors

Module = torch.nn.Module
Tensor = torch.Tensor
_ADDITIONS = frozenset({"add", "add_"})
# The result of these is the same stream in another form, if it has as many vectors.
_SAME_NUMBERS = frozenset({
    "to", "float", "contiguous", "clone", "type_as", "dropout", "detach", "alias", "view", "reshape",
    "flatten", "unflatten", "squeeze", "unsqueeze",
})  # fmt: skip


class Sum(NamedTuple):
    """The stream after a call: its norm at each position, and that of what the call added, none at first."""

    call: CallOf
    norms: list[float]
    added: list[float]


class StreamRun(NamedTuple):
    """The sums of all blocks, and the blocks in which sub-blocks could not be told apart.

    `is_chain`: each block took the output of the block before it. Otherwise blocks that are not sums may be
    anything, such as the attention layers of a model that keeps its layers in several lists.
    """

    sums: list[Sum]
    whole_blocks: list[str]
    is_chain: bool


def run_with_stream(module: Module, blocks: Sequence[str], run: Callable[[], object]) -> StreamRun:
    """Run a model by `run` on one prompt; `blocks` are the paths of its blocks."""
    recorder = _StreamRecorder(blocks)
    followed = recorder.calls.followed_on(module, on_enter=recorder.enter, on_leave=recorder.leave)
    with followed, recorder, interrupts_allowed():
        run()
    return StreamRun(recorder.sums, recorder.whole_blocks, recorder.chain_length == len(blocks) > 1)


class _StreamRecorder(torch.overrides.TorchFunctionMode):
    """Follows the tensor that goes through the blocks, and what is added to it."""

    def __init__(self, blocks: Sequence[str]) -> None:
        super().__init__()
        self.calls = OpenCalls()
        self.sums: list[Sum] = []
        self.whole_blocks: list[str] = []
        self.chain_length = 0
        self._returned: Tensor | None = None  # by the block before
        self._blocks = frozenset(blocks)
        self._makers = KnownTensors()  # the call that made a tensor
        self._stream = KnownTensors()  # True for the forms of the stream as it is now
        self._in_block: list[Sum] = []
        self._entered = torch.empty(0)

    def enter(self, call: CallOf, inputs: Sequence[object]) -> None:
        """Note that a call begins."""
        tensor = _first_tensor(inputs)
        if call.path not in self._blocks or tensor is None:
            return
        if not self.sums:
            self.sums.append(Sum(self._makers.of(tensor) or self.calls.around, _norms(tensor), []))
        self.chain_length += self._returned is None or _are_equal(self._returned, tensor)
        self._set_stream(tensor)
        self._in_block, self._entered = [], tensor.detach().clone()

    def leave(self, call: CallOf, output: object) -> None:
        """Note that a call ends."""
        tensor = _first_tensor(output)
        if tensor is None:
            return
        maker = self._makers.of(tensor)
        # A module that returns the tensor of another, as dropout does, is not its maker, unless it contains
        # that other one.
        if maker is None or maker.path.startswith(f"{call.path}."):
            self._makers.learn(tensor, call)
        if call.path in self._blocks:
            self._leave_block(call, tensor)

    def _leave_block(self, call: CallOf, output: Tensor) -> None:
        if self._in_block and self._stream.of(output):
            self.sums += self._in_block
        else:
            self.whole_blocks.append(call.path)
            added = _norms(as_float64(output) - as_float64(self._entered))
            self.sums.append(Sum(call, _norms(output), added))
        self._stream, self._returned = KnownTensors(), output

    def _set_stream(self, tensor: Tensor) -> None:
        self._stream = KnownTensors()
        self._stream.learn(tensor, True)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # While this runs, torch has taken the mode off its stack: calls in here are not followed.
        kwargs = kwargs or {}
        # Dynamo traces this method, too; what it makes is seen as it runs.
        if torch.compiler.is_dynamo_compiling():
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        name = operation_name(func)
        if isinstance(result, Tensor) and name in _ADDITIONS | _SAME_NUMBERS | LAYOUT | FACTORS:
            with torch._C.DisableTorchFunction():
                self._follow(name, [*args, *kwargs.values()], kwargs, result)
        return result

    def _follow(self, name: str, given: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> None:
        tensors = [value for value in given if isinstance(value, Tensor)]
        stream = next((tensor for tensor in tensors if self._stream.of(tensor)), None)
        if stream is not None and name in _ADDITIONS:
            self._add(stream, tensors, kwargs, result)
        elif stream is not None and name in _SAME_NUMBERS and _has_same_vectors(result, stream):
            self._stream.learn(result, True)
        elif name not in _ADDITIONS:
            makers = {maker for tensor in tensors if (maker := self._makers.of(tensor)) is not None}
            if len(makers) == 1 and self._makers.of(result) is None:
                self._makers.learn(result, makers.pop())

    def _add(
        self, stream: Tensor, tensors: Sequence[Tensor], kwargs: Mapping[str, Any], result: Tensor
    ) -> None:
        others = [tensor for tensor in tensors if tensor is not stream and tensor.shape == result.shape]
        if len(others) != 1 or result.shape != stream.shape:
            return
        (other,) = others
        added = as_float64(other) * kwargs.get("alpha", 1)
        call = self._makers.of(other) or self.calls.innermost
        self._in_block.append(Sum(call, _norms(result), _norms(added)))
        self._set_stream(result)


def _are_equal(a: Tensor, b: Tensor) -> bool:
    return a is b or (a.shape == b.shape and torch.equal(a, b))


def _has_same_vectors(result: Tensor, stream: Tensor) -> bool:
    return result.shape[-1:] == stream.shape[-1:] and result.numel() == stream.numel()


def _norms(vectors: Tensor) -> list[float]:
    """Return the norm of each vector (…, T, D), for one prompt."""
    norms: list[float] = as_float64(vectors.detach()).norm(dim=-1).flatten().tolist()
    return norms


def _first_tensor(value: object) -> Tensor | None:
    found = find_tensors("", value)
    return found[0][1] if found else None
