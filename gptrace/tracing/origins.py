"""Where each tensor came from: who made it, by its identity, and who wrote into its memory since then.

A tensor is known by its identity. Several tensors may show the same memory, so a write in place counts for
all of them that overlap what was written; see `StorageWrites`.

Some operations and modules return an argument as it is: dropout in evaluation, `contiguous`, Identity. Such a
one hands the tensor on: for what follows in the same call the tensor comes from there. Once that call ends,
it comes from its maker again, unless the call returned it. So a residual connection starts at the block
before, though a norm inside has run `x.to(float32)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import ref

from gptrace.model.quiet_torch import torch
from gptrace.record import Origin
from gptrace.tracing.operations import Operation
from gptrace.tracing.parameters import named_modules_with_aliases
from gptrace.tracing.span import Known, Source, Sources, Span
from gptrace.tracing.storage_writes import StorageWrites, version_of
from gptrace.tracing.tensors import Found

Tensor = torch.Tensor
Versions = list[int | None]
# Functions that write into arguments, though their names don't end in "_": running averages, and the rows of
# a table that are normalised when they are looked up.
_WRITERS = frozenset({"batch_norm", "instance_norm", "embedding", "embedding_bag"})
# Functions whose names end in "_" and that change no element.
_CHANGE_NO_ELEMENT = frozenset({
    "requires_grad_", "detach_", "share_memory_", "rename_", "squeeze_", "unsqueeze_", "t_", "transpose_",
    "swapaxes_", "swapdims_", "as_strided_",
})  # fmt: skip


class OriginTracker:
    """Follows the tensors of one thread through the calls and operations of a module.

    It keeps no tensor alive. Nor does it take a tensor for another that had the same id and is freed.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._known: dict[int, Known] = {}  # by the id of the tensor
        self._writes = StorageWrites()
        self._time = 0  # the number of operations, and of begins and ends of calls, so far
        with torch._C.DisableTorchFunction():  # a user's function mode sees no work of ours
            self._note_parameters(module)

    def _note_parameters(self, module: torch.nn.Module) -> None:
        """Note the parameters and buffers; of a tied one, the first path."""
        for path, submodule in named_modules_with_aliases(module):
            for own in (submodule._parameters, submodule._buffers):
                for name, tensor in own.items():
                    if tensor is not None and id(tensor) not in self._known:
                        path_of_tensor = f"{path}.{name}" if path else name
                        self._set(tensor, (Origin(parameter=path_of_tensor), None))

    def release(self) -> None:
        """Forget all tensors."""
        self._known.clear()
        self._writes.release()

    def sources(self, found: Found) -> tuple[Sources, ...]:
        """Return where each of the tensors came from."""
        return tuple([self._sources(tensor)[0] for _, tensor in found])

    def _sources(self, tensor: Tensor) -> tuple[Sources, int]:
        """Return where a tensor came from, and since when; () if it is not known.

        The first is who wrote it last; any others wrote parts that this one did not write.
        """
        known = self._known.get(id(tensor))
        if known is None or known[0]() is not tensor:
            return (), -1
        _, source, time, version = known
        if self._writes.latest > time:
            writes = self._writes.since(time, tensor, version)
            if writes is None:
                return (), -1
            if writes:
                return tuple([write.source for write in writes]), writes[0].time
        elif version is not None and tensor._version != version:
            return (), -1
        return (source,), time

    def _set(self, tensor: Tensor, source: Source) -> Known:
        known = self._known[id(tensor)] = ref(tensor), source, self._time, version_of(tensor)
        return known

    def before(self, name: str, found: Found, kwargs: Mapping[str, Any]) -> Versions | None:
        """Return the versions of the arguments of an operation that may write into them, else None."""
        if name[-1] == "_" or name in _WRITERS or kwargs.get("inplace") or kwargs.get("out") is not None:
            return [version_of(tensor) for _, tensor in found]
        return None

    def note(self, operation: Operation, inputs: Found, outputs: Found, versions: Versions | None) -> None:
        """Note what an operation has made; `versions` are those of its inputs before it ran."""
        self._time += 1
        written: Found = [] if versions is None else _written(operation, inputs, outputs, versions)
        several = len(outputs) > 1
        for number, (_, tensor) in enumerate(outputs):
            source = operation, number if several else None
            if _has(inputs, tensor) and not _has(written, tensor):
                self._hand_on(tensor, source, operation.parent)
            else:
                self._set(tensor, source)
        for _, tensor in written:
            if not _has(outputs, tensor):
                self._set(tensor, (operation, None))
            source = self._known[id(tensor)][1]
            changes = operation.name not in _CHANGE_NO_ELEMENT
            self._writes.add(tensor, self._time, source, changes=changes)

    def begin(self, span: Span, found: Found) -> None:
        """Note where the inputs of a call came from; those of the outermost one came from the caller."""
        self._time += 1
        span.time = self._time
        if span.parent is None:
            for place, tensor in found:
                self._set(tensor, (Origin(input=place.name), None))
        span.input_sources = self.sources(found)

    def end(self, span: Span, outputs: Found) -> None:
        """Note where the outputs of a call came from, and where they come from for the call around it."""
        self._time += 1
        origins = [self._sources(tensor) for _, tensor in outputs]
        span.output_sources = tuple([sources for sources, _ in origins])
        handed = {key for key, _, _ in span.handed}
        self.leave(span)
        several = len(outputs) > 1
        for number, ((_, tensor), (sources, time)) in enumerate(zip(outputs, origins, strict=True)):
            if not sources or time < span.time:  # not made inside, or nobody knows by whom
                self._hand_on(tensor, (span, number if several else None), span.parent)
            elif id(tensor) in handed:
                self._hand_on(tensor, sources[0], span.parent)

    def leave(self, span: Span) -> None:
        """Let the tensors that were handed on in a call come from where they came from before."""
        for key, known, before in reversed(span.handed):
            if self._known.get(key) is not known:  # another tensor has this id now, or it was written into
                continue
            if before is None:
                del self._known[key]
            else:
                self._known[key] = before
        span.handed = ()

    def _hand_on(self, tensor: Tensor, source: Source, scope: Span | None) -> None:
        """Let a tensor come from `source` until the call `scope` ends; a parameter stays what it is."""
        before = self._known.get(id(tensor))
        if before is not None and before[0]() is not tensor:
            before = None
        maker = None if before is None else before[1][0]
        if scope is not None and not (isinstance(maker, Origin) and maker.parameter is not None):
            scope.handed = (*scope.handed, (id(tensor), self._set(tensor, source), before))


def _has(found: Found, tensor: Tensor) -> bool:
    return any(tensor is other for _, other in found)


def _written(operation: Operation, inputs: Found, outputs: Found, versions: Versions) -> Found:
    """Return the tensors that an operation may have written into.

    Where a tensor has no version, these are all that go in and come out, and the first argument of a
    function whose name ends in "_".
    """
    is_known = operation.name[-1] == "_"
    written: Found = []
    for (place, tensor), before in zip(inputs, versions, strict=True):
        now = version_of(tensor)
        if now != before or (
            now is None and (_has(outputs, tensor) or (is_known and place.name.startswith("input")))
        ):
            written.append((place, tensor))
    return written
