"""Make the model under test: a private copy, at a small size and in float64 where that is possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from gptrace.errors import GptraceError, MemoryNeededError, ModelCodeError, NoLogitsError
from gptrace.model.architecture import Architecture
from gptrace.model.build import LoadedModel
from gptrace.model.hugging_face import forward_arguments
from gptrace.model.meta_device import without_hooks
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import short_place
from gptrace.predict.run import traced_forward
from gptrace.record import Trace
from gptrace.text.prompts import from_ids
from gptrace.tracing.isolation import WorkLimitError, isolated_run, work_limit
from gptrace.tracing.module_copies import copy_with_values
from gptrace.tracing.resized_runs import limit_of_work
from gptrace.tracing.undisturbed import undisturbed_evaluation
from gptrace.verify.check.missing_transpose import find_missing_transpose
from gptrace.verify.check.recording import Recorder, tensors_of
from gptrace.verify.check.sizes import small_sizes
from gptrace.verify.check.source_code import text_of
from gptrace.verify.check.subject import (
    NOTHING,
    Build,
    CannotRunError,
    Construction,
    Subject,
    parameter_count,
)
from gptrace.wording import described

Module = torch.nn.Module
Tensor = torch.Tensor
_OWN_DTYPE = 0.05  # how far logits in the model's own dtype may be from those in float64
_LARGEST_BUILT = 20 << 20  # parameters
# Causes of a failure that the sizes of the inputs do not explain.
_ABOUT_NAMES = ("left_out", "attribute_name", "missing_self", "key_name")


def make_subject(loaded: LoadedModel, seed: int, prompt: tuple[int, ...] = ()) -> Subject:
    """Return the model under test: built small where its weights are random and it can be, or copied.

    Raises a NoLogitsError for a model that gives none, and what `gptrace run` would for one that raises.
    """
    reason, raised_for = "", None
    for build, settings in _candidates(loaded, seed, prompt):
        is_small = settings != _settings(loaded)
        try:
            with _bounded(loaded) if is_small else nullcontext():
                return _tried(_subject(loaded, build, seed, settings, prompt))
        except MemoryNeededError:  # another way to get a module takes no less
            raise
        except (CannotRunError, GptraceError) as error:
            reason, raised_for = str(error), getattr(error, "ids", None)
        except KeyboardInterrupt:
            raise
        except WorkLimitError:
            reason = "at a smaller size the model does many times the work"
        except BaseException as error:  # the user's code may never have run at these sizes, and may exit
            reason = described(error)
    if raised_for is not None:
        _run_traced(loaded, raised_for)
    raise NoLogitsError(f"{loaded.name} cannot be checked: {reason}", _how_far(loaded))


def _run_traced(loaded: LoadedModel, ids: Tensor) -> None:
    """Run a model that raised for these ids once more, so that the error has the diagnosis of a trace."""
    try:
        traced_forward(loaded, from_ids(ids.tolist()))
    except ModelCodeError as error:
        failure = error.trace.error if isinstance(error.trace, Trace) else None
        if failure is not None and failure.inputs and failure.cause not in _ABOUT_NAMES:
            inputs = (f"{spec.name} {list(spec.shape)} {spec.dtype}" for spec in failure.inputs)
            error.hint += f"; {failure.path or 'the model itself'} was called with {', '.join(inputs)}"
        split = find_missing_transpose(_recorded(loaded.module, ids).run, ids.shape[1])
        if split is not None and split.place.file:
            place = short_place(split.place.file, split.place.line)
            error.hint = f"{text_of(split.place)}, at {place}, lacks a transpose(1, 2); {error.hint}"
        raise


def _how_far(loaded: LoadedModel) -> str:
    return f"{loaded.command('run')} shows how far its forward pass gets"


def _tried(subject: Subject) -> Subject:
    """Return a subject that has run; raise what its model raises."""
    _ = subject.vocabulary, subject.logits(subject.random_ids(1, subject.length))
    return subject


def _bounded(loaded: LoadedModel) -> AbstractContextManager[object]:
    """Limit the work of the block: a loop that waits for a size would not end at another one."""
    return work_limit(limit_of_work(sum(1 for _ in loaded.module.modules())))


def _settings(loaded: LoadedModel) -> dict[str, int]:
    return {} if loaded.architecture is None else dict(loaded.architecture.settings)


def _candidates(
    loaded: LoadedModel, seed: int, prompt: tuple[int, ...]
) -> Iterator[tuple[Build, dict[str, int]]]:
    """Yield ways to get a module to test, with its sizes: built small, built as it is, copied, and itself."""
    architecture, settings = loaded.architecture, _settings(loaded)
    if architecture is not None and "seed" in loaded.weights:
        changes = list(small_sizes(architecture, prompt))
        is_small = parameter_count(loaded.module) < _LARGEST_BUILT
        for change in changes + [{}] * is_small:
            yield partial(_built, architecture, change, seed), {**settings, **change}
    yield partial(_copied, loaded.module), settings
    yield lambda changes=NOTHING: (loaded.module, Construction()), settings


def _built(
    architecture: Architecture, sizes: Mapping[str, int], seed: int, changes: Mapping[str, Any] = NOTHING
) -> tuple[Module, Construction]:
    recorder = Recorder()
    with isolated_run(inference=False, seed=seed), recorder:
        module = architecture.build({**sizes, **changes})
    values = {name: recorder.value_of(tensor) for name, tensor in tensors_of(module)}
    made = {name: value for name, value in values.items() if value is not None}
    return without_hooks(module).to("cpu").eval(), Construction(recorder.run, made)


def _copied(module: Module, changes: Mapping[str, Any] = NOTHING) -> tuple[Module, Construction]:
    """Return a copy, in which no setting can be changed.

    Raises a CannotRunError for one that uses parameters of the original, as a closure may.
    """
    copied = copy_with_values(module).to("cpu").eval()
    # What it raises is found out again when the model is run.
    recorder = _recorded(copied, torch.zeros(1, 2, dtype=torch.int64))
    originals = {id(parameter) for parameter in module.parameters()}
    if any(id(tensor) in originals for tensor in recorder.strays):
        raise CannotRunError("a copy of the model uses the parameters of the original")
    return copied, Construction()


def _recorded(module: Module, ids: Tensor) -> Recorder:
    """Record a run as far as it goes."""
    recorder = Recorder(module)
    with (
        suppress(Exception),
        isolated_run(inference=False),
        undisturbed_evaluation(module),
        recorder.on(module),
    ):
        module(ids, **forward_arguments(module))
    return recorder


def _subject(
    loaded: LoadedModel, build: Build, seed: int, settings: dict[str, int], prompt: tuple[int, ...]
) -> Subject:
    original, construction = build()
    if any(tensor.device.type != "cpu" for tensor in (*original.parameters(), *original.buffers())):
        raise CannotRunError("the model cannot be copied to the CPU")
    architecture = loaded.architecture
    key = None if architecture is None else architecture.key("context")
    context = settings[key] if key is not None else loaded.limits.context_length
    vocabulary = None if architecture is None else architecture.key("vocabulary")
    if vocabulary is not None:
        settings = {**settings, "vocab_size": settings[vocabulary]}
    subject = Subject(loaded, original, original, seed, context, settings, construction, build, prompt)
    precise = None if original is loaded.module else _in_float64(subject, build)
    return subject if precise is None else replace(subject, module=precise)


def _in_float64(subject: Subject, build: Build) -> Module | None:
    """Return the model in float64, if it is small, and gives the same logits there as in its own dtype."""
    if subject.is_large:
        return None
    try:
        copied = build()[0]
        with isolated_run(inference=False):  # a scripted module warns
            precise = copied.double()
        ids = torch.tensor([[0, 1]])
        exact, own = subject.logits(ids, precise), subject.logits(ids, subject.original).double()
    except Exception:
        return None
    is_same = torch.allclose(exact.double(), own, rtol=_OWN_DTYPE, atol=_OWN_DTYPE, equal_nan=True)
    if not is_same:
        return None
    _roughen(precise, subject.seed, only_zeros=not subject.is_random)
    return precise


def _roughen(module: Module, seed: int, *, only_zeros: bool) -> None:
    """Move random weights a little, or zeros alone: a table of positions of zeros would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            is_zero = not bool(parameter.any())
            if parameter.is_floating_point() and parameter.numel() and (is_zero or not only_zeros):
                scale = 0.02 * float(parameter.abs().mean()) if not is_zero else 0.02
                noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.add_(noise, alpha=scale)
