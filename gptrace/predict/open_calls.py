"""Which calls of submodules are open at each moment of a forward pass, and what is known of its tensors."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gptrace.model.interrupts import interrupts_held
from gptrace.model.quiet_torch import torch
from gptrace.tracing.undisturbed import run_uncompiled

Module = torch.nn.Module
Tensor = torch.Tensor


class CallOf(NamedTuple):
    """A call of a submodule: its path, and its number among the calls of that module, from 1."""

    path: str
    number: int


class OpenCalls:
    """The calls that are open, the innermost last.

    >>> layers = torch.nn.Sequential(torch.nn.ReLU())
    >>> left = []
    >>> with OpenCalls().followed_on(layers, on_leave=lambda call, output: left.append(call.path)):
    ...     _ = layers(torch.ones(2))
    >>> left
    ['0', '']
    """

    def __init__(self) -> None:
        self._open = [CallOf("", 1)]
        self._calls: Counter[str] = Counter()

    @property
    def innermost(self) -> CallOf:
        """The call that runs now; the whole model's outside of all."""
        return self._open[-1]

    @property
    def around(self) -> CallOf:
        """The call that made the innermost one; the whole model's outside of all."""
        return self._open[-2 if len(self._open) > 1 else -1]

    @contextmanager
    def followed_on(
        self,
        module: Module,
        *,
        on_enter: Callable[[CallOf, tuple[Any, ...]], object] = lambda call, inputs: None,
        on_leave: Callable[[CallOf, object], object] = lambda call, output: None,
    ) -> Iterator[None]:
        """Follow the calls of a module and its submodules in the block.

        `on_enter` is called with the call that begins and its positional and keyword inputs, `on_leave` with
        the call that ends and its output; not with one that raises.
        """

        def add_hooks(path: str, submodule: Module) -> list[torch.utils.hooks.RemovableHandle]:
            def before(_: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                self._calls[path] += 1
                self._open.append(CallOf(path, self._calls[path]))
                on_enter(self._open[-1], (*args, *kwargs.values()))

            def after(_: Module, __: object, output: object) -> None:
                on_leave(self._open[-1], output)

            return [
                submodule.register_forward_pre_hook(before, with_kwargs=True),
                submodule.register_forward_hook(after),
                submodule.register_forward_hook(lambda _, __, ___: self._close(), always_call=True),
            ]

        handles: list[torch.utils.hooks.RemovableHandle] = []
        with interrupts_held():
            try:
                for path, submodule in module.named_modules():
                    if not isinstance(submodule, torch.jit.ScriptModule):
                        handles += add_hooks(path, submodule)
                with run_uncompiled():  # compiled code may skip the hooks of submodules
                    yield
            finally:
                for handle in handles:
                    handle.remove()

    def _close(self) -> None:
        self._open.pop()


@dataclass(eq=False)
class KnownTensors:
    """A value for each tensor, for as long as the tensor lives."""

    values: dict[int, tuple[weakref.ref[Tensor], Any]] = field(default_factory=dict)

    def learn(self, tensor: Tensor, value: object) -> None:
        """Note the value of a tensor."""
        self.values[id(tensor)] = weakref.ref(tensor), value

    def of(self, tensor: object) -> Any:
        """Return the value of a tensor, None where none is known."""
        reference, value = self.values.get(id(tensor), (None, None))
        return value if reference is not None and reference() is tensor else None
