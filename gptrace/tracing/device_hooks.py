"""accelerate's hooks around the calls of modules: they bring in weights and move inputs, unseen by a trace.

That is no work of the model. What they bring in are still its parameters, and what they move is the same
tensor on another device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from threading import Lock, get_ident
from typing import Any

from gptrace.model.forked_children import in_forked_child
from gptrace.model.offloading import device_hook, offloaded_tensors
from gptrace.model.quiet_torch import torch
from gptrace.tracing.activation_memory import ActivationMemory
from gptrace.tracing.costs import CostMode
from gptrace.tracing.operations import OperationMode
from gptrace.tracing.origins import OriginTracker
from gptrace.tracing.tensors import find_tensors
from gptrace.tracing.unseen import Paused, without_dispatch_modes, without_function_modes

Module = torch.nn.Module
Tensor = torch.Tensor
_METHODS = ("pre_forward", "post_forward")
_lock = Lock()  # of the stand-ins


@in_forked_child
def _renew_lock() -> None:
    global _lock
    _lock = Lock()


class DeviceHooks:
    """Stands around the hooks of the `modules` of a model, in the thread that traces, while it is entered.

    `modules` are all modules with their paths, first the model itself. The measurements of the trace may each
    be None.
    """

    def __init__(
        self, modules: Sequence[tuple[str, Module]], costs: CostMode | None, memory: ActivationMemory | None,
        operations: OperationMode | None, origins: OriginTracker | None,
    ) -> None:  # fmt: skip
        self._modes = costs, operations
        self._memory, self._origins = memory, origins
        self.thread = get_ident()
        self._paths = {id(module): path for path, module in reversed(modules)}
        hooks = [device_hook(module) for _, module in modules]
        self._hooks = {id(hook): hook for hook in hooks if hook is not None}
        # Each weight is named as if it were there: of a tied one, the first path counts.
        offloaded = offloaded_tensors(modules[0][1]) if self._hooks and origins is not None else {}
        first: dict[object, str] = {}
        self._names: dict[str, str] = {}
        for path, module in modules if offloaded else ():
            for own in (module._parameters, module._buffers):
                for name, tensor in own.items():
                    if id(tensor) in offloaded:
                        full = f"{path}.{name}" if path else name
                        self._names[full] = first.setdefault(offloaded[id(tensor)].identity, full)

    def enter(self, cleanup: ExitStack) -> None:
        """Stand around the hooks until the stack is closed."""
        for hook in self._hooks.values():
            for name in _METHODS:
                _add(hook, name, self)
                cleanup.callback(_remove, hook, name, self)

    def pause(self) -> Paused:
        """Let the modes of this trace see nothing for a while."""
        return Paused(self._modes)

    def note(self, name: str, module: Module, before: object, after: object) -> None:
        """Note what a hook has done: `before` and `after` are what it was given and what it returned."""
        self._note_moved(before, after)
        if name == _METHODS[0] and self._names and self._origins is not None:
            self._note_weights(self._origins, module)

    def _note_moved(self, before: object, after: object) -> None:
        """Note that tensors are the same as before, where a hook has moved some."""
        if self._memory is None and self._origins is None:
            return
        pairs = zip(find_tensors("", before), find_tensors("", after), strict=False)
        for (_, tensor), (_, moved) in pairs:
            if moved is tensor or moved.shape != tensor.shape:
                continue
            if self._origins is not None:
                self._origins.note_same(moved, tensor)
            if self._memory is not None:
                self._memory.add(moved, (tensor,))

    def _note_weights(self, origins: OriginTracker, module: Module) -> None:
        """Note which tensors are parameters: those of a module, and of those inside if it brings them too."""
        for inner, part in module.named_modules():
            outer = self._paths.get(id(module), "")
            prefix = ".".join(filter(None, (outer, inner)))
            for own in (part._parameters, part._buffers):
                for name, tensor in own.items():
                    known = self._names.get(f"{prefix}.{name}" if prefix else name)
                    if tensor is not None and known is not None and not tensor.is_meta:
                        origins.note_brought_in(tensor, known)


class _StandIn:
    """Runs in place of one method of a hook, for all traces that are entered."""

    def __init__(self, method: Callable[..., Any], name: str, is_own: bool) -> None:
        self.method, self.name, self.is_own = method, name, is_own
        self.listeners: list[DeviceHooks] = []

    def __call__(self, module: Module, *args: Any, **kwargs: Any) -> Any:
        listeners = [each for each in self.listeners if each.thread == get_ident()]
        with ExitStack() as stack:
            for listener in listeners:
                stack.callback(listener.pause().end)
            result = self.method(module, *args, **kwargs)
        before = (args, kwargs) if self.name == _METHODS[0] else args[0]
        with without_function_modes(), without_dispatch_modes():
            for listener in listeners:
                listener.note(self.name, module, before, result)
        return result


def _add(hook: Any, name: str, listener: DeviceHooks) -> None:
    with _lock:
        stand_in = vars(hook).get(name)
        if not isinstance(stand_in, _StandIn):
            stand_in = _StandIn(getattr(hook, name), name, is_own=name in vars(hook))
            vars(hook)[name] = stand_in
        stand_in.listeners = [*stand_in.listeners, listener]  # another thread may walk through the list


def _remove(hook: Any, name: str, listener: DeviceHooks) -> None:
    """Leave a hook as if nothing had listened; code that has taken our place meanwhile stays."""
    with _lock:
        stand_in = vars(hook).get(name)
        if not isinstance(stand_in, _StandIn):
            return
        stand_in.listeners = [each for each in stand_in.listeners if each is not listener]
        if not stand_in.listeners and stand_in.is_own:
            vars(hook)[name] = stand_in.method
        elif not stand_in.listeners:
            del vars(hook)[name]
