"""Where each tensor came from: who made it, by its identity, and who wrote into its memory since then.

A tensor is known by its identity. Several tensors may show the same memory, so a write in place counts for
all of them that overlap what was written; see `StorageWrites`.

Some operations and modules return an argument as it is: dropout in evaluation, `contiguous`, Identity. For
the rest of the same call, the tensor then comes from that operation or module. Once the call ends, it comes
from its maker again, unless the call returned it. So a residual connection starts at the block before, though
a norm inside has run `x.to(float32)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import ref

from gptrace.model.quiet_torch import torch
from gptrace.model.tensor_versions import version_of
from gptrace.tracing.operations import Operation
from gptrace.tracing.overlap import Region
from gptrace.tracing.span import Known, Sources, Span
from gptrace.tracing.storage_writes import StorageWrites
from gptrace.tracing.tensors import Found

Tensor = torch.Tensor
Versions = list[int | None]
# Functions that may normalise the rows of a table when they look them up.
_LOOK_UPS = frozenset({"embedding", "embedding_bag"})
# Functions that update running averages, and the argument that tells them to, which is the sixth. They leave
# the versions of the averages as they are.
UPDATES_AVERAGES = {"batch_norm": "training", "instance_norm": "use_input_stats"}
_MAY_WRITE = _LOOK_UPS | set(UPDATES_AVERAGES)
_AVERAGES = frozenset({"args[1]", "args[2]", "running_mean", "running_var"})
# Functions whose names end in "_" and that change no element.
_CHANGE_NO_ELEMENT = frozenset({
    "requires_grad_", "detach_", "share_memory_", "rename_", "squeeze_", "unsqueeze_", "t_", "transpose_",
    "swapaxes_", "swapdims_", "as_strided_",
})  # fmt: skip
_UNKNOWN: Sources = ()
_NOWHERE = _UNKNOWN, -1


class OriginTracker:
    """Follows the tensors of one thread through the calls and operations of a module.

    `modules` are all modules of the model with their paths, and `begun` are the calls so far, in order. The
    tracker keeps no tensor alive, and does not confuse a tensor with a freed one that had the same id.
    """

    def __init__(self, modules: Iterable[tuple[str, torch.nn.Module]], begun: Sequence[Span]) -> None:
        self._begun = begun
        self._known: dict[int, Known] = {}  # by the id of the tensor
        self._writes = StorageWrites()
        self._time = 0  # the number of operations, and of begins and ends of calls, so far
        with torch._C.DisableTorchFunction():  # a user's function mode sees no work of ours
            for path, module in modules:
                if module._parameters:
                    self._note_held(path, module._parameters)
                if module._buffers:
                    self._note_held(path, module._buffers)

    def _note_held(self, path: str, tensors: Mapping[str, Tensor | None]) -> None:
        """Note the parameters or buffers of the module at a path; of a tied one, the first path stays."""
        prefix = f"{path}." if path else ""
        for name, tensor in tensors.items():
            if tensor is not None and id(tensor) not in self._known:
                self._set(tensor, ((None, None, None, None, prefix + name),))

    def note_brought_in(self, tensor: Tensor, name: str) -> None:
        """Note that a tensor is the parameter or buffer of this name from now on."""
        known = self._known.get(id(tensor))
        if known is None or known[0]() is not tensor:
            self._set(tensor, ((None, None, None, None, name),))

    def release(self) -> None:
        """Forget all tensors."""
        self._known.clear()
        self._writes.release()

    def sources(self, found: Found) -> list[Sources]:
        """Return where each of the tensors came from.

        The first is the last writer; any others wrote parts that it did not write. There are none if the
        maker is not known.
        """
        known_of, latest_write, each = self._known, self._writes.latest, []
        for _, tensor in found:
            known = known_of.get(id(tensor))
            if known is not None:  # the usual case, as in `_origin`, without a call for each tensor
                reference, sources, time, version = known
                if (
                    time >= latest_write
                    and reference() is tensor
                    and (version is None or version == tensor._version)
                ):
                    each.append(sources)
                    continue
            each.append(self._origin(tensor)[0])
        return each

    def _origin(self, tensor: Tensor) -> tuple[Sources, int]:
        """Return where a tensor came from, and since when."""
        known = self._known.get(id(tensor))
        if known is None or known[0]() is not tensor:
            return _NOWHERE
        _, sources, time, version = known
        if time >= self._writes.latest and (version is None or version == tensor._version):
            return sources, time
        writes = self._writes.since(time, tensor, version)
        if writes is None:
            return _NOWHERE
        if not writes:
            return sources, time
        makers = tuple([source for write in writes for source in write.sources])
        return (makers if all(write.sources for write in writes) else _UNKNOWN), writes[0].time

    def _set(self, tensor: Tensor, sources: Sources) -> Known:
        try:
            version = None if tensor.is_inference() else tensor._version
        except RuntimeError:  # some tensor types have no version
            version = None
        known = self._known[id(tensor)] = ref(tensor), sources, self._time, version
        return known

    def take(
        self, operation: Operation, inputs: Found, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Versions | None:
        """Note where the inputs of an operation come from, before it runs.

        Returned are the versions of the inputs if it may write into them, else None.
        """
        operation.sources = self.sources(inputs)
        name = operation.name
        if not kwargs and name[-1] != "_" and name not in _MAY_WRITE:  # the usual case
            return None
        if name in _LOOK_UPS or may_write_arguments(name, kwargs):
            return [version_of(tensor) for _, tensor in inputs]
        if name in UPDATES_AVERAGES and (kwargs.get(UPDATES_AVERAGES[name]) or any(args[5:6])):
            return [version_of(tensor) for _, tensor in inputs]
        return None

    def note(
        self, operation: Operation, inputs: Found, outputs: Found, args: tuple[Any, ...],
        versions: Versions | None,
    ) -> None:  # fmt: skip
        """Note the results of an operation; `versions` are those of its inputs before it ran."""
        self._time += 1
        scope = operation.parent
        # Outside of all calls, an operation is in no list of operations.
        call, op = (None, None) if scope is None else (scope.index, scope.operation_count)
        written = [] if versions is None else _written(operation, inputs, outputs, versions)
        is_one = len(outputs) == 1
        for number, (_, tensor) in enumerate(outputs):
            sources = _UNKNOWN if call is None else ((call, op, None if is_one else number, None, None),)
            if _has(inputs, tensor) and not _has(written, tensor):
                self._hand_on(tensor, sources, scope)
            else:
                self._set(tensor, sources)
        for _, tensor in written:
            if not _has(outputs, tensor):
                self._set(tensor, _UNKNOWN if call is None else ((call, op, None, None, None),))
            region = None if operation.name in _CHANGE_NO_ELEMENT else Region.of(tensor)
            if operation.name == "setitem_" and region is not None:
                region = region.part(args[1])
            self._writes.add(tensor, self._time, self._known[id(tensor)][1], region)

    def note_same(self, tensor: Tensor, other: Tensor) -> None:
        """Note that a tensor has the data of another one from now on."""
        sources, _ = self._origin(other)
        self._time += 1
        self._set(tensor, sources)

    def begin(self, span: Span, inputs: Found) -> None:
        """Note where the inputs of a call came from; those of the outermost one came from the caller."""
        self._time += 1
        span.time = self._time
        span.index = len(self._begun) - 1
        while self._begun[span.index] is not span:  # another thread has begun calls meanwhile
            span.index -= 1
        if span.parent is None:
            for place, tensor in inputs:
                self._set(tensor, ((None, None, None, place.name, None),))
        span.input_sources = self.sources(inputs)

    def end(self, span: Span, outputs: Found) -> None:
        """Note where the outputs of a call came from, and where they come from for the call around it."""
        self._time += 1
        origins = [self._origin(tensor) for _, tensor in outputs]
        span.output_sources = [sources for sources, _ in origins]
        handed = {key for key, _, _ in span.handed} if span.handed else ()
        if handed:
            self.leave(span)
        is_one = len(outputs) == 1
        for number, (_, tensor) in enumerate(outputs):
            sources, since = origins[number]
            if not sources or since < span.time:  # nothing that was recorded inside made it
                sources = ((span.index, None, None if is_one else number, None, None),)
                self._hand_on(tensor, sources, span.parent)
            elif id(tensor) in handed:
                self._hand_on(tensor, sources, span.parent)

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

    def _hand_on(self, tensor: Tensor, sources: Sources, scope: Span | None) -> None:
        """Let a tensor come from `sources` until the call `scope` ends; a parameter stays what it is."""
        before = self._known.get(id(tensor))
        if before is not None and before[0]() is not tensor:
            before = None
        is_parameter = before is not None and before[1] and before[1][0][4] is not None
        if scope is not None and not is_parameter:
            scope.handed = (*scope.handed, (id(tensor), self._set(tensor, sources), before))


def may_write_arguments(name: str, kwargs: Mapping[str, Any]) -> bool:
    """Tell whether an operation may write its result into an argument."""
    return name[-1] == "_" or bool(kwargs.get("inplace")) or kwargs.get("out") is not None


def _has(found: Found, tensor: Tensor) -> bool:
    for _, other in found:  # noqa: SIM110 - any() takes twice as long
        if other is tensor:
            return True
    return False


def _written(operation: Operation, inputs: Found, outputs: Found, versions: Versions) -> Found:
    """Return the tensors that an operation may have written into.

    Where a tensor has no version, these are all that go in and come out, and the first argument of a
    function whose name ends in "_".
    """
    is_known, updates = operation.name[-1] == "_", operation.name in UPDATES_AVERAGES
    written: Found = []
    for (place, tensor), before in zip(inputs, versions, strict=True):
        now = version_of(tensor)
        may = _has(outputs, tensor) or (is_known and place.name.startswith("input"))
        if now != before or (now is None and may) or (updates and place.name in _AVERAGES):
            written.append((place, tensor))
    return written
