"""Follow the axes of tokens through the operations of a run, to find the views that mix tokens into a lane.

A lane is a slice along one axis. An axis of the size of seq_len need not have a lane for each token:
`view(B, H, T, hd)` of a tensor whose memory is `[B, T, H*hd]` has lanes that hold parts of several tokens. So
each view is applied to the positions of the tokens in place of the numbers: a lane that holds one position
is a token. What is computed from mixed lanes has mixed lanes, until it is added to a tensor whose lanes are
tokens.

The run must be one of a model whose other sizes differ from seq_len, as those of resized runs do.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import TensorInfo, find_tensors

Tensor = torch.Tensor
_VIEWS = frozenset({"view", "reshape", "flatten", "unflatten", "view_as", "reshape_as"})
# Operations that move numbers and change none: tried out on the positions, too.
_MOVES = _VIEWS | {
    "transpose", "permute", "movedim", "swapaxes", "T", "mT", "t", "contiguous", "clone", "detach", "expand",
    "expand_as", "squeeze", "unsqueeze", "getitem", "narrow", "select", "flip", "roll",
}  # fmt: skip
# Operations on each number alone.
_ELEMENTWISE = frozenset(
    {"add", "sub", "mul", "div", "neg", "to", "type_as", "float", "dropout", "masked_fill"}
)


class MixingView(NamedTuple):
    """A view that mixes tokens: the path of the call that it is in, its name, and its file and line."""

    path: str
    name: str
    source: str


class _Known(NamedTuple):
    """What is known of a tensor.

    `depends` tells whether it depends on the ids. `positions` has the position of the token that each of its
    numbers comes from, where lanes are mixed or have gone into another axis. `is_mixed` tells whether no axis
    of the size of seq_len has a lane for each token.
    """

    tensor: weakref.ref[Tensor]
    depends: bool
    positions: Tensor | None = None
    is_mixed: bool = False


class TokenLanes:
    """What is known of the tensors of one run, of ids that have `seq_len` tokens; see the module's docstring.

    `constants` are the parameters and buffers of the model, which depend on no token. `views` are those that
    mix tokens, in order.
    """

    def __init__(self, seq_len: int, constants: Iterable[Tensor]) -> None:
        self.views: list[MixingView] = []
        self._seq_len = seq_len
        self._known: dict[int, _Known] = {}
        for tensor in constants:
            self._learn(tensor, depends=False)

    def mixed(self, side: str, infos: Sequence[TensorInfo], value: object) -> frozenset[tuple[str, str]]:
        """Return the side and the names of the tensors in a value, described in order, that are mixed."""
        tensors = (tensor for _, tensor in find_tensors("", value))
        return frozenset(
            (side, info.name) for info, tensor in zip(infos, tensors, strict=False) if self.are_mixed(tensor)
        )

    def are_mixed(self, tensor: Tensor) -> bool:
        """Tell whether no axis of a tensor has a lane for each token."""
        known = self._of(tensor)
        return known is not None and known.is_mixed

    def follow(
        self, name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any],
        result: Any, view: MixingView,
    ) -> None:  # fmt: skip
        """Learn what an operation made; `view` is what to say of it if it mixes tokens."""
        with suppress(Exception):  # tensors of other kinds, which cannot be tried out
            inputs = [tensor for _, tensor in find_tensors("", (*args, *kwargs.values()))]
            outputs = [tensor for _, tensor in find_tensors("", result)]
            depends = any(map(self._depends, inputs))
            moved = self._moved(name, func, args, kwargs, inputs)
            if moved is not None and len(outputs) == 1 and moved.shape == outputs[0].shape:
                was_mixed = self.are_mixed(inputs[0])
                self._learn(outputs[0], depends, moved)
                if name in _VIEWS and not was_mixed and self.are_mixed(outputs[0]):
                    self.views.append(view)
                return
            for output in outputs:
                self._learn_computed(output, name, inputs, depends)

    def _moved(
        self, name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any],
        inputs: Sequence[Tensor],
    ) -> Tensor | None:  # fmt: skip
        """Return where an operation moves the positions; None if it moves none."""
        if name not in _MOVES or not inputs or not args or args[0] is not inputs[0]:
            return None
        known = self._of(inputs[0])
        positions = known.positions if known is not None else None
        if positions is None:
            if name not in _VIEWS or self.are_mixed(inputs[0]) or not self._depends(inputs[0]):
                return None
            positions = self._positions(inputs[0])
        return None if positions is None else func(positions.contiguous(), *args[1:], **kwargs)

    def _positions(self, tensor: Tensor) -> Tensor | None:
        """Return the position of each number on the axis of tokens; None unless there is one such axis.

        A matrix of scores has two; and where another axis has about as many lanes, as with relative
        positions, a view may shift the one against the other on purpose.
        """
        axes = [axis for axis, size in enumerate(tensor.shape) if self._is_related(size)]
        if len(axes) != 1 or tensor.shape[axes[0]] != self._seq_len:
            return None
        shape = [1] * tensor.dim()
        shape[axes[0]] = self._seq_len
        return torch.arange(self._seq_len, device="cpu").view(shape).expand(tensor.shape)

    def _is_related(self, size: int) -> bool:
        return abs(size - self._seq_len) <= 1 or abs(size - 2 * self._seq_len) <= 1

    def _learn(self, tensor: Tensor, depends: bool, positions: Tensor | None = None) -> None:
        """Note a tensor with the positions of its numbers, and whether its lanes are mixed."""
        axes = [axis for axis, size in enumerate(tensor.shape) if size == self._seq_len]
        is_mixed = False
        if positions is not None and axes:
            is_mixed = not any(_has_one_position_per_lane(positions, axis) for axis in axes)
            positions = positions if is_mixed else None
        self._known[id(tensor)] = _Known(weakref.ref(tensor), depends, positions, is_mixed)

    def _learn_computed(self, output: Tensor, name: str, inputs: Sequence[Tensor], depends: bool) -> None:
        """Note a tensor that an operation computed of others."""
        mixed = [known for tensor in inputs if (known := self._of(tensor)) is not None and known.is_mixed]
        if not mixed or self._seq_len not in output.shape:
            self._learn(output, depends)
            return
        # The lanes of a tensor of the same shape come through, as those of a residual stream do.
        if any(
            tensor.shape == output.shape and self._depends(tensor) and not self.are_mixed(tensor)
            for tensor in inputs
        ):
            self._learn(output, depends)
            return
        positions = next((known.positions for known in mixed if known.positions is not None), None)
        if name not in _ELEMENTWISE or positions is None or positions.shape != output.shape:
            positions = None
        self._known[id(output)] = _Known(weakref.ref(output), depends, positions, is_mixed=True)

    def _depends(self, tensor: Tensor) -> bool:
        known = self._of(tensor)
        return known is None or known.depends

    def _of(self, tensor: Tensor) -> _Known | None:
        known = self._known.get(id(tensor))
        return known if known is not None and known.tensor() is tensor else None


def _has_one_position_per_lane(positions: Tensor, axis: int) -> bool:
    lanes = positions.movedim(axis, 0).flatten(1)
    return bool((lanes == lanes[:, :1]).all())
