"""Exceptions about names that a class does not have → what was probably meant."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress

from gptrace.model.quiet_torch import torch
from gptrace.wording import message_of

Module = torch.nn.Module


def attribute_hint(error: BaseException) -> str:
    """Return the likely cause of an error about an attribute of a model; "" for other errors.

    >>> try:
    ...     torch.nn.Linear(2, 3).wieght
    ... except AttributeError as error:
    ...     attribute_hint(error)
    'Linear has no attribute wieght; did you mean weight?'
    """
    text = message_of(error)
    # torch.nn.Module raises these where its own attributes, such as _modules, were never set.
    if isinstance(error, AttributeError) and re.search(
        r"before Module\.__init__\(\) call|no attribute '_(modules|parameters|buffers)'", text
    ):
        return "__init__ has to call super().__init__() before it sets any attribute"
    if isinstance(error, NotImplementedError):
        return _missing_forward(error)
    if not isinstance(error, AttributeError) or not isinstance(error.name, str) or error.obj is None:
        return ""
    owner = error.obj
    names: list[str] = []
    with suppress(Exception):  # the user's __dir__ may raise
        names = [name for name in dir(owner) if not name.startswith("_")]
    close = difflib.get_close_matches(error.name, names, n=1, cutoff=0.7)
    return f"{type(owner).__name__} has no attribute {error.name}; did you mean {close[0]}?" if close else ""


def _missing_forward(error: NotImplementedError) -> str:
    """Name the method that is probably `forward`; the frame of torch's own stand-in holds the module."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_locals.get("self") if traceback is not None else None
    if not isinstance(module, Module) or 'missing the required "forward"' not in message_of(error):
        return ""
    name = type(module).__name__
    own = [method for method in dir(type(module)) if not hasattr(Module, method)]
    close = difflib.get_close_matches("forward", own, n=1, cutoff=0.7)
    return f"{name} has no method forward" + (f"; rename {close[0]} to forward" if close else "")
