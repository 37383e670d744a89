"""Functions and classes of libraries that only compute a value: no file, no network, no code of the user."""

from __future__ import annotations

import builtins
import collections
import dataclasses
import enum
import functools
import logging
import os
import re
import sys
import types
import typing
from typing import Any, TypeVar

from gptrace.model.quiet_torch import torch

_BUILTINS = (
    "abs", "all", "any", "bool", "bytes", "complex", "dict", "divmod", "enumerate", "float",
    "frozenset", "getattr", "hasattr", "int", "isinstance", "issubclass", "len", "list", "map", "max",
    "min", "object", "pow", "range", "reversed", "round", "set", "slice", "sorted", "str", "sum",
    "tuple", "type", "zip",
)  # fmt: skip
_TENSORS = (
    "device", "finfo", "iinfo", "tensor", "arange", "zeros", "ones", "full", "eye", "linspace", "tril",
    "triu",
)  # fmt: skip
_SAFE: tuple[Any, ...] = (
    *(getattr(builtins, name) for name in _BUILTINS),
    *(getattr(torch, name) for name in _TENSORS),
    torch.cuda.is_available, torch.cuda.device_count, torch.backends.mps.is_available,
    torch.accelerator.is_available, torch.accelerator.current_accelerator, torch.accelerator.device_count,
    torch.xpu.is_available, torch.xpu.device_count, torch.mps.is_available,
    os.getenv, os.getcwd, logging.getLogger, TypeVar,
)  # fmt: skip
# Modules whose functions and classes only compute.
_SAFE_MODULES = (
    "abc", "argparse", "cmath", "collections", "copy", "dataclasses", "decimal", "enum", "fractions",
    "functools", "genericpath", "math", "ntpath", "operator", "pathlib", "posixpath", "re", "types",
    "typing", "typing_extensions",
)  # fmt: skip
_ARRAYS = ("array", "arange", "zeros", "ones", "full", "eye", "linspace", "tril", "triu")
CONTAINERS = (
    dict, list, set, tuple, str, bytes, frozenset, int, float, collections.OrderedDict,
    collections.defaultdict, collections.Counter, collections.deque, type(os.environ),
)  # fmt: skip
# What takes functions and does not call them.
_KEEPING_FUNCTIONS: tuple[Any, ...] = (
    *CONTAINERS[:9], functools.partial, functools.wraps, functools.update_wrapper, functools.lru_cache,
    types.SimpleNamespace, isinstance, issubclass, getattr, hasattr, type, TypeVar,
)  # fmt: skip
# Where functions take a function that they call: its place, or its keyword.
_PLACES: tuple[tuple[Any, int], ...] = (
    (map, 0), (functools.reduce, 0), (re.sub, 1), (re.subn, 1), (collections.defaultdict, 0),
)  # fmt: skip
KEYWORDS_OF_FUNCTIONS = ("key", "repl", "default_factory")
# Functions of modules that only compute, but these run code that they are given.
_RUNNING: tuple[Any, ...] = (types.new_class, types.prepare_class, typing.get_type_hints)
_KEEPING_MODULES = ("typing", "typing_extensions")
# Libraries whose decorators keep what they are given, and modules of these that call it at once.
_KEEPING_LIBRARIES = (
    "_abc", "abc", "attr", "attrs", "beartype", "contextlib", "dataclasses", "einops", "enum", "functools",
    "jax", "jaxtyping", "lightning", "numba", "numpy", "pydantic", "pytorch_lightning", "torch",
    "transformers", "triton", "typeguard", "types", "typing", "typing_extensions", "warnings",
)  # fmt: skip
_RUNNING_MODULES = ("torch.fx", "torch.jit._trace", "torch.multiprocessing", "torch.utils.benchmark")
_KEEPING_BUILTINS = (property, staticmethod, classmethod)


def only_computes(called: Any) -> bool:
    """Tell whether a call of a library's function or class only computes a value."""
    if any(called is safe for safe in _SAFE) or _is_method_of_container(called):
        return True
    if not isinstance(called, type | types.FunctionType | types.BuiltinFunctionType) or not _is_public(
        called
    ):
        return False
    if isinstance(called, type) and _is_record(called):
        return True
    numpy = sys.modules.get("numpy")
    if numpy is not None and any(called is getattr(numpy, name, None) for name in _ARRAYS):
        return True
    return called.__module__ in _SAFE_MODULES and not any(called is each for each in _RUNNING)


def place_of_function(called: Any) -> int | None:
    """Return the place of the argument that a library's function calls; None if it calls none."""
    return next((place for each, place in _PLACES if each is called), None)


def is_plain_method(value: Any, namespace: dict[str, Any]) -> bool:
    """Tell whether a method that no cell defines comes from Python, or was made for a class of the notebook.

    Such a method is the `__setattr__` of dict, or the `__init__` of a dataclass, whose globals are those of
    the notebook or of no module.
    """
    if isinstance(value, type):
        return is_plain_base(value)
    if isinstance(value, types.FunctionType):
        module = value.__globals__.get("__name__")
        is_made = value.__globals__ is namespace or module not in sys.modules
        return is_made or module in _SAFE_MODULES
    if isinstance(value, types.BuiltinFunctionType):
        return value is repr or (isinstance(value.__self__, type) and is_plain_base(value.__self__))
    descriptors = types.WrapperDescriptorType | types.MethodDescriptorType | types.ClassMethodDescriptorType
    return isinstance(value, descriptors) and is_plain_base(value.__objclass__)


def keeps_functions(called: Any) -> bool:
    """Tell whether a library's function, or a method of a container, does not call what it is given."""
    if _is_method_of_container(called):
        return bool(called.__name__ != "sort")
    is_typing = getattr(called, "__module__", None) in _KEEPING_MODULES
    return is_typing or any(called is each for each in _KEEPING_FUNCTIONS) or (
        isinstance(called, type) and _is_record(called) and not issubclass(called, collections.defaultdict)
    )  # fmt: skip


def keeps_what_it_decorates(called: Any) -> bool | None:
    """Tell whether a library's decorator keeps its function, and does not call it at once or at the end.

    None stands for a library that is not known. What Python itself brings along is known, such as
    `timeit.timeit` and `sys.settrace`, which call it.
    """
    while isinstance(called, functools.partial):
        called = called.func
    if any(called is each for each in _KEEPING_BUILTINS):
        return True
    module = getattr(called, "__module__", None) or ""
    library = module.partition(".")[0]
    if module.startswith(_RUNNING_MODULES):
        return False
    if library in _KEEPING_LIBRARIES:
        return True
    return False if library in sys.stdlib_module_names else None


def is_plain_base(base: type) -> bool:
    """Tell whether a class of a library adds nothing to the construction of its subclasses."""
    return base.__module__ == "builtins" or (base.__module__ in _SAFE_MODULES and _is_public(base))


def _is_method_of_container(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    if isinstance(called, types.BuiltinFunctionType):  # `d.update`, `int.from_bytes`
        return isinstance(owner, CONTAINERS) or any(owner is kind for kind in CONTAINERS)
    if isinstance(called, types.MethodDescriptorType):  # `str.upper`
        return any(called.__objclass__ is kind for kind in CONTAINERS)
    return (
        isinstance(called, types.MethodType) and type(owner) in CONTAINERS
        and getattr(type(owner), called.__name__, None) is called.__func__
    )  # fmt: skip


def _is_record(called: type) -> bool:
    is_error = issubclass(called, BaseException) and called.__module__ == "builtins"
    return is_error or dataclasses.is_dataclass(called) or issubclass(called, enum.Enum | dict | tuple)


def _is_public(called: Any) -> bool:
    """Tell whether something is what its module has under its name: a class may claim any module."""
    module = sys.modules.get(getattr(called, "__module__", None) or "")
    return module is not None and getattr(module, called.__name__, None) is called
