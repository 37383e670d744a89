"""Run the same architecture at other sizes, or a copy of the model with another input, to compare shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple

from gptrace.measures import Measures
from gptrace.model.architecture import Architecture, Resizing, Sizes
from gptrace.model.hugging_face import forward_arguments
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.meta_device import meta_copy
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import is_of_user_code, line_of
from gptrace.tracing.causality import is_meant_causal, leaks, with_later_tokens_changed
from gptrace.tracing.isolation import WorkLimitError, isolated_run, work_limit
from gptrace.tracing.known_sizes import KnownSizes, Shape, Side
from gptrace.tracing.lane_recorder import LaneRecorder
from gptrace.tracing.line_recorder import LineRecorder, files_of
from gptrace.tracing.module_copies import copy_or_none, copy_with_values, device_of_copy, is_small
from gptrace.tracing.operations import Operation, numbered_operations
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Occurrence, Site, Span, call_sites, numbered_calls
from gptrace.tracing.tensors import TensorInfo
from gptrace.tracing.token_lanes import MixingView

_LARGE_PRIME = 7919
MUCH_WORK = "at other sizes the model does many times the work"
# A constructor may loop until a size has a certain value, which it never has in a resized run. So the lines
# and calls of Python are limited, for all resized runs of one forward pass together. GPT-2 and Mixtral of
# transformers take 560 and 670 for each call that they make, most of them to build the model.
_WORK_LIMIT = 2_000_000
_WORK_LIMIT_PER_MODULE = 10_000


class ForwardPass(NamedTuple):
    """A forward pass to run: its inputs, whether to record operations and lines, and whether it may raise.

    `inputs` are the name, number of axes and dtype of each input tensor, first the ids `[batch, seq_len]`.
    With `may_fail`, as when the real run failed, a run that raises counts as far as it got. `vocabulary` is
    the number of ids that may occur; they differ, since a mixture of experts would send equal tokens to the
    same expert.
    """

    batch: int
    seq_len: int
    vocabulary: int
    inputs: tuple[tuple[str, int, torch.dtype], ...]
    ops: bool
    may_fail: bool
    lines: bool = False

    def resized(self, batch: int, seq_len: int, vocabulary: int | None = None) -> ForwardPass:
        """Return the same pass with other ids."""
        return self._replace(
            batch=batch, seq_len=seq_len, vocabulary=self.vocabulary if vocabulary is None else vocabulary
        )

    def ids(self, device: torch.device, first: int = 0) -> torch.Tensor:
        """Return ids `[batch, seq_len]`: all but 0, which special tokens of a resized model have.

        With another `first` number they are others.
        """
        spread = (torch.arange(self.batch * self.seq_len, device=device) + first) * _LARGE_PRIME
        ids = spread % (self.vocabulary - 1) + 1 if self.vocabulary > 1 else spread * 0
        return ids.view(self.batch, self.seq_len)


class ResizedRun:
    """The sizes of a resized run, by name and by axis, the sites of its calls, and how much work it was.

    `leaks` tells whether later tokens change the output for earlier ones, in a model that `is_meant_causal`.
    `views` are those that mix tokens, and `mixed` are the tensors that have no lane for each token after
    that: see `TokenLanes`.
    """

    def __init__(
        self, sizes: Sizes, shapes: Iterable[tuple[Side, str, Shape]], sites: frozenset[Site],
        views: Sequence[MixingView] = (), mixed: frozenset[tuple[Side, str]] = frozenset(),
    ) -> None:  # fmt: skip
        self.sizes = sizes
        self.sites = sites
        self.views = tuple(views)
        self.work = 0
        self.output: Any = None  # until the run is compared with others
        self.is_meant_causal = self.leaks = False
        self.known = KnownSizes(shapes)
        self._mixed = mixed | {((side[0].site, side[1]), name) for side, name in mixed}

    def copy(self) -> ResizedRun:
        """Return the same run, to forget some of its sizes; this one may be kept for other forward passes."""
        copied = copy(self)
        copied.known = self.known.copy()
        return copied

    def is_mixed(self, side: Side, name: str) -> bool:
        """Tell whether the lanes of a tensor are no tokens; where calls are unknown, of any at its site."""
        key: Any = side if self.known.is_of_call(side, name) else (side[0].site, side[1])
        return (key, name) in self._mixed


class Look(Enum):
    """How closely a run looks at the model; each takes longer than the one before."""

    ONCE = auto()  # a size may be that of some ids by chance
    AT_SIZES = auto()  # with other ids as well
    AT_TOKENS = auto()  # also finds out whether its tokens stay apart


class FailedRun(NamedTuple):
    """Why a resized run failed, how much work it was, and the exception of the user's code with its line."""

    reason: str
    work: int
    raised: str = ""
    line: str = ""


def limit_of_work(modules: int) -> int:
    """Return how much work all resized runs of a model with so many modules may be together."""
    return _WORK_LIMIT + _WORK_LIMIT_PER_MODULE * modules


def run_resized(
    architecture: Architecture, resizing: Resizing, forward_pass: ForwardPass, limit: int, look: Look
) -> ResizedRun | FailedRun:
    """Build the architecture with other sizes and run it; return the run, or why it failed.

    `limit` is that of the work. The result is kept with the architecture.
    """
    changes = dict(resizing.changes)
    vocabulary = changes.get(architecture.vocabulary or "")
    resized_pass = forward_pass.resized(resizing.batch, resizing.seq_len, vocabulary)

    def build_and_run() -> ResizedRun:
        sizes = architecture.sizes_after(resizing)
        model = architecture.build(changes).float().eval()
        run = _run(model, resized_pass, torch.device("cpu"), look)
        run.sizes |= sizes
        return run

    key = resizing, forward_pass, limit, look
    return architecture.keep("resized_run", key, lambda: _bounded(build_and_run, limit))


def run_copy_resized(
    module: torch.nn.Module, forward_pass: ForwardPass, limit: int, look: Look
) -> ResizedRun | FailedRun:
    """Run a copy of the module with other inputs; return the run, or why it failed.

    The copy has its parameters on device meta, where they take no memory, or on the module's device. A small
    model is tried on its own device first, since the first use of device meta takes a second and some code
    fails there.
    """
    with_values = (copy_with_values, device_of_copy(module))
    on_meta = (meta_copy, torch.device("meta"))
    result, work = FailedRun("", 0), 0
    for make_copy, device in (with_values, on_meta) if is_small(module) else (on_meta, with_values):
        outcome = _bounded(partial(_run_copy, make_copy, module, forward_pass, device, look), limit - work)
        if isinstance(outcome, ResizedRun):
            return outcome
        work += outcome.work
        if make_copy is copy_with_values:  # on device meta the code may fail for want of values
            result = outcome
    return result._replace(work=work)


def _bounded(run: Callable[[], ResizedRun], limit: int) -> ResizedRun | FailedRun:
    """Return the run with the work that it was, or why it failed: too much work, or an exception."""
    left = [limit]
    try:
        with interrupts_held(), isolated_run(), work_limit(limit) as left, interrupts_allowed():
            result = run()
        result.work = limit - left[0]
        return result
    except WorkLimitError:
        return FailedRun(MUCH_WORK, limit)
    except (Exception, SystemExit) as error:  # the user's code may never have run at these sizes
        kind, line = type(error).__name__, line_of(error) if is_of_user_code(error) else ""
        return FailedRun(f"at other sizes the model raises {kind}", limit - left[0], kind, line)


def _run_copy(
    make_copy: Callable[[torch.nn.Module], torch.nn.Module],
    module: torch.nn.Module,
    forward_pass: ForwardPass,
    device: torch.device,
    look: Look,
) -> ResizedRun:
    return _run(make_copy(module).eval(), forward_pass, device, look)


def _run(model: torch.nn.Module, forward_pass: ForwardPass, device: torch.device, look: Look) -> ResizedRun:
    sizes = forward_pass.batch, forward_pass.seq_len
    arguments: dict[str, Any] = {}
    for name, axes, dtype in forward_pass.inputs[1:]:  # a mask or positions, [B, T] as the ids
        if axes != 2 or not name.isidentifier():
            raise ValueError(f"cannot make the input {name} at another size")
        arguments[name] = torch.ones(*sizes, dtype=dtype, device=device)
    arguments |= forward_arguments(model)
    # Our own code is known to keep its tokens apart.
    by_lane = look is Look.AT_TOKENS and not type(model).__module__.startswith("gptrace.")
    fresh = None if look is Look.ONCE else copy_or_none(model)
    ids, state = forward_pass.ids(device), torch.random.get_rng_state()
    run = _recorded(model, forward_pass, ids, arguments, may_fail=forward_pass.may_fail, by_lane=by_lane)
    if fresh is not None and run.is_meant_causal:
        # A cache may have filled in the first run, so a leak must be there in a fresh copy, too.
        run.leaks = _leaks(model, run, ids, arguments, state)
        run.leaks = run.leaks and _leaks(copy_or_none(fresh), run, ids, arguments, state)
    if fresh is not None:
        # The rows of an expert may be a multiple of a named size by chance; with other ids they are another.
        other_ids = forward_pass.ids(device, first=1)
        run.known.keep_what_agrees(_recorded(fresh, forward_pass, other_ids, arguments, may_fail=True).known)
    run.output = None
    return run


def _leaks(
    model: torch.nn.Module | None, run: ResizedRun, ids: torch.Tensor, arguments: dict[str, Any],
    random_state: torch.Tensor,
) -> bool:  # fmt: skip
    """Tell whether later tokens change what the model returned for earlier ones in a run."""
    if model is None:
        return False
    torch.random.set_rng_state(random_state)  # the same random numbers, for a model that draws some
    with suppress(Exception), torch.device(ids.device):
        return leaks(run.output, model(with_later_tokens_changed(ids), **arguments), ids)
    return False


def _recorded(
    model: torch.nn.Module,
    forward_pass: ForwardPass,
    ids: torch.Tensor,
    arguments: dict[str, Any],
    *,
    may_fail: bool,
    by_lane: bool = False,
) -> ResizedRun:
    lines = LineRecorder(files_of(model)) if forward_pass.lines else None
    recorder = (
        LaneRecorder(model, forward_pass.seq_len, lines)
        if by_lane
        else SpanRecorder(model, Measures(ops=forward_pass.ops), lines=lines)
    )
    output: Any = None
    # A default device, since code that makes a mask or positions may not name one.
    with interrupts_held(), torch.device(ids.device), recorder:
        try:
            with interrupts_allowed():
                output = model(ids, **arguments)
        except Exception:
            if not may_fail:
                raise
    input_sizes = {"batch": forward_pass.batch, "seq_len": forward_pass.seq_len}
    operations = recorder.operations_by_call() if forward_pass.ops else {}
    shapes, mixed = _shapes(recorder.spans, operations), _mixed_tensors(recorder.spans, operations)
    views = recorder.lanes.views if isinstance(recorder, LaneRecorder) else ()
    run = ResizedRun(input_sizes, shapes, call_sites(recorder.spans), views, frozenset(mixed))
    if isinstance(recorder, LaneRecorder) and recorder.operations is not None and output is not None:
        names = [operation.name for operation in recorder.operations.operations]
        run.output, run.is_meant_causal = output, is_meant_causal(model, names)
    recorder.release()
    return run


def _shapes(
    spans: Sequence[Span], operations: Mapping[Span, Sequence[Operation]]
) -> Iterator[tuple[Side, str, Shape]]:
    """Yield the shape of each tensor of each call and of each operation in it."""
    for span, call in numbered_calls(spans):
        for side, info in tensors_of_call(span, call, operations.get(span, ())):
            yield side, info.name, info.shape


def tensors_of_call(
    span: Span, call: Occurrence, operations: Sequence[Operation]
) -> Iterator[tuple[Side, TensorInfo]]:
    """Yield each tensor of a call and of the operations in it, with its side."""
    for occurrence, place in _places_in_call(span, call, operations):
        for direction, infos in (("input", place.inputs), ("output", place.outputs)):
            for info in infos:
                yield (occurrence, direction), info


def _mixed_tensors(
    spans: Sequence[Span], operations: Mapping[Span, Sequence[Operation]]
) -> Iterator[tuple[Side, str]]:
    """Yield the tensors of each call and of the operations in it that have no lane for each token."""
    for span, call in numbered_calls(spans):
        for occurrence, place in _places_in_call(span, call, operations.get(span, ())):
            for direction, name in place.mixed:
                yield (occurrence, direction), name


def _places_in_call(
    span: Span, call: Occurrence, operations: Sequence[Operation]
) -> list[tuple[Occurrence, Span | Operation]]:
    places: list[tuple[Occurrence, Span | Operation]] = [(call, span)]
    return places + list(zip(numbered_operations(operations, call), operations, strict=True))
