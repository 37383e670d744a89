"""The memory that threads of torch.distributed hold for a moment longer than a message takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import perf_counter, sleep
from typing import Any, NamedTuple
from weakref import ref

from gptrace.model.quiet_torch import torch
from gptrace.tracing.activation_memory import storage_key
from gptrace.tracing.spread.messages import is_awaited_at_once, tensors_in

Tensor = torch.Tensor
tree_map_only = torch.utils._pytree.tree_map_only
# How many tensors share a storage, given its address; one more if Python has an object for the storage.
_use_count: Callable[[int], int] = torch._C._storage_Use_Count
# Whoever has not let go of a tensor after this time keeps it, as autograd does for a backward pass.
_MOST_SECONDS = 1.0


class _Loan(NamedTuple):
    """A storage that a thread may hold, and the tensors that share it without the thread."""

    key: int
    storage: ref[Any]
    tensors: list[ref[Tensor]]  # those that are known
    others: int  # how many more there are

    def add(self, tensor: Tensor) -> None:
        """Add a tensor to those that are known, if it shares the storage."""
        if self.is_of(tensor) and all(known() is not tensor for known in self.tensors):
            self.tensors.append(ref(tensor))

    def is_of(self, tensor: Tensor) -> bool:
        """Tell whether a tensor shares the storage."""
        storage = self.storage()
        return storage is not None and storage_key(tensor) == storage._cdata

    def is_out(self, live: Mapping[int, ref[Any]]) -> bool:
        """Tell whether a thread still holds the storage, or is freeing it."""
        storage = self.storage()
        if storage is None:
            return live.get(self.key) is self.storage
        sharing = _use_count(storage._cdata) - 1  # without the object `storage`
        known = sum(tensor() is not None for tensor in self.tensors)
        return sharing == 0 or sharing > known + self.others


class Lending:
    """Runs collectives on aliases of their tensors, and waits until the threads that got these let go.

    A tensor that a thread holds looks as if the model held it, so the threads get tensors of their own, which
    share the memory. `live` has the storages whose memory is counted, by their addresses.
    """

    def __init__(self, live: Mapping[int, ref[Any]]) -> None:
        self._live = live
        self._under_way: dict[int, list[_Loan]] = {}  # by the storage that receives the message
        self._ended: list[_Loan] = []  # the messages have arrived
        self._others_keep_tensors = False

    def run(
        self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], count: Callable[[Any, Any], None]
    ) -> Any:
        """Run a collective, and return its result with tensors that no thread holds.

        `count` gets the result and the inputs, to count their memory.
        """
        # Besides a tensor itself, the object of its storage shares the storage.
        lent = [self._loan(key, tensor, _use_count(key) - 2) for key, tensor in self._counted(args)]
        aliases: list[tuple[Tensor, Tensor]] = []

        def alias(tensor: Tensor) -> Tensor:
            aliases.append((tensor.data, tensor))  # unlike a view, it does not keep the tensor
            return aliases[-1][0]

        def returned(tensor: Tensor) -> Tensor:
            for given, original in aliases:
                if given is tensor:
                    return original
            return alias(tensor)

        result = tree_map_only(Tensor, returned, func(*tree_map_only(Tensor, alias, args), **kwargs))
        count(result, args)
        if is_awaited_at_once(func, args):
            self._ended += lent
        elif func.namespace != "c10d":  # there, the caller waits for an object that is not seen here
            sent = {loan.key for loan in lent}
            received = dict(self._counted(result))
            lent += [self._loan(key, tensor, 0) for key, tensor in received.items() if key not in sent]
            self._under_way |= dict.fromkeys(received, lent)
        return result

    def end(self, tensors: Iterable[Tensor]) -> None:
        """Note that the messages which these tensors receive have arrived."""
        for tensor in tensors:
            self._ended += self._under_way.pop(storage_key(tensor) or 0, ())

    def learn(self, value: object) -> None:
        """Note the tensors in a kernel's result, which may share what is lent."""
        loans = [*self._ended, *(loan for loans in self._under_way.values() for loan in loans)]
        for tensor in tensors_in(value) if loans else ():
            for loan in loans:
                loan.add(tensor)

    def wait(self, inputs: Iterable[object] = ()) -> None:
        """Wait until no thread holds what has arrived, unless a kernel has it among its inputs."""
        if not self._ended:
            return
        in_use = [tensor for value in inputs for tensor in tensors_in(value)]
        ended, self._ended = self._ended, []
        for loan in ended:
            if any(map(loan.is_of, in_use)):
                self._ended.append(loan)
                continue
            start = perf_counter()
            while not self._others_keep_tensors and loan.is_out(self._live):
                sleep(0)  # lets the thread run
                self._others_keep_tensors = perf_counter() > start + _MOST_SECONDS

    def clear(self) -> None:
        """Forget what is lent."""
        self._under_way.clear()
        self._ended.clear()

    def _counted(self, value: object) -> Iterator[tuple[int, Tensor]]:
        """Yield the tensors in a value whose memory is counted, with the addresses of their storages."""
        for tensor in tensors_in(value):
            key = storage_key(tensor) or 0
            if key in self._live:
                yield key, tensor

    def _loan(self, key: int, tensor: Tensor, others: int) -> _Loan:
        return _Loan(key, self._live[key], [ref(tensor)], others)
