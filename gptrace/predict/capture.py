"""The tensors that enter and leave some submodules during a forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gptrace.model.interrupts import interrupts_held
from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import find_tensors
from gptrace.tracing.undisturbed import run_uncompiled

Module = torch.nn.Module
Tensor = torch.Tensor


class CapturedTensors:
    """Copies of the first tensor that each submodule took and of the first that it returned, by path.

    Of several calls they are those of the last; `first_inputs` are those of the first.
    """

    def __init__(self) -> None:
        self.first_inputs: dict[str, Tensor] = {}
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}


@contextmanager
def capture_tensors(module: Module, paths: Sequence[str]) -> Iterator[CapturedTensors]:
    """Capture the tensors of the submodules at `paths` while the block runs.

    >>> layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> with capture_tensors(layers, ["1"]) as captured:
    ...     _ = layers(torch.ones(4, 3))
    >>> captured.inputs["1"].shape
    torch.Size([4, 2])
    """
    captured = CapturedTensors()

    def copy_first(copies: dict[str, Tensor], path: str, value: object) -> None:
        # Found as the trace finds them, such as in a dict.
        for _, tensor in find_tensors("", value)[:1]:
            # A copy, since a later operation may work in place.
            copies[path] = tensor.detach().clone()

    def add_hooks(path: str) -> list[torch.utils.hooks.RemovableHandle]:
        def before(_: Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            copy_first(captured.inputs, path, [*args, *kwargs.values()])
            if path in captured.inputs:
                captured.first_inputs.setdefault(path, captured.inputs[path])

        def after(_: Module, __: object, output: object) -> None:
            copy_first(captured.outputs, path, output)

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
