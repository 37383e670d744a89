"""Two hooks on every submodule, which change nothing and go without a trace."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from gptrace.model.quiet_torch import torch

Module = torch.nn.Module
_Scripted = torch.jit._script.RecursiveScriptModule


class Hook(partial[None]):
    """A hook that stays behind when its module is copied or saved: the copy gets one that does nothing.

    A partial of nothing, since that is called without a step of Python in between.
    """

    __name__ = "gptrace_hook"  # torch.jit asks for it

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return _nothing

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _no_hook, ()


def _nothing(*arguments: object) -> None: ...


def _no_hook() -> Callable[..., None]:
    return _nothing


class ModuleHooks:
    """The hooks of one trace: `opened` runs when a call begins, `closed` when it ends, also in an exception.

    They do what register_forward_pre_hook and register_forward_hook do, at a fifth of their time, which is
    most of what a trace adds to a short forward pass: a handle for each hook of hundreds of modules, made and
    taken apart. One number does for all of them.
    """

    def __init__(self, opened: Hook, closed: Hook) -> None:
        self._opened = opened
        self._closed = closed
        self._number = torch.utils.hooks.RemovableHandle(OrderedDict()).id  # one that no other hook has
        self._modules: list[Module] = []
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def add(self, module: Module) -> None:
        """Watch one more module."""
        if isinstance(module, _Scripted):
            if not self._handles:
                self._watch_scripted()
            return
        number = self._number
        self._modules.append(module)
        # First in, last out: a span is the call as its caller sees it, with the work of the module's own
        # hooks inside.
        module._forward_pre_hooks[number] = self._opened
        module._forward_pre_hooks.move_to_end(number, last=False)  # type: ignore[attr-defined]
        module._forward_pre_hooks_with_kwargs[number] = True
        module._forward_hooks[number] = self._closed
        # Without this the hook would stay silent when forward raises.
        module._forward_hooks_always_called[number] = True

    def remove(self) -> None:
        """Take all of them away."""
        number = self._number
        while self._modules:
            module = self._modules.pop()
            module._forward_pre_hooks.pop(number, None)
            module._forward_pre_hooks_with_kwargs.pop(number, None)
            module._forward_hooks.pop(number, None)
            module._forward_hooks_always_called.pop(number, None)
        while self._handles:
            self._handles.pop().remove()

    def _watch_scripted(self) -> None:
        """Watch scripted modules, which take no hooks of their own, through those for all modules."""

        def opened(module: Module, args: tuple[object, ...]) -> None:
            if isinstance(module, _Scripted):
                self._opened(module, args, {})

        def closed(module: Module, args: tuple[object, ...], output: object) -> None:
            if isinstance(module, _Scripted):
                self._closed(module, args, output)

        hooks = torch.nn.modules.module
        self._handles.append(hooks.register_module_forward_pre_hook(opened))
        self._handles.append(hooks.register_module_forward_hook(closed, always_call=True))
