"""The writes in place to each storage, and which of them a tensor shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from weakref import ref

from gptrace.model.quiet_torch import torch
from gptrace.model.tensor_versions import version_of
from gptrace.tracing.activation_memory import storage_key
from gptrace.tracing.overlap import Region, overlap
from gptrace.tracing.span import Sources

Tensor = torch.Tensor
# More parts than this, each written by another operation, are not compared with each other.
_MOST_WRITES = 64


class Write(NamedTuple):
    """One write: when, by whom, which elements, and the version of the tensor after it.

    `region` is None where no element was changed, as by `transpose_`, which counts as a version, too.
    """

    time: int
    sources: Sources
    region: Region | None
    version: int | None


class StorageWrites:
    """Writes by storage, until the storage is freed; `latest` is the time of the last one."""

    def __init__(self) -> None:
        self.latest = -1
        self._by_storage: dict[int, list[Write]] = {}
        # Another storage may get the key of one that is freed.
        self._storages: dict[int, ref[object]] = {}

    def add(self, tensor: Tensor, time: int, sources: Sources, region: Region | None) -> None:
        """Note that a region of a tensor's storage was written in place."""
        key = storage_key(tensor)
        if key is None:
            return
        self.latest = time
        if key not in self._by_storage:
            self._by_storage[key] = []
            self._storages[key] = ref(tensor.untyped_storage(), lambda _: self._forget(key))
        self._by_storage[key].append(Write(time, sources, region, version_of(tensor)))

    def _forget(self, key: int) -> None:
        self._by_storage.pop(key, None)
        self._storages.pop(key, None)

    def since(self, time: int, tensor: Tensor, version: int | None) -> Sequence[Write] | None:
        """Return the writes since `time` that made what a tensor shows, the latest first; None if unknown.

        Of two writes that overlap, the earlier is left out: the later one took its result as an input.
        `version` is that of the tensor at `time`. If the version differs from that after the last
        write, something wrote unseen.
        """
        key = storage_key(tensor)
        writes = self._by_storage.get(key, ()) if key is not None else ()
        later = [write for write in reversed(writes) if write.time > time]
        now = version_of(tensor)
        if now != version and now != (later[0].version if later else None):
            return None
        if len(later) > _MOST_WRITES:
            return None
        makers: list[Write] = []
        for write in later:
            if write.region is None:
                continue
            is_shown = overlap(write.region, Region.of(tensor))
            if is_shown is None:
                return None
            if is_shown and all(overlap(write.region, maker.region) is False for maker in makers):  # type: ignore[arg-type]
                makers.append(write)
        return makers

    def release(self) -> None:
        """Stop watching the storages that are still alive."""
        self._storages.clear()
        self._by_storage.clear()
