"""What goes into and what leaves some modules during a forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gptrace.model.quiet_torch import torch
from gptrace.tracing.state import run_uncompiled

Module = torch.nn.Module
Tensor = torch.Tensor


class Captured:
    """The first tensor that each module got, and that it returned, by path: copies of them."""

    def __init__(self) -> None:
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}


@contextmanager
def captured(module: Module, paths: Sequence[str]) -> Iterator[Captured]:
    """Note what goes through the submodules of those paths in the block.

    >>> layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> with captured(layers, ["1"]) as seen:
    ...     _ = layers(torch.ones(4, 3))
    >>> seen.inputs["1"].shape
    torch.Size([4, 2])
    """
    seen = Captured()

    def keep(kept: dict[str, Tensor], path: str, values: Sequence[object]) -> None:
        tensor = next((value for value in values if isinstance(value, Tensor)), None)
        if tensor is not None:
            kept[path] = tensor.detach().clone()

    def watch(path: str) -> list[torch.utils.hooks.RemovableHandle]:
        def entering(_: Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            keep(seen.inputs, path, [*args, *kwargs.values()])

        def leaving(_: Module, __: object, output: object) -> None:
            keep(seen.outputs, path, output if isinstance(output, tuple | list) else [output])

        submodule = module.get_submodule(path)
        return [
            submodule.register_forward_pre_hook(entering, with_kwargs=True),
            submodule.register_forward_hook(leaving),
        ]

    handles = [handle for path in dict.fromkeys(paths) for handle in watch(path)]
    try:
        with run_uncompiled():
            yield seen
    finally:
        for handle in handles:
            handle.remove()
