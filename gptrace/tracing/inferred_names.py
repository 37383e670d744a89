"""Find the axis names of a forward pass: run its architecture, or a copy of the model, at other sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gptrace.model.architecture import Architecture, Resizing, Sizes
from gptrace.model.distributed_wrappers import own_class
from gptrace.model.quiet_torch import torch
from gptrace.tracing.axis_names import AxisNames
from gptrace.tracing.free_sizes import Trials, runs_of_free_sizes, without_what_others_move
from gptrace.tracing.module_copies import is_small
from gptrace.tracing.parameters import named_modules_with_aliases
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.repeated_blocks import RepeatedBlocks, find_repeated_blocks, stand_for_all
from gptrace.tracing.resized_runs import (
    MUCH_WORK,
    FailedRun,
    ForwardPass,
    Look,
    ResizedRun,
    limit_of_work,
    run_copy_resized,
    run_resized,
)
from gptrace.tracing.span import Site, Span, call_sites
from gptrace.tracing.token_lanes import MixingView

_SEVERAL_TOKENS = 30
_NO_SIZES = "this model cannot be built at other sizes; pass a class that takes its sizes as arguments"


class _NamesByResizing(NamedTuple):
    """The axis names from resized runs, or None; why any are missing; and how much work is left.

    `note` says so to the user, if some sizes have names and others have not. `changes` are those of the first
    run.
    """

    names: AxisNames | None
    reason: str
    work_left: int
    note: str = ""
    changes: Sizes = {}  # noqa: RUF012 - never changed


class InferredAxisNames(NamedTuple):
    """The axis names of a forward pass, or None; and a note for the user where some could not be inferred."""

    names: AxisNames | None
    note: str = ""

    def views(self) -> list[MixingView]:
        """Return the views that mix tokens; of equal blocks, those of the first."""
        runs = () if self.names is None else self.names.runs
        first: dict[tuple[str, str], MixingView] = {}
        for view in (view for run in runs for view in run.views):
            first.setdefault((view.name, view.source), view)
        return list(first.values())

    def leaks(self) -> bool:
        """Tell whether later tokens reach earlier ones in a model that hides them."""
        return self.names is not None and any(run.leaks for run in self.names.runs)


def infer_axis_names(
    recorder: SpanRecorder,
    architecture: Architecture | None,
    spans: Sequence[Span],
    *,
    copied: torch.nn.Module | None,
    failed: bool,
    twin: torch.nn.Module | None = None,
) -> InferredAxisNames:
    """Return the axis names of one forward pass, whose calls are `spans`; none unless it got ids `[B, T]`.

    Resized runs of `architecture` change every size. If it is None or cannot be run, a copy of the module
    `copied` is run with another batch and with another seq_len: other axes stay numbers then. The note says
    so. `twin` is the whole of a spread model, where equal blocks hold nothing that spreads them. If the pass
    `failed`, resized runs may fail as well, and name the axes up to there. Nothing
    is raised when a run goes wrong.
    """
    ids = spans[0].inputs[0] if spans[0].inputs else None
    is_submodule = spans[0].path != ""  # called by itself
    if is_submodule or ids is None or len(ids.shape) != 2 or ids.dtype.is_floating_point:
        return InferredAxisNames(None)
    inputs = tuple((info.name, len(info.shape), info.dtype) for info in spans[0].inputs)
    tables = [span.module for span in spans if isinstance(span.module, torch.nn.Embedding)]
    vocabulary = min([table.num_embeddings for table in tables], default=1)
    forward_pass = ForwardPass(
        *ids.shape, vocabulary, inputs, recorder.measures.ops, may_fail=failed,
        lines=recorder.lines is not None,
    )  # fmt: skip
    sites, modules = call_sites(spans), len(recorder.paths)
    reason = _built_already(recorder.module)
    if architecture is not None:
        paths = recorder.paths if twin is None else list(named_modules_with_aliases(twin))
        result = _kept_names(architecture, forward_pass, sites, modules, recorder, spans, paths)
        if result.names is not None:
            return InferredAxisNames(result.names, result.note)
        reason = result.reason
    if copied is None:
        return InferredAxisNames(None, f"no axis has a name: {reason}")
    return _names_by_copy(copied, forward_pass, sites, modules, reason)


def _kept_names(
    architecture: Architecture,
    forward_pass: ForwardPass,
    sites: frozenset[Site],
    modules: int,
    recorder: SpanRecorder,
    spans: Sequence[Span],
    paths: Sequence[tuple[str, torch.nn.Module]],
) -> _NamesByResizing:
    """Return the axis names from resized runs; they are kept, for a model that is traced again and again."""
    key = forward_pass, sites, modules

    def without_others(result: _NamesByResizing) -> _NamesByResizing:
        if result.names is None:
            return result
        trials = Trials(architecture, forward_pass, sites, limit_of_work(modules))
        run, reason = without_what_others_move(result.names.runs[0], architecture, result.changes, trials)
        names = result.names.with_first_run(run, multiples=not reason)
        return result._replace(
            names=names, note=f"multiples of a size have no names: {reason}" if reason else ""
        )

    def infer() -> _NamesByResizing:
        by_two_blocks = _names_by_two_blocks(architecture, *key, recorder, spans, paths)
        if by_two_blocks.names is not None:
            return without_others(by_two_blocks)
        by_all = _names_by_resizing(architecture, *key, by_two_blocks.work_left)
        is_too_much = by_all.reason == MUCH_WORK or not is_small(recorder.module)
        if by_all.names is not None or not architecture.sizes or is_too_much:
            return without_others(by_all)
        return _names_of_free_sizes(architecture, *key, by_all)

    return architecture.keep("axis_names", key, infer)


def _names_by_two_blocks(
    architecture: Architecture,
    forward_pass: ForwardPass,
    sites: frozenset[Site],
    modules: int,
    recorder: SpanRecorder,
    spans: Sequence[Span],
    paths: Sequence[tuple[str, torch.nn.Module]],
) -> _NamesByResizing:
    """Return the axis names from runs with two blocks; none unless runs with all would give the same."""
    limit = limit_of_work(modules)
    blocks = find_repeated_blocks(architecture, paths)
    if blocks is None:
        return _NamesByResizing(None, "", limit)
    sites = frozenset(map(blocks.site, sites))
    result = _names_by_resizing(architecture, forward_pass, sites, modules, limit, blocks)
    names, operations = result.names, recorder.operations_by_call()
    if names is None or result.reason:
        return result._replace(names=None)
    is_whole = stand_for_all(blocks, names.runs, spans, operations, names.explains)
    return result if is_whole else result._replace(names=None)


def _built_already(module: torch.nn.Module) -> str:
    """Say that a model came built, and what to give instead."""
    kind = own_class(type(module))
    if kind.__module__.startswith("torch."):
        return (
            "this model is built already; gptrace.trace(…) names all axes if it gets a function that builds "
            "it from its sizes instead"
        )
    return (
        "this model is built already; gptrace.trace(…) names all axes if it gets "
        f"model={kind.__name__}, config=… instead"
    )


def _names_by_resizing(
    architecture: Architecture,
    forward_pass: ForwardPass,
    sites: frozenset[Site],
    modules: int,
    left: int,
    blocks: RepeatedBlocks | None = None,
) -> _NamesByResizing:
    """Return the axis names from runs of the architecture at other sizes.

    `sites` are those of the calls of the real run. Where no run has them all, those that have most count, if
    it is at least half. `left` is how much work the runs may be. They have two of the `blocks`, if these are
    given.
    """
    sizes = _sizes(forward_pass.batch, forward_pass.seq_len) | architecture.sizes
    best: AxisNames | None = None
    changes: Sizes = {}
    reason, least = _NO_SIZES, len(sites) / 2
    limit = limit_of_work(modules)
    for resizings in architecture.resizings():
        if left <= 0:
            break
        runs: list[ResizedRun] = []
        for resizing in resizings:
            resizing = _resized(resizing, blocks)
            # A run is kept for other passes: it does not depend on the ids of this one, and its own limit is
            # always the same. Here the limit is that of the sum.
            look = Look.AT_SIZES if runs else Look.AT_TOKENS
            result = run_resized(architecture, resizing, forward_pass.resized(1, 1), limit, look)
            left -= result.work
            if not isinstance(result, ResizedRun):
                reason = result.reason
                break
            runs.append(result)
        else:
            covered = len(sites.intersection(*(run.sites for run in runs)))
            if covered > least or covered == len(sites):
                products = architecture.products()
                best = AxisNames(sizes, runs, products, blocks, settings=architecture.settings)
                least = covered
                changes = dict(_resized(resizings[0], blocks).changes)
            if covered == len(sites):
                return _NamesByResizing(best, "", left, changes=changes)
            reason = "at other sizes the model makes other calls"
    return _NamesByResizing(best, reason, left, changes=changes)


def _resized(resizing: Resizing, blocks: RepeatedBlocks | None) -> Resizing:
    """Return the resizing with two of the blocks, if these are given."""
    return resizing if blocks is None else blocks.resizing(resizing)


def _names_of_free_sizes(
    architecture: Architecture,
    forward_pass: ForwardPass,
    sites: frozenset[Site],
    modules: int,
    by_all: _NamesByResizing,
) -> _NamesByResizing:
    """Return the names of sizes that can be changed alone, where `by_all`, with all changed, has no names."""
    limit = limit_of_work(modules)
    free = runs_of_free_sizes(architecture, forward_pass, sites, limit)
    if free is None:
        return by_all
    sizes, products = architecture.of_changed(free.changed)
    sizes = _sizes(forward_pass.batch, forward_pass.seq_len) | sizes
    subject, reason = "batch and seq_len have names", by_all.reason
    if free.changed:
        subject, reason = f"some sizes have names ({', '.join(sizes)})", free.reason
    settings = architecture.settings
    names = AxisNames(sizes, free.runs, products, multiples=False, settings=settings)
    return _NamesByResizing(names, reason, 0, f"only {subject}: {reason}")


def _names_by_copy(
    module: torch.nn.Module, forward_pass: ForwardPass, sites: frozenset[Site], modules: int, reason: str
) -> InferredAxisNames:
    """Name batch and seq_len by runs of a copy that vary them; or only one of them, if only one can vary."""
    real_sizes = _sizes(forward_pass.batch, forward_pass.seq_len)
    left, refused = limit_of_work(modules), ""
    for varied, resized_sizes in _other_input_sizes(**real_sizes):
        runs: list[ResizedRun] = []
        for sizes in resized_sizes:
            # The second run, since the first may have a single token.
            look = Look.AT_TOKENS if runs else Look.AT_SIZES
            run = run_copy_resized(module, forward_pass.resized(**sizes), left, look)
            left -= run.work
            if not isinstance(run, ResizedRun):
                refused = refused or _refusal(run, sizes, is_batch=not runs)
                break
            runs.append(run)
        else:
            real = {name: real_sizes[name] for name in varied}
            names = AxisNames(real, runs, [("batch", "seq_len")] if len(varied) == 2 else [])
            subject = "batch and seq_len have names" if len(varied) == 2 else f"{varied[0]} has a name"
            return InferredAxisNames(names, f"only {subject}: {refused or reason}")
    return InferredAxisNames(
        None, f"no axis has a name: neither batch nor seq_len can be varied, and {reason}"
    )


def _refusal(failed: FailedRun, sizes: Sizes, *, is_batch: bool) -> str:
    """Say where the model raises with another batch, or else seq_len, changed alone; "" if that is unknown.

    Then resized runs fail as well, so other axes have no names for the same reason.
    """
    if not failed.line:
        return ""
    if is_batch:
        return f"with {sizes['batch']} prompts the model raises {failed.raised}, at {failed.line}"
    return f"with {sizes['seq_len']} tokens the model raises {failed.raised}, at {failed.line}"


def _other_input_sizes(batch: int, seq_len: int) -> Iterator[tuple[tuple[str, ...], list[Sizes]]]:
    """Yield names to vary, with the sizes of two runs that do so; small, as a table of positions may be.

    The batch makes several tokens: a few may all go to the same expert of a mixture by chance.
    """
    batches = [size for size in (2, 3, 5, 7, 11, 31) if size != batch]
    batches.sort(key=lambda size: size * seq_len < _SEVERAL_TOKENS)  # else in the same order
    lengths = [size for size in (3, 5, 2) if size != seq_len]
    yield ("batch", "seq_len"), [_sizes(batches[0], seq_len), _sizes(batch, lengths[0])]
    yield ("seq_len",), [_sizes(batch, length) for length in lengths[:2]]
    yield ("batch",), [_sizes(size, seq_len) for size in batches[:2]]


def _sizes(batch: int, seq_len: int) -> Sizes:
    return {"batch": batch, "seq_len": seq_len}
