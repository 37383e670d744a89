"""The model under test, and ways to run it.

Shapes: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from gptrace.errors import GptraceError
from gptrace.model.build import LoadedModel
from gptrace.model.hugging_face import forward_arguments, is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.predict.logits import find_logits
from gptrace.tracing.isolation import WorkLimitError, isolated_run
from gptrace.tracing.parameters import is_lazy
from gptrace.tracing.undisturbed import undisturbed_evaluation
from gptrace.verify.check.recorded_run import RecordedRun, Value, may_be_ids
from gptrace.verify.check.recording import Recorder
from gptrace.wording import described

Tensor = torch.Tensor
Module = torch.nn.Module
NOTHING: Mapping[str, Any] = MappingProxyType({})
TARGET_NAMES = ("targets", "target", "labels", "label", "target_ids", "y", "tgt")
_LENGTHS = (8, 7, 9, 6, 10, 5, 4)  # tokens of a run that is recorded
_LENGTHS_OF_LARGE = (5, 4, 6, 7)
_LARGEST_IN_FLOAT64 = 32 << 20  # parameters
# Two orders of a sum differ by some rounding errors; a real dependence by far more.
_ROUNDING_ERRORS = 1000
# In half precision fewer count: 1000 rounding errors of bfloat16 are more than the number itself.
_ROUNDING_ERRORS_OF_HALF = 16
_EPS_OF_HALF = 1e-4
# A number so many times greater than the median is no score, but the fill value of a mask.
_OUTLIER = 1e4
_SAMPLE = 4096
# It takes settings that are changed beside the sizes, such as a dtype.
Build = Callable[..., "tuple[Module, Construction]"]


class CannotRunError(Exception):
    """The model cannot be run in the way that a check needs; the message says why.

    `ids` are those for which its own code raised, if it did: then that exception is the cause.
    """

    def __init__(self, message: str, ids: Tensor | None = None) -> None:
        super().__init__(message)
        self.ids = ids


@dataclass(frozen=True, eq=False)
class Construction:
    """How a model was built: the operations of its constructor, and the value of each tensor that it made."""

    run: RecordedRun = field(default_factory=RecordedRun)
    made: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Subject:
    """The model that the checks run.

    loaded        the model at its real size, as it was loaded
    module        one that was built smaller, or a private copy, on the CPU; where neither can be, itself
    original      the same in the model's own dtype
    seed          seed of the weights and of the random tokens
    context       its context length, as far as its settings say
    settings      its sizes by the names of its configuration, and as vocab_size that of the vocabulary
    construction  the operations that built it, if it was built here
    build         builds or copies the model once more; where neither can be, returns itself
    prompt        ids that prompts begin with, those of the user's text; none for random ids alone
    """

    loaded: LoadedModel
    module: Module
    original: Module
    seed: int
    context: int | None
    settings: dict[str, int]
    construction: Construction
    build: Build
    prompt: tuple[int, ...] = ()

    @cached_property
    def is_large(self) -> bool:
        """Whether each run takes so long that there should be few."""
        return parameter_count(self.original) > _LARGEST_IN_FLOAT64

    @property
    def is_random(self) -> bool:
        """Whether the weights are random."""
        return "seed" in self.loaded.weights

    @cached_property
    def vocabulary(self) -> int:
        """The number of scores for each position."""
        return len(self.suppressed)

    @cached_property
    def suppressed(self) -> Tensor:
        """Which ids (V,) have a logit of minus infinity wherever a short text is continued."""
        return suppressed_in(self.logits(torch.zeros(1, 2, dtype=torch.int64)))

    @cached_property
    def predicted_ids(self) -> Tensor:
        """The ids that are safe to use, without those that are suppressed: a loss on these is infinite."""
        ids = torch.arange(self.ids_below)
        predicted = ids[~self.suppressed[: self.ids_below]]
        return predicted if len(predicted) > 1 else ids

    @cached_property
    def ids_below(self) -> int:
        """How many ids are safe to use: the rows of the smallest table that may be that of the tokens."""
        configured = self.settings.get("vocab_size", self.vocabulary)
        run = self.record(torch.zeros(1, 2, dtype=torch.int64))
        rows = [
            value.tensor.shape[0]
            for operation in run.operations if operation.name == "embedding"
            and any(map(may_be_ids, operation.inputs))
            for value in operation.inputs if value.origin
        ]  # fmt: skip
        return max(2, min(self.vocabulary, configured, *rows))

    @cached_property
    def length(self) -> int:
        """The number of tokens of a run that is recorded: few, and no other size of the model."""
        lengths = _LENGTHS_OF_LARGE if self.is_large else _LENGTHS
        longest = self.context or lengths[0]
        fitting = [length for length in lengths if length <= longest] or [longest]
        run = self.record(torch.zeros(1, min(3, longest), dtype=torch.int64))
        sizes = {size for value in run.values() for size in value.tensor.shape}
        return next((length for length in fitting if length not in sizes), fitting[0])

    @cached_property
    def most_prompts(self) -> int:
        """How many prompts the model takes at once, up to 3."""
        for count in (3, 2):
            with suppress(CannotRunError):
                self.logits(self.random_ids(count, self.length))
                return count
        return 1

    def random_ids(self, batch: int, length: int, salt: int = 0) -> Tensor:
        """Return random ids (B, T), the same for the same arguments; neighbours in a row differ.

        Without `salt` the first row begins with the prompt.
        """
        generator = torch.Generator().manual_seed((self.seed * 1009 + salt) % (1 << 64))
        known = self.predicted_ids
        count = len(known)
        rows = [
            known[torch.randperm(count, generator=generator).repeat(1 + length // count)[:length]]
            for _ in range(batch)
        ]
        ids = torch.stack(rows)
        if self.prompt and not salt:
            start = torch.tensor(self.prompt[:length])
            ids[0, : len(start)] = start
        return ids

    def logits(
        self, ids: Tensor, module: Module | None = None, arguments: Mapping[str, Any] = NOTHING
    ) -> Tensor:
        """Run the model: (B, T) → (B, T, V)."""
        with self.running(module):
            return self.logits_in(self.call(ids, module, arguments), ids).detach().clone()

    def call(self, ids: Tensor, module: Module | None = None, arguments: Mapping[str, Any] = NOTHING) -> Any:
        """Call the model's forward and return what it returns; raise CannotRunError where it raises."""
        target = module or self.module
        with torch._C.DisableTorchFunction():  # a copy, since forward may write into it; it is not recorded
            given = ids.clone()
        try:
            return target(given, **{**self.arguments(target, ids), **arguments})
        except (GptraceError, KeyboardInterrupt, WorkLimitError):
            raise
        except BaseException as error:  # the user's code may raise anything, SystemExit too
            raise CannotRunError(described(error), ids) from error

    def record(
        self, ids: Tensor, module: Module | None = None, arguments: Mapping[str, Any] = NOTHING
    ) -> RecordedRun:
        """Run the model and record it operation by operation."""
        target = module or self.module
        recorder = Recorder(target)
        with self.running(target), recorder.on(target):
            recorder.run.output = self.call(ids, target, arguments)
            logits = find_logits(recorder.run.output, *ids.shape).logits
        if logits is not None:
            recorder.run.logits = recorder.value_of(logits)
        return recorder.run

    @contextmanager
    def running(self, module: Module | None = None, *, gradients: bool = False) -> Iterator[None]:
        """Run the block unheard, with the same random numbers each time, and leave the module as it was."""
        with (
            isolated_run(inference=False, seed=self.seed),
            undisturbed_evaluation(module or self.module),
            torch.inference_mode(False),  # in which a GPTModel is evaluated else
            torch.set_grad_enabled(gradients),
        ):
            yield

    def logits_in(self, output: Any, ids: Tensor) -> Tensor:
        """Return the logits (B, T, V) of every position; raise CannotRunError where there are none."""
        found = find_logits(output, *ids.shape, module=self.module)
        if found.logits is None:
            raise CannotRunError(found.reason)
        if found.logits.shape[1] != ids.shape[1]:
            raise CannotRunError("forward returns the logits of the last position alone")
        return found.logits

    def arguments(self, module: Module, ids: Tensor) -> dict[str, Any]:
        """Return the keyword arguments of a plain forward pass, beside the ids."""
        arguments = forward_arguments(module)
        if self._needs_targets:
            arguments[self._needs_targets] = ids
        return arguments

    @cached_property
    def parameters_of_forward(self) -> tuple[str, ...]:
        """The names of the arguments of forward."""
        try:
            return tuple(inspect.signature(self.module.forward).parameters)
        except (TypeError, ValueError):
            return ()

    @cached_property
    def target_name(self) -> str:
        """The argument of forward that takes targets, or ""."""
        return next((name for name in self.parameters_of_forward[1:] if name in TARGET_NAMES), "")

    @cached_property
    def _needs_targets(self) -> str:
        """The argument to give targets to, where the model computes all logits only then; "" for most."""
        if not self.target_name or is_hugging_face(self.module):
            return ""
        ids = torch.zeros(1, 2, dtype=torch.int64)
        with self.running():
            try:
                found = find_logits(self.module(ids, **forward_arguments(self.module)), 1, 2)
            except Exception:
                return ""
        return self.target_name if found.logits is not None and found.logits.shape[1] == 1 else ""


def suppressed_in(logits: Tensor) -> Tensor:
    """Return which ids (V,) have minus infinity at every position of logits (…, V): a probability of 0."""
    return (logits == -torch.inf).flatten(0, -2).all(dim=0)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the absolute differences of two tensors.

    Equal infinities, and two NaN, differ by 0; each differs from any other number by infinity.
    """
    apart = (a - b).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)
    return apart.masked_fill((a == b) | (a.isnan() & b.isnan()), 0)


def largest_difference(a: Tensor, b: Tensor) -> float:
    """Return the largest of the absolute differences of two tensors."""
    return float(distances(a, b).max())


def rounding(tensor: Tensor, eps: float | None = None) -> float:
    """Return how far two computations of a tensor may differ by rounding alone.

    `eps` is the precision of the computation, where it is less than that of the tensor. Numbers that stand
    for minus infinity in a mask do not count.
    """
    if not tensor.is_floating_point() or not tensor.numel():
        return 0.0
    sizes = tensor.abs().flatten()
    some = sizes[:: max(1, sizes.numel() // _SAMPLE)]
    some = some[(some > 0) & (some < torch.inf)]
    if not some.numel():
        some = sizes[(sizes > 0) & (sizes < torch.inf)]
    if not some.numel():
        return 0.0
    largest = torch.where(sizes <= _OUTLIER * some.median(), sizes, 0).max()
    return _rounding_of(largest, eps)


def most_rounding(tensor: Tensor, eps: float | None = None) -> float:
    """Return what `rounding` of finite numbers is at most, found in a fraction of the time."""
    return _rounding_of(tensor.abs().max(), eps) if tensor.numel() else 0.0


def _rounding_of(largest: Tensor, eps: float | None) -> float:
    precision = max(eps or 0.0, torch.finfo(largest.dtype).eps)
    errors = _ROUNDING_ERRORS_OF_HALF if is_half(precision) else _ROUNDING_ERRORS
    return errors * precision * float(largest)


def parameter_count(module: Module) -> int:
    """Return how many numbers the parameters of a module hold; a lazy one has none before the first run."""
    return sum(parameter.numel() for parameter in module.parameters() if not is_lazy(parameter))


def is_half(eps: float) -> bool:
    """Tell whether a precision is that of half a float, such as float16 and bfloat16, or less."""
    return eps > _EPS_OF_HALF
