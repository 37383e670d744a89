"""Names that a notebook does not have, since the statements that make them were left out."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from gptrace.errors import ConfigError
from gptrace.model.notebooks.loading import LeftOut, NotebookLoader
from gptrace.model.reference import ObjectReference

_WHAT_RUNS = "only imports, definitions, classes and constants of a notebook are run"


def missing_object(reference: ObjectReference, name: str, namespace: Mapping[str, Any]) -> ConfigError | None:
    """Return the error for an object that a notebook makes in a statement that was left out, or None."""
    left_out = _left_out(namespace).get(name)
    if left_out is None:
        return None
    hint = f"{_WHAT_RUNS}; define it in one of these"
    if callable(namespace.get(left_out.called)):
        prefix = reference.text.rpartition(":")[0]
        instead = f"{reference.option} {prefix}:{left_out.called}"
        if left_out.argument in namespace:
            instead += f" --config {prefix}:{left_out.argument}"
        hint = f"{_WHAT_RUNS}; name what it calls: {instead}"
    return ConfigError(f"{reference.text}: there is no {name}, since {left_out}", hint)


def missing_name_hint(error: BaseException) -> str:
    """Return why a notebook has not the name or attribute that an error is about; "" for other errors."""
    name = getattr(error, "name", None)
    if not isinstance(error, NameError | AttributeError) or not isinstance(name, str):
        return ""
    owner = getattr(error, "obj", None)
    classes = (owner if isinstance(owner, type) else type(owner)).__mro__
    names = [name] if isinstance(error, NameError) else [f"{each.__qualname__}.{name}" for each in classes]
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        left_out = _left_out(frame.f_globals)
        for missing in names:
            if missing in left_out:
                return f"there is no {missing}, since {left_out[missing]}; {_WHAT_RUNS}"
    return ""


def _left_out(namespace: Mapping[str, Any]) -> Mapping[str, LeftOut]:
    loader = namespace.get("__loader__")
    return loader.left_out if isinstance(loader, NotebookLoader) else {}
