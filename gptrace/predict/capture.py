"""The tensors that enter and leave some submodules during a forward pass, and others in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from gptrace.model.interrupts import interrupts_held
from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import find_tensors
from gptrace.tracing.undisturbed import run_uncompiled

Module = torch.nn.Module
Tensor = torch.Tensor
_LAST: Mapping[str, int] = MappingProxyType({})


class CapturedTensors:
    """Copies of the first tensor that each submodule took and of the first that it returned, by path.

    Of several calls they are those of the last, or of that which was asked for; `first_inputs` are those of
    the first.
    """

    def __init__(self, numbers: Mapping[str, int] = _LAST) -> None:
        self.first_inputs: dict[str, Tensor] = {}
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self._numbers = numbers
        self._calls: Counter[str] = Counter()

    def note_inputs(self, path: str, values: Sequence[object]) -> None:
        """Note that a call of a submodule begins."""
        self._calls[path] += 1
        if path not in self.first_inputs:
            _copy_first(self.first_inputs, path, values)
        if self._is_wanted(path):
            _copy_first(self.inputs, path, values)

    def note_output(self, path: str, value: object) -> None:
        """Note what a call of a submodule returned."""
        if self._is_wanted(path):
            _copy_first(self.outputs, path, value)

    def _is_wanted(self, path: str) -> bool:
        return self._calls[path] == self._numbers.get(path, self._calls[path])


@contextmanager
def capture_tensors(
    module: Module, paths: Sequence[str], numbers: Mapping[str, int] = _LAST
) -> Iterator[CapturedTensors]:
    """Capture the tensors of the submodules at `paths` while the block runs.

    Of a path in `numbers` only the call of that number counts, from 1.

    >>> layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> with capture_tensors(layers, ["1"]) as captured:
    ...     _ = layers(torch.ones(4, 3))
    >>> captured.inputs["1"].shape
    torch.Size([4, 2])
    """
    captured = CapturedTensors(numbers)

    def add_hooks(path: str) -> list[torch.utils.hooks.RemovableHandle]:
        def before(_: Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            captured.note_inputs(path, [*args, *kwargs.values()])

        def after(_: Module, __: object, output: object) -> None:
            captured.note_output(path, output)

        submodule = module.get_submodule(path)
        return [
            submodule.register_forward_pre_hook(before, with_kwargs=True),
            submodule.register_forward_hook(after),
        ]

    with interrupts_held():
        handles = [handle for path in dict.fromkeys(paths) for handle in add_hooks(path)]
        try:
            with run_uncompiled():  # compiled code may skip the hooks of submodules
                yield captured
        finally:
            for handle in handles:
                handle.remove()


def _copy_first(copies: dict[str, Tensor], path: str, value: object) -> None:
    tensor = _first_tensor(value)
    if tensor is not None:
        copies[path] = tensor.clone()  # since a later operation may work in place


def _first_tensor(value: object) -> Tensor | None:
    """Return the first tensor in a value, as the trace finds them, such as in a dict."""
    found = find_tensors("", value)
    return found[0][1].detach() if found else None


@contextmanager
def each_output(
    module: Module, paths: Sequence[str], receive: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Give the first tensor of each output of the submodules at `paths` to `receive`, with the path."""

    def add_hook(path: str) -> torch.utils.hooks.RemovableHandle:
        def after(_: Module, __: object, output: object) -> None:
            tensor = _first_tensor(output)
            if tensor is not None:
                receive(path, tensor)

        return module.get_submodule(path).register_forward_hook(after)

    with interrupts_held():
        handles = [add_hook(path) for path in dict.fromkeys(paths)]
        try:
            with run_uncompiled():  # compiled code may skip the hooks of submodules
                yield
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def replaced_output(module: Module, values: Tensor) -> Iterator[None]:
    """Let a module return `values` in place of the first tensor that it returns."""

    def replace(_: object, __: object, output: object) -> object:
        if isinstance(output, Tensor):
            return values.clone()
        if not isinstance(output, tuple | list):
            raise TypeError(f"it returns a value of type {type(output).__name__}")
        items = list(output)
        items[next(at for at, item in enumerate(items) if isinstance(item, Tensor))] = values.clone()
        make: Callable[..., object] = type(output)
        return make(*items) if hasattr(output, "_fields") else make(items)

    with interrupts_held():
        handle = module.register_forward_hook(replace)
        try:
            with run_uncompiled():  # compiled code may skip the hooks of submodules
                yield
        finally:
            handle.remove()
