"""The bytes of activations that are alive, and the most that there were at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import HOLD_NOTHING

Tensor = torch.Tensor
_is_alias_of: Callable[[Tensor, Tensor], bool] = torch._C._is_alias_of  # type: ignore[attr-defined]


class ActivationMemory:
    """Adds up the memory of the tensors that kernels return, from when they are made until they are freed.

    Parameters, buffers and what was there before are none of it, nor is what a kernel needs while it runs. It
    works on device meta as well, where it tells what a run would take. `grew` is called with what is alive.
    """

    def __init__(self, module: torch.nn.Module, grew: Callable[[int], None]) -> None:
        self.alive = 0
        self._grew = grew
        # Of each storage: the reference that says when it is freed.
        self._held: dict[int, weakref.ref[object]] = {}
        self._not_ours = {
            key
            for tensor in (*module.parameters(), *module.buffers())
            if (key := storage_key(tensor)) is not None
        }

    def hold(self, value: object, given: Sequence[object]) -> None:
        """Count the memory of what a kernel returned, where it is new: no view of what it was given."""
        if isinstance(value, Tensor):
            self._hold(value, given)
        elif isinstance(value, tuple | list):
            for one in value:
                self.hold(one, given)

    def forget(self) -> None:
        """Let go of the tensors that are alive still."""
        self._held.clear()

    def _hold(self, tensor: Tensor, given: Sequence[object]) -> None:
        key = storage_key(tensor)
        if key is None or key in self._held or key in self._not_ours:
            return
        if shares_memory(tensor, given):
            return
        storage = tensor.untyped_storage()
        size = storage.nbytes()

        def freed(_: object) -> None:
            self._held.pop(key, None)
            self.alive -= size

        self._held[key] = weakref.ref(storage, freed)
        self.alive += size
        self._grew(self.alive)


def storage_key(tensor: Tensor) -> int | None:
    """Return a number that tensors of the same memory share, or None for one without any of its own."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, ValueError):  # sparse or lazy ones have no storage
        return None


def shares_memory(tensor: Tensor, others: Iterable[object]) -> bool:
    """Tell whether a tensor is another look at the memory of one of these."""
    try:
        for one in others:
            if type(one) not in HOLD_NOTHING and isinstance(one, Tensor) and _is_alias_of(tensor, one):
                return True
    except RuntimeError:  # wrapped ones have no memory of their own
        pass
    return False
