"""One call of one module, as its caller sees it."""

from __future__ import annotations

import weakref
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from gptrace.model.distributed_wrappers import class_name, is_exported
from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics, Traffic
from gptrace.tracing.tensors import TensorInfo

_NO_RANGES: Mapping[str, tuple[int, int]] = MappingProxyType({})
# Where something happens in a model, however often: of a call its path and class, of an operation also its
# name and line.
Site = tuple[str, ...]
# The fields `call`, `op`, `output`, `input` and `parameter` of an Origin, and those of all of one tensor.
Source = tuple[int | None, int | None, int | None, str | None, str | None]
Sources = tuple[Source, ...]
# A tensor, its sources, since when, and its version then; see `OriginTracker`.
Known = tuple[weakref.ref[torch.Tensor], Sources, int, int | None]


class Occurrence(NamedTuple):
    """One of the times that something happens at a site.

    `numbers` and `counts` say which time it is, and of how many: of a call its number among the calls of its
    site; of an operation also its number among those of its site in the same call.
    """

    site: Site
    numbers: tuple[int, ...]
    counts: tuple[int, ...]


class TensorState(NamedTuple):
    """How much work torch had done at some moment, and how often a tensor had been written to by then.

    None means unknown. Two equal states of a tensor mean that it did not change in between; see `NanTracker`.
    """

    work_done: int | None = None
    version: int | None = None


class InputState(NamedTuple):
    """An input of a call, its state at entry, and whether it was finite where that was checked at once."""

    tensor: torch.Tensor
    state: TensorState
    is_finite: bool | None = None


class Span(msgspec.Struct, eq=False):
    """One call of one module, while it runs and after.

    A span is created in every call of every module. A struct is made in a fraction of the time of an object
    with an `__init__`, however many fields it has.
    """

    module: torch.nn.Module
    path: str
    parent: Span | None
    depth: int
    inputs: tuple[TensorInfo, ...]
    start: float
    outputs: tuple[TensorInfo, ...] = ()
    # Set when the block ends: the name of the class of the module, which a lazy one changes in its first
    # call, and the site. Set by the assembly: the position in order of entry, and that of the outermost call.
    class_name: str = ""
    site: Site = ()
    index: int = -1
    root: int = -1
    seconds: float = 0.0
    failed: bool = False
    returned_class: str = ""  # the class of what it returned, where that is no tensor
    error: BaseException | None = None
    # Of this call without the calls inside: MACs, and the names of kernels whose cost is unknown.
    macs: int = 0
    unknown: frozenset[str] = frozenset()
    peak_bytes: int = 0
    traffic: Sequence[Traffic] = ()  # the messages between processes, of this call without the calls inside
    twin: Span | None = None  # the same call in the whole of a spread model
    # The returned tensor, as long as it lives.
    output_ref: weakref.ref[torch.Tensor] | None = None
    # Of a failed call: path of the call that returned its input, and (min, max) of integer inputs by name.
    producer: str | None = None
    integer_ranges: Mapping[str, tuple[int, int]] = _NO_RANGES
    # If statistics are measured: those of each output; the inputs, while the call runs; the state of the
    # output, if there is one; "NaN" or "Inf" if an output contains it and all inputs were finite.
    statistics: Sequence[Statistics | None] = ()
    input_states: Sequence[InputState] = ()
    output_state: TensorState | None = None
    introduced: str = ""
    mixed: frozenset[tuple[str, str]] = frozenset()  # see `Operation`
    suspends_operations: bool = False  # so that torch takes the path that it takes untraced
    # If origins are followed: where each input and output came from, when the call began, the number of its
    # operations so far, and the tensors that were handed on in it, by id, with what is known of them since
    # then and was before.
    input_sources: Sequence[Sources] = ()
    output_sources: Sequence[Sources] = ()
    time: int = -1
    operation_count: int = 0
    handed: tuple[tuple[int, Known, Known | None], ...] = ()

    def returned(self, tensor: torch.Tensor) -> bool:
        """Tell whether the output of the call was this very tensor."""
        return self.output_ref is not None and self.output_ref() is tensor


def set_sites(spans: Iterable[Span]) -> None:
    """Set the class names and the sites of calls; each class is looked at once, if it has one name."""
    names: dict[type, tuple[str, str]] = {}
    for span in spans:
        kind = type(span.module)
        if kind not in names or is_exported(kind):
            name = class_name(span.module)
            # A copy of a traced module is of another class than that module.
            names[kind] = name, "ScriptModule" if issubclass(kind, torch.jit.ScriptModule) else name
        span.class_name, name_of_site = names[kind]
        span.site = span.path, name_of_site


def call_sites(spans: Iterable[Span]) -> frozenset[Site]:
    """Return the sites of these calls."""
    return frozenset([span.site for span in spans])


def numbered_calls(spans: Sequence[Span]) -> Iterator[tuple[Span, Occurrence]]:
    """Yield each call of one forward pass with its occurrence."""
    return zip(spans, occurrences([span.site for span in spans]), strict=True)


def occurrences(sites: Sequence[Site], within: Occurrence | None = None) -> Iterator[Occurrence]:
    """Yield the occurrence of each of these sites, in order; those of operations are `within` that of a call.

    >>> [(each.numbers, each.counts) for each in occurrences([("up",), ("act",), ("up",)])]
    [((1,), (2,)), ((1,), (1,)), ((2,), (2,))]
    """
    totals, begun = Counter(sites), defaultdict[Site, int](int)
    outer, numbers, counts = within if within is not None else ((), (), ())
    for site in sites:
        begun[site] += 1
        yield Occurrence((*outer, *site), (*numbers, begun[site]), (*counts, totals[site]))
