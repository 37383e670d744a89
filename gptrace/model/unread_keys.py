"""Keys that the user set and that no code reads: most likely they are spelled wrong."""

from __future__ import annotations

import inspect
import linecache
import re
from collections.abc import Iterator

from gptrace.errors import ConfigError
from gptrace.model.quiet_torch import torch
from gptrace.model.user_model_construction import Construction
from gptrace.wording import suggestion

Module = torch.nn.Module


def check_keys_are_read(construction: Construction, module: Module, name: str) -> None:
    """Raise a ConfigError for a key that was added to a configuration, and that the model never reads.

    The constructor has not read it, and no file of the model has that word, so that no later call reads it.
    """
    noting = construction.noting
    if noting is None:
        return
    unread = sorted(noting.added - noting.read)
    texts = [*_sources(module)] if unread else []
    for key in unread:
        if texts and not any(re.search(rf"\b{re.escape(key)}\b", text) for text in texts):
            known = [each for each in construction.settings if each not in noting.added]
            problem = f"{name} never reads {key}, and its configuration has no such key"
            raise ConfigError(problem, suggestion(key, known), option="settings")


def _sources(module: Module) -> Iterator[str]:
    """Yield the text of each file that defines a class of the model; nothing if one cannot be read."""
    files = set()
    for kind in {type(submodule) for submodule in module.modules()}:
        if kind.__module__.partition(".")[0] == "torch":
            continue
        codes = [getattr(value, "__code__", None) for value in vars(kind).values()]
        files |= {code.co_filename for code in codes if inspect.iscode(code)}
    texts = ["".join(linecache.getlines(file)) for file in sorted(files)]
    if all(texts):
        yield from texts
