"""Stand around the calls of modules while a trace runs, and go without a trace of it.

Hooks would do the same at ten times the cost: torch runs another function for a module with hooks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import partial
from sys import _getframe
from threading import Lock, get_ident
from typing import Any, Protocol
from weakref import WeakSet

from gptrace.model.forked_children import in_forked_child
from gptrace.model.quiet_torch import torch
from gptrace.tracing.arguments import ArgumentNames

Module = torch.nn.Module
# `Module.__call__` calls the attribute of this name instead of `_call_impl`, if it is set. The method
# `Module.compile` sets it; it exists since torch 2.1, which also leaves it out of copies and pickles.
_NAME = "_compiled_call_impl"
_ABSENT = False  # a module that was never compiled has no such attribute
_lock = Lock()  # of the chains of wrappers
_every: WeakSet[ModuleCalls] = WeakSet()
Arguments = tuple[object, ...]
Keywords = Mapping[str, object]


class WatchedModule:
    """A module, its path and the names of its arguments.

    `call` runs it; `below` is what stood in its place before: code, None, or _ABSENT.
    """

    __slots__ = ("below", "call", "module", "names", "path")

    def __init__(self, module: Module, path: str, names: ArgumentNames) -> None:
        self.module, self.path, self.names = module, path, names
        self.below: Any = _ABSENT
        self.call: Any = module._call_impl

    def put_above(self, below: Any) -> None:
        """Run `below` in a call, where it is code: compiled code, or the wrapper of another trace."""
        self.below = below
        self.call = below or self.module._call_impl


class Listener(Protocol):
    """What hears of calls: at their begin, at their end, and when they fail. It changes nothing."""

    def begin(self, watched: WatchedModule, args: Arguments, kwargs: Keywords) -> Any:
        """Return what stands for the call; None if it is not to be heard of."""

    def end(self, call: Any, output: object) -> None:
        """Note that a call has returned."""

    def fail(self, call: Any, args: Arguments, error: BaseException) -> None:
        """Note that a call has raised."""


def call_watched(listener: Listener, watched: WatchedModule, /, *args: Any, **kwargs: Any) -> Any:
    """Call the module as its caller would, hooks of the user included, and tell the listener."""
    module = watched.module
    # A shallow copy shares the attributes of its original: the replicas of DataParallel are such copies. The
    # caller is `Module.__call__`, whose `self` is the module that is called.
    called = _getframe(1).f_locals.get("self", module)
    if called is not module:
        return _call_of_copy(called, watched)(*args, **kwargs)
    call = listener.begin(watched, args, kwargs)
    if call is None:
        return watched.call(*args, **kwargs)
    try:
        output = watched.call(*args, **kwargs)
    except BaseException as error:
        listener.fail(call, args, error)
        call = None  # else the exception, which holds this frame, would hold itself
        raise
    listener.end(call, output)
    return output


def _call_of_copy(copy: Module, watched: WatchedModule) -> Any:
    """Return what a shallow copy runs when it is called: what it would if nothing were watched."""
    below: Any = watched
    while isinstance(below, WatchedModule):
        below = below.below
        if isinstance(below, _Wrapper):
            below = below.watched
    return below or copy._call_impl


class _Wrapper(partial[Any]):
    """Stands in the place of a module's call; None in a copy or a pickle, where nothing is watched.

    A `partial` is called straight from C; a class with `__call__` would add a Python frame to every call.
    """

    @property
    def watched(self) -> WatchedModule:
        watched: WatchedModule = self.args[1]
        return watched

    def __reduce__(self) -> Any:
        return type(None), ()  # a pickle that is read where there is no gptrace


def is_watch(call: object) -> bool:
    """Tell whether this attribute of a module, in the place of its call, is that of a trace."""
    return isinstance(call, _Wrapper)


def compiled_paths(modules: Iterable[WatchedModule]) -> list[str]:
    """Return the paths of the modules that `torch.compile`, or their own `compile()`, has compiled."""
    made_by_compile = getattr(sys.modules.get("torch._dynamo"), "OptimizedModule", ())
    return [
        watched.path
        for watched in modules
        if isinstance(watched.module, made_by_compile) or (watched.below and _is_compiled(watched.module))
    ]


def _is_compiled(module: Module) -> bool:
    below = module.__dict__.get(_NAME)
    while isinstance(below, _Wrapper):
        below = below.watched.below
    return bool(below)


class ModuleCalls:
    """The modules that one listener hears of. Several may hear of a module, and leave in any order.

    torch's hooks are not used. A wrapper sees what the caller gives and gets, whatever hooks the user adds
    and when; it sees an exception of any kind; and a scripted module, which supports no hooks, can have one.
    One thing torch would do otherwise where no module has a hook: its encoder layer runs a fused kernel,
    which hides the calls inside. So such a layer gets a hook without effect.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener, self.thread = listener, get_ident()
        self._wrappers: list[tuple[WatchedModule, _Wrapper]] = []
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def add(self, modules: Iterable[WatchedModule]) -> None:
        """Listen to the calls of these modules."""
        _every.add(self)
        with _lock:
            for watched in modules:
                # Written to the dictionary, as `Module.__setattr__` takes ten times as long.
                attributes = watched.module.__dict__
                wrapper = _Wrapper(call_watched, self._listener, watched)
                self._wrappers.append((watched, wrapper))
                if _NAME in attributes:
                    watched.put_above(attributes[_NAME])
                attributes[_NAME] = wrapper
                if isinstance(watched.module, torch.nn.TransformerEncoderLayer):
                    self._handles.append(watched.module.register_forward_hook(_without_effect))

    def remove(self) -> list[str]:
        """Leave all modules as if nothing had listened.

        Returned are the paths of those that were compiled meanwhile: torch puts that code in our place.
        """
        with _lock:
            lost = []
            for watched, wrapper in self._wrappers:
                attributes = watched.module.__dict__
                if watched.below is _ABSENT and attributes.get(_NAME) is wrapper:  # the usual case
                    del attributes[_NAME]
                elif not _remove(watched, wrapper):
                    lost.append(watched.path)
        self._wrappers.clear()
        while self._handles:
            self._handles.pop().remove()
        return lost


@in_forked_child
def _leave_modules_of_other_threads() -> None:
    """Leave what other threads watched: they record no more, and never leave it themselves."""
    global _lock
    _lock = Lock()
    for calls in list(_every):
        if calls.thread != get_ident():
            calls.remove()


def _remove(watched: WatchedModule, wrapper: _Wrapper) -> bool:
    """Take a wrapper out of the chain of a module; tell whether no other code is in its place."""
    attributes, below = vars(watched.module), watched.below
    top = attributes.get(_NAME)
    if top is wrapper:
        if below is _ABSENT:
            del attributes[_NAME]
        else:
            attributes[_NAME] = below
        return True
    while isinstance(top, _Wrapper):  # of a trace that began later and has not ended
        if top.watched.below is wrapper:
            top.watched.put_above(below)
            return True
        top = top.watched.below
    return not top


def _without_effect(*arguments: object) -> None: ...
