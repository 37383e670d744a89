"""The bytes of activations that are alive, and their maximum."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import TENSORLESS_TYPES

Tensor = torch.Tensor
# Tells whether two tensors share a storage. The public alternative, comparing `untyped_storage().data_ptr()`,
# does not work on device meta, where every address is 0.
_is_alias_of: Callable[[Tensor, Tensor], bool] = torch._C._is_alias_of  # type: ignore[attr-defined]


class ActivationMemory:
    """Adds up the memory of the tensors that kernels return, from their creation until they are freed.

    Left out are parameters, buffers, tensors from before the trace, and the scratch memory of a kernel. On
    device meta it tells what a run would need. `on_growth` gets the bytes that are alive after each increase.
    """

    def __init__(self, module: torch.nn.Module, on_growth: Callable[[int], None]) -> None:
        self.alive = 0
        self._on_growth = on_growth
        # By storage: a weak reference, whose callback reports that the storage is freed, and its bytes. Then
        # another storage may get its key.
        self._live_storages: dict[int, weakref.ref[object]] = {}
        self._sizes: dict[int, int] = {}
        self._model_storages: dict[int, weakref.ref[object]] = {}
        tensors = (*module.parameters(), *module.buffers())
        for tensor in tensors:
            self._add_of_model(tensor)
        if any(tensor.is_meta for tensor in tensors):
            import_compiler()

    def settled(self) -> int:
        """Return the bytes that are alive as a call begins."""
        return self.alive

    def add(self, value: object, inputs: Sequence[object]) -> None:
        """Count the memory of a kernel's result, unless it is a view of an input or already counted."""
        if isinstance(value, Tensor):
            self._add_tensor(value, inputs)
        elif isinstance(value, tuple | list):
            for item in value:
                self.add(item, inputs)

    def release(self) -> None:
        """Stop watching the storages that are still alive."""
        self._live_storages.clear()
        self._sizes.clear()
        self._model_storages.clear()

    def _add_of_model(self, tensor: Tensor) -> None:
        key = storage_key(tensor)
        if key is not None and key not in self._model_storages:
            # A forward pass may give a parameter other data: the storage is freed, and its key used again.
            self._model_storages[key] = weakref.ref(
                tensor.untyped_storage(), lambda _: self._model_storages.pop(key, None)
            )

    def _add_tensor(self, tensor: Tensor, inputs: Sequence[object]) -> None:
        key = storage_key(tensor)
        if key is None or key in self._model_storages:
            return
        if key in self._live_storages:  # a kernel may have given it more memory: resize_(…), f(…, out=…)
            self._set_size(key, tensor.untyped_storage().nbytes())
            return
        if shares_memory(tensor, inputs):
            return
        storage = tensor.untyped_storage()

        def freed(_: object) -> None:
            # Any thread may run this: no call may come between reading the sum and writing it.
            size = self._sizes.pop(key, 0)
            self.alive -= size
            self._live_storages.pop(key, None)

        self._live_storages[key] = weakref.ref(storage, freed)
        self._set_size(key, storage.nbytes())

    def _set_size(self, key: int, size: int) -> None:
        growth = size - self._sizes.get(key, 0)
        self._sizes[key] = size
        self.alive += growth
        if growth > 0:
            self._on_growth(self.alive)


def import_compiler() -> None:
    """Import torch's compiler, as torch does with the first kernels on device meta and on fake tensors.

    That import calls torch.fx.wrap, whose frame refers to itself and to the frames of its callers. In a
    forward pass these hold activations, which would count as alive until the garbage collector runs.
    """
    import_module("torch._dynamo")


def storage_key(tensor: Tensor) -> int | None:
    """Return the address of a tensor's StorageImpl; None where there is none.

    All views share it, on device meta too. It is unique among the storages that are alive.
    """
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, ValueError):  # sparse and lazy tensors have no storage
        return None


def shares_memory(tensor: Tensor, others: Iterable[object]) -> bool:
    """Tell whether a tensor shares its memory with one of `others`; these may be any objects."""
    try:
        for other in others:
            if type(other) in TENSORLESS_TYPES or not isinstance(other, Tensor):
                continue
            if _is_alias_of(tensor, other):
                return True
    except RuntimeError:  # wrapper subclasses have no memory of their own
        pass
    return False
