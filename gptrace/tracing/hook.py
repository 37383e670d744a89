"""A hook that knows when it is in the wrong place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial


class Hook(partial[None]):
    """A hook that stays behind when its module is copied or saved: the copy gets one that does nothing.

    A partial of nothing, since that is called without a step of Python in between.
    """

    __name__ = "gptrace_hook"  # torch.jit asks for it

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return _nothing

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _no_hook, ()


def _nothing(*arguments: object) -> None: ...


def _no_hook() -> Callable[..., None]:
    return _nothing
