"""A model that runs with one prompt and not with several: refused on purpose, or a mistake at some line.

Shapes: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from gptrace.errors import GptraceError
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import LIBRARIES
from gptrace.verify.check.blame import Blame, blamed, origin_of
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, unjudged
from gptrace.verify.check.places import find_place_of_error, is_raised_at
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value, may_be_ids
from gptrace.verify.check.recording import Recorder
from gptrace.verify.check.source_code import is_refusal
from gptrace.verify.check.subject import CannotRunError, Subject

Tensor = torch.Tensor
# The names of settings and arguments that say how many prompts a model takes.
_BATCH_SIZE = re.compile(r"(max_|n_|num_)*(batch|batches|bsz|bs|b)(_?size|_?count)?", re.IGNORECASE)
_MOST_TRIED = 64
# Operations that leave positions what they are.
_KEEPING = frozenset({"unsqueeze", "view", "reshape", "expand", "to", "long", "contiguous", "getitem"})


def judge_refusal(experiments: Experiments, ids: Tensor, error: CannotRunError) -> Finding:
    """Judge a model that runs each of the prompts `ids` (B, T) alone, and cannot run them together.

    Its own code may say so, by an assertion, an exception or a size of batches that it was built for: then
    it is not judged.
    """
    subject = experiments.subject
    if error.__cause__ is None:
        origin = _loses_prompts(subject, ids)
        if origin is None:
            return unjudged("one_prompt", error)
        figures = {"count": len(ids), "error": str(error)}
        return Finding(False, "lost", figures, blame=blamed("prompts-lost", origin))
    place = find_place_of_error(error)
    if not place.file or place.file.startswith(LIBRARIES) or isinstance(error.__cause__, MemoryError):
        return unjudged("one_prompt", error)
    if is_raised_at(error, place) and is_refusal(place):
        return unjudged("refused", error)
    name, size = next(_built_for(subject), ("", 0))
    if name:
        return unjudged("built_for", name=name, count=size)
    if not _raises_always(subject, ids):
        return unjudged("one_prompt", error)
    figures = {"count": len(ids), "error": str(error)}
    counted = _counts_prompts(subject, ids)
    if counted is not None:
        return Finding(False, "raises", figures, blame=blamed("positions-of-prompts", counted))
    operation = _without_lanes(subject, ids)
    blame = Blame("one-prompt", place) if operation is None else blamed("one-prompt", operation)
    return Finding(False, "raises", figures, blame=blame)


def _raises_always(subject: Subject, ids: Tensor) -> bool:
    """Tell whether a copy that has not run before raises too, and with two prompts as with more."""
    module = subject.build()[0]
    for rows in (ids, ids[:2]):
        with suppress(CannotRunError):
            subject.logits(rows, module)
            return False
    return True


def _built_for(subject: Subject) -> Iterator[tuple[str, int]]:
    """Yield the names of settings, attributes and arguments that are a size of batches, if that size runs."""
    for name, size in _batch_sizes(subject):
        if size == 1:
            yield name, size
        elif 1 < size <= _MOST_TRIED:
            with suppress(CannotRunError, GptraceError):
                subject.logits(subject.random_ids(size, subject.length))
                yield name, size


def _batch_sizes(subject: Subject) -> Iterator[tuple[str, int]]:
    holders: list[Mapping[str, object]] = [subject.settings]
    for module in subject.module.modules():
        holders.append(vars(module))
        with suppress(TypeError, ValueError):
            parameters = inspect.signature(type(module)).parameters
            holders.append({name: parameter.default for name, parameter in parameters.items()})
    for holder in holders:
        for name, value in holder.items():
            if type(value) is int and _BATCH_SIZE.fullmatch(name):
                yield name, value


def _recorded(subject: Subject, ids: Tensor) -> RecordedRun:
    """Record a run as far as it goes."""
    recorder = Recorder(subject.module)
    with subject.running(), recorder.on(subject.module), suppress(CannotRunError):
        output = subject.call(ids)
        tensor = output if isinstance(output, torch.Tensor) else getattr(output, "logits", None)
        recorder.run.logits = recorder.value_of(tensor) if isinstance(tensor, torch.Tensor) else None
    return recorder.run


def _counts_prompts(subject: Subject, ids: Tensor) -> RecordedOperation | None:
    """Return the operation that makes positions to look up, as many as prompts in place of tokens."""
    run, alone = _recorded(subject, ids), _recorded(subject, ids[:1]).values_by_key()
    for operation in run.operations:
        if operation.name != "embedding":
            continue
        makers = run.producers(operation.inputs[0])
        while makers and makers[0].name in _KEEPING and makers[0].inputs:
            makers = run.producers(makers[0].inputs[0])
        for value in makers[0].outputs if makers and makers[0].name == "arange" else ():
            one = alone.get(value.key)
            if one is not None and (len(one.tensor), len(value.tensor)) == (1, len(ids)):
                return makers[0]
    return None


def _without_lanes(subject: Subject, ids: Tensor) -> RecordedOperation | None:
    """Return the first operation, before the one that raises, whose output has no axis of prompts."""
    alone = _recorded(subject, ids[:1]).values_by_key()
    for operation in _recorded(subject, ids).operations:
        for value in operation.outputs:
            one = alone.get(value.key)
            if one is not None and not _has_lanes(value.tensor, one.tensor, len(ids)):
                return operation
    return None


def _has_lanes(tensor: Tensor, alone: Tensor, rows: int) -> bool:
    """Tell whether a tensor is the same for every prompt, or has one axis that is as many times longer.

    That is not the second one, where the first is a single prompt that holds the tokens of all.
    """
    if tensor.dim() != alone.dim():
        return False
    longer = [axis for axis in range(tensor.dim()) if tensor.shape[axis] != alone.shape[axis]]
    if len(longer) != 1:
        return not longer
    is_one_prompt = longer[0] == 1 and tensor.dim() > 2 and tensor.shape[0] == 1
    return not is_one_prompt and tensor.shape[longer[0]] == rows * alone.shape[longer[0]]


def _loses_prompts(subject: Subject, ids: Tensor) -> RecordedOperation | None:
    """Return the operation after which the prompts are no longer the first axis on the way to the logits."""
    run, alone = _recorded(subject, ids), _recorded(subject, ids[:1]).values_by_key()
    if run.logits is None:
        return None
    of_ids: set[int] = set()
    for operation in run.operations:
        if any(may_be_ids(value) or of_ids.intersection(value.producers) for value in operation.inputs):
            of_ids.add(operation.number)

    def is_lost(value: Value) -> bool | None:
        one = alone.get(value.key)
        if one is None or not of_ids.intersection(value.producers):
            return None if one is None else False
        same_dim = value.tensor.dim() == one.tensor.dim() > 0
        return not same_dim or value.tensor.shape[0] != len(ids) * one.tensor.shape[0]

    return origin_of(run, run.logits, is_lost) if is_lost(run.logits) else None
