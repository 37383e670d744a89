"""Exceptions of a model's own code → what was probably meant: names, keys, calls and assertions."""

from __future__ import annotations

import difflib
import inspect
import linecache
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any

from gptrace.model.failed_conditions import assertion_hint
from gptrace.model.quiet_torch import torch
from gptrace.model.raising_statements import innermost
from gptrace.wording import message_of, quoted_value

Module = torch.nn.Module
_MOST_KEYS = 10_000  # of a mapping that may be a configuration


def exception_hint(error: BaseException) -> str:
    """Return the likely cause of an exception about a name, a key, a call or an assertion; "" for others.

    >>> try:
    ...     torch.nn.Linear(2, 3).wieght
    ... except AttributeError as error:
    ...     exception_hint(error)
    'Linear has no attribute wieght; did you mean weight?'
    """
    for kind, hint in _HINTS.items():
        if isinstance(error, kind):
            with suppress(Exception):  # objects of the user's may raise wherever they are looked at
                return hint(error)
    return ""


def _attribute_hint(error: Any) -> str:
    # torch.nn.Module raises these where its own attributes, such as _modules, were never set.
    if re.search(
        r"before Module\.__init__\(\) call|no attribute '_(modules|parameters|buffers)'", message_of(error)
    ):
        return "__init__ has to call super().__init__() before it sets any attribute"
    if not isinstance(error.name, str) or error.obj is None:
        return ""
    owner = error.obj
    names: list[str] = []
    with suppress(Exception):  # the user's __dir__ may raise
        names = [name for name in dir(owner) if not name.startswith("_")]
    if isinstance(inspect.getattr_static(type(owner), error.name, None), property):
        # Its AttributeError makes Python ask __getattr__, which for modules raises another one.
        return f"{error.name} is a property of {type(owner).__name__}, and its own code raised AttributeError"
    close = difflib.get_close_matches(error.name, names, n=1, cutoff=0.7)
    return f"{type(owner).__name__} has no attribute {error.name}; did you mean {close[0]}?" if close else ""


def _name_hint(error: Any) -> str:
    """Name the attribute of `self` that a function has called by its name alone."""
    place = innermost(error)
    if place is None or not isinstance(error.name, str) or isinstance(error, UnboundLocalError):
        return ""
    owner = place.tb_frame.f_locals.get("self")
    if owner is None or error.name.startswith("__") or not _has(owner, error.name):
        return ""
    return f"{error.name} is an attribute of {type(owner).__name__}: write self.{error.name}"


def _has(owner: object, name: str) -> bool:
    with suppress(Exception):  # the user's __getattr__ may raise
        return hasattr(owner, name)
    return False


def _key_hint(error: Any) -> str:
    """Name the key of a mapping that is spelled nearly as the one that it lacks."""
    key, place = next(iter(error.args), None), innermost(error)
    if not isinstance(key, str) or place is None:
        return ""
    frame = place.tb_frame
    line = linecache.getline(frame.f_code.co_filename, place.tb_lineno, frame.f_globals)
    for name, mapping in _mappings_of(frame, line):
        with suppress(Exception):  # the user's class may raise
            keys = [] if key in mapping else [each for each in mapping if isinstance(each, str)]
            if close := difflib.get_close_matches(key, keys[:_MOST_KEYS], n=1, cutoff=0.7):
                return f"{name} has the key {quoted_value(close[0])}, and not {quoted_value(key)}"
    return ""


def _mappings_of(frame: FrameType, line: str) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield the mappings among the variables of a function, and the attributes of `self`, on a line."""
    values = dict(frame.f_locals)
    values |= {f"self.{name}": value for name, value in getattr(values.get("self"), "__dict__", {}).items()}
    for name, value in values.items():
        if re.search(rf"(?<![\w.]){re.escape(name)}\s*[\[.]", line) and isinstance(value, Mapping):
            yield name, value


def _call_hint(error: Any) -> str:
    """Say why a module cannot be called; the frame of torch's own stand-in holds the module."""
    place = innermost(error)
    module = place.tb_frame.f_locals.get("self") if place is not None else None
    if not isinstance(module, Module) or 'missing the required "forward"' not in message_of(error):
        return ""
    name = type(module).__name__
    if isinstance(module, torch.nn.ModuleList | torch.nn.ModuleDict):
        own_name = _name_of(module, error)
        use = f"call a module in it, as in `{own_name}[key](x)`"
        if isinstance(module, torch.nn.ModuleList):
            use = f"loop over it, as in `for block in {own_name}: x = block(x)`, or make it an nn.Sequential"
        return f"{name} holds modules and cannot be called itself: {use}"
    own = [method for method in dir(type(module)) if not hasattr(Module, method)]
    close = difflib.get_close_matches("forward", own, n=1, cutoff=0.7)
    return f"{name} has no method forward" + (f"; rename {close[0]} to forward" if close else "")


def _name_of(module: Module, error: BaseException) -> str:
    """Return the name by which the calling function knows a module, as in self.trf_blocks."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        owner = frame.f_locals.get("self")
        children = owner._modules.items() if isinstance(owner, Module) else ()
        for name, child in children:
            if child is module:
                return f"self.{name}"
    return "blocks"


# The first class that an exception is an instance of counts.
_HINTS: dict[type[BaseException], Callable[[Any], str]] = {
    AttributeError: _attribute_hint,
    NameError: _name_hint,
    KeyError: _key_hint,
    NotImplementedError: _call_hint,
    AssertionError: assertion_hint,
}
