"""The memory of a spread model's activations on this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter, sleep
from typing import Any, NamedTuple
from weakref import ref

from gptrace.model.quiet_torch import torch
from gptrace.tracing.activation_memory import ActivationMemory, import_compiler, storage_key
from gptrace.tracing.spread.layout import Layout, is_fake, parts_here
from gptrace.tracing.spread.messages import tensors_in
from gptrace.tracing.spread.own_work import GATHERING, runs_in, stands_for_another

Tensor = torch.Tensor
# How many tensors share a storage, given its address; one more if Python has an object for the storage.
_use_count: Callable[[int], int] = torch._C._storage_Use_Count
# A thread that has not let go of a tensor after this time is assumed to keep it.
_MOST_SECONDS = 1.0


class _Awaited(NamedTuple):
    """A storage that a thread may still hold, and the tensors that share it without the thread."""

    storage: ref[Any]
    tensors: list[ref[Tensor]]  # those that are known
    others: int = 0

    def add(self, tensor: Tensor) -> None:
        """Add a tensor to those that are known, if it shares the storage."""
        storage = self.storage()
        shares = storage is not None and storage_key(tensor) == storage._cdata
        if shares and all(known() is not tensor for known in self.tensors):
            self.tensors.append(ref(tensor))

    def is_free(self) -> bool:
        """Tell whether no thread holds the storage any more."""
        storage = self.storage()
        known = self.others + sum(tensor() is not None for tensor in self.tensors)
        return storage is None or _use_count(storage._cdata) <= known + 1  # the object `storage` is one more


class SpreadMemory(ActivationMemory):
    """Adds up the memory of activations on this process; parameters that FSDP has gathered are none.

    gloo sends and receives in threads of its own, which let go of a tensor a moment after its message has
    arrived. Until then its memory is not free, so the sum would depend on the speed of the threads. So this
    class waits for them before it notes more memory.
    """

    def __init__(self, module: torch.nn.Module, on_growth: Callable[[int], None], layout: Layout) -> None:
        super().__init__(module, on_growth)
        import_compiler()  # DTensor computes shapes with it
        self._layout = layout
        self._received: dict[int, _Awaited] = {}  # by storage, until what it receives has arrived
        self._arrived: list[_Awaited] = []
        for part in parts_here(module.modules()).values():
            self._add_of_model(part.local)

    def release(self) -> None:
        """Stop watching the storages that are still alive."""
        super().release()
        self._received.clear()
        self._arrived.clear()

    def settled(self) -> int:
        """Return the bytes that are alive as a call begins, without those that only a thread still holds."""
        self._wait_for_threads()
        return self.alive

    def add(self, value: object, inputs: Sequence[object]) -> None:
        """Count the memory of a kernel's result, if it holds numbers of this process and no parameters."""
        if self._layout.gathers and runs_in(GATHERING):
            return
        if self._arrived:
            for tensor in tensors_in(value):
                for awaited in self._arrived:
                    awaited.add(tensor)
            self._wait_for_threads()
        super().add(value, inputs)

    def _add_tensor(self, tensor: Tensor, inputs: Sequence[object]) -> None:
        if stands_for_another(type(tensor)) or is_fake(tensor) != self._layout.is_fake:
            return
        super()._add_tensor(tensor, inputs)
        received = self._received.get(storage_key(tensor) or 0)
        if received is not None:
            received.add(tensor)

    def sending(self, tensors: Iterable[Tensor]) -> list[_Awaited]:
        """Return what to wait for when the message that these tensors are about to be sent in has arrived."""
        awaited = []
        for tensor in tensors:
            known: ref[Any] | None = self._live_storages.get(storage_key(tensor) or 0)
            storage = None if known is None else known()
            if known is not None and storage is not None:
                awaited.append(_Awaited(known, [], _use_count(storage._cdata) - 1))
        return awaited

    def receiving(self, tensors: Iterable[Tensor]) -> None:
        """Note that these tensors, which a kernel has just made, are going to hold what is received."""
        for tensor in tensors:
            key = storage_key(tensor) or 0
            known = self._live_storages.get(key)
            if known is not None:
                self._received[key] = _Awaited(known, [ref(tensor)])

    def arrived(self, awaited: Iterable[_Awaited] = (), tensors: Iterable[Tensor] = ()) -> None:
        """Note that messages have arrived: those that were `sending`, and those that these tensors hold."""
        self._arrived += awaited
        received = (self._received.pop(storage_key(tensor) or 0, None) for tensor in tensors)
        self._arrived += filter(None, received)

    def _wait_for_threads(self) -> None:
        while self._arrived:
            awaited, start = self._arrived.pop(), perf_counter()
            while not awaited.is_free() and perf_counter() < start + _MOST_SECONDS:
                sleep(0)  # lets the thread run
