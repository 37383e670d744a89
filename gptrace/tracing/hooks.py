"""The two hooks that a trace puts on every module, and their removal; they leave the module as it was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from gptrace.model.quiet_torch import torch

Module = torch.nn.Module
# The class of scripted modules. TorchScript supports no hooks on them: register_forward_hook raises.
_ScriptModule = torch.jit._script.RecursiveScriptModule


class Hook(partial[None]):
    """A hook that becomes a function without effect when its module is copied or pickled.

    Copying a module copies its hooks, but the calls of a copy do not belong to the trace. A `partial` is
    called straight from C; a class with `__call__` would add a Python frame to every call.
    """

    __name__ = "gptrace_hook"  # torch.jit reads the name of every hook

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _no_hook, ()


def _inert(*arguments: object) -> None: ...


def _no_hook() -> Callable[..., None]:
    return _inert


class ModuleHooks:
    """The hooks of one trace: `before_call` runs when a call begins, `after_call` when it returns or raises.

    `before_call` gets (module, args, kwargs); `after_call` gets (module, args, output). Both return None,
    which leaves arguments and output as they are.

    `register_forward_pre_hook` and `register_forward_hook` create a handle for each hook; for the hundreds of
    modules of a model, handles would be most of the cost of tracing a short forward pass. So the hooks are
    written directly into four private dictionaries of the module, which takes a fifth of the time. All four
    exist since torch 2.1, and `Module._call_impl` reads them like this:

    - `_forward_pre_hooks`, `_forward_hooks` (hook id → hook): the hooks run in the order of the dictionary;
    - `_forward_pre_hooks_with_kwargs` (hook id → True): these pre-hooks get the keyword arguments, too;
    - `_forward_hooks_always_called` (hook id → True): these hooks also run, once, when `forward` or another
      hook raises an Exception.
    """

    def __init__(self, before_call: Hook, after_call: Hook) -> None:
        self._before_call = before_call
        self._after_call = after_call
        # Ids come from one counter in RemovableHandle, so this one is unique and serves for all modules.
        self._id = torch.utils.hooks.RemovableHandle(OrderedDict()).id
        self._modules: list[Module] = []
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def add(self, module: Module) -> None:
        """Put the hooks on one more module."""
        if isinstance(module, _ScriptModule):
            if not self._handles:
                self._add_for_scripted_modules()
            return
        hook_id = self._id
        self._modules.append(module)
        # First in, last out: the pre-hook runs before the module's other pre-hooks and the hook after its
        # other hooks. So a span is the call as its caller sees it, with the work of the user's hooks inside.
        # A hook that the user adds during the block runs after ours, and its changes are not seen.
        module._forward_pre_hooks[hook_id] = self._before_call
        module._forward_pre_hooks.move_to_end(hook_id, last=False)  # type: ignore[attr-defined]
        module._forward_pre_hooks_with_kwargs[hook_id] = True
        module._forward_hooks[hook_id] = self._after_call
        # Without this, torch skips the hook when forward raises. KeyboardInterrupt and every other exception
        # that is no Exception still skip it; the recorder closes the spans that they leave open.
        module._forward_hooks_always_called[hook_id] = True

    def remove(self) -> None:
        """Remove all hooks that were added."""
        hook_id = self._id
        while self._modules:
            module = self._modules.pop()
            module._forward_pre_hooks.pop(hook_id, None)
            module._forward_pre_hooks_with_kwargs.pop(hook_id, None)
            module._forward_hooks.pop(hook_id, None)
            module._forward_hooks_always_called.pop(hook_id, None)
        while self._handles:
            self._handles.pop().remove()

    def _add_for_scripted_modules(self) -> None:
        """Register global hooks that pass on the calls of scripted modules, which have no hooks themselves.

        Global hooks run for every module in the process; SpanRecorder ignores modules that it does not watch.
        They see calls from Python only: the calls between scripted modules stay hidden.
        """

        def before_call(module: Module, args: tuple[object, ...]) -> None:
            if isinstance(module, _ScriptModule):
                self._before_call(module, args, {})

        def after_call(module: Module, args: tuple[object, ...], output: object) -> None:
            if isinstance(module, _ScriptModule):
                self._after_call(module, args, output)

        global_hooks = torch.nn.modules.module
        self._handles.append(global_hooks.register_module_forward_pre_hook(before_call))
        self._handles.append(global_hooks.register_module_forward_hook(after_call, always_call=True))
