"""A file of the user's that Python imports in the place of a library of the same name."""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib.machinery import PathFinder
from types import ModuleType

_LIBRARIES = [*{sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}]


def hiding_file(error: BaseException) -> str:
    """Return the file of the module that lacks what was read or imported, where it hides a library; else "".

    >>> hiding_file(AttributeError(name="absent", obj=os)), hiding_file(ImportError(name="os.absent"))
    ('', '')
    """
    module: object = None
    if isinstance(error, AttributeError):
        module = error.obj
    elif isinstance(error, ImportError) and error.name is not None:
        module = sys.modules.get(error.name.partition(".")[0])
    if not isinstance(module, ModuleType):
        return ""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or file.startswith(tuple(folder + os.sep for folder in _LIBRARIES)):
        return ""
    return file if PathFinder.find_spec(module.__name__, _LIBRARIES) is not None else ""
