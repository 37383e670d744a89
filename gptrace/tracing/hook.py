"""A hook that knows when it is in the wrong place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gptrace.model.quiet_torch import torch

Module = torch.nn.Module


class Hook:
    """A hook that stays behind when its module is copied or saved: the copy gets one that does nothing."""

    __slots__ = ("__name__", "_work")

    def __init__(self, work: Callable[[Module, Any, Any], None]) -> None:
        self._work = work
        self.__name__ = "gptrace_hook"  # torch.jit asks for it

    def __call__(self, module: Module, first: Any, second: Any) -> None:
        """Pass on what torch says of a call."""
        self._work(module, first, second)

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return _nothing

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _no_hook, ()


def _nothing(*arguments: object) -> None: ...


def _no_hook() -> Callable[..., None]:
    return _nothing
