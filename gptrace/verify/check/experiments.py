"""The experiments on one subject that several checks read, each done once."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property

from gptrace.model.quiet_torch import torch
from gptrace.text.tokenizer import Tokenizer
from gptrace.verify.check.attention import Attention, find_attentions
from gptrace.verify.check.dependence import Dependence, measure_dependence
from gptrace.verify.check.subject import (
    CannotRunError,
    Subject,
    is_half,
    largest_difference,
    rounding,
    suppressed_in,
)

Tensor = torch.Tensor
_LONGER_BY = 4  # tokens


class Experiments:
    """A subject, the tokenizer of its model if one belongs to it, and what was measured so far."""

    def __init__(self, subject: Subject, tokenizer: Tokenizer | None) -> None:
        self.subject = subject
        self.tokenizer = tokenizer

    @cached_property
    def dependence(self) -> Dependence:
        """Which tokens each value of a run depends on."""
        return measure_dependence(self.subject)

    @cached_property
    def attentions(self) -> list[Attention]:
        """Where the run attends."""
        return find_attentions(self.dependence)

    @cached_property
    def logits(self) -> Tensor:
        """The logits (1, T, V) of random ids."""
        return self.subject.logits(self.ids)

    @cached_property
    def ids(self) -> Tensor:
        """Random ids (1, T)."""
        return self.subject.random_ids(1, self.subject.length)

    @cached_property
    def is_finite(self) -> bool:
        """Whether the logits of random ids are finite, apart from ids that are suppressed."""
        suppressed = suppressed_in(self.logits)
        return not bool(suppressed.all()) and bool(self.logits[..., ~suppressed].isfinite().all())

    @cached_property
    def noise(self) -> float:
        """How much the logits of one prompt differ from run to run, with the same random numbers."""
        again = self.subject.logits(self.ids)
        return largest_difference(self.logits, again) if self.is_finite else 0.0

    @cached_property
    def is_deterministic(self) -> bool:
        """Whether two runs without a seed between them give the same logits."""
        first, second = self.two_runs
        return torch.equal(first, second) or bool((first.isnan() & second.isnan()).any())

    @cached_property
    def two_runs(self) -> tuple[Tensor, Tensor]:
        """The logits of two runs that share random numbers and state; they differ if any two do.

        If two in a row are the same, a longer text is run between two others.
        """
        with self.subject.running():
            first, second = self._once(), self._once()
            if torch.equal(first, second):
                with suppress(CannotRunError):
                    self.run_longer_text()
                    second = self._once()
        return first, second

    def _once(self) -> Tensor:
        return self.subject.logits_in(self.subject.call(self.ids), self.ids).clone()

    def run_longer_text(self) -> None:
        """Run a text that is longer than `ids`, which a model may remember."""
        length = self.subject.length + _LONGER_BY
        with suppress(CannotRunError):
            self.subject.call(self.subject.random_ids(1, min(length, self.subject.context or length), 3))

    @property
    def tolerance(self) -> float:
        """How far logits may differ by rounding alone: by the dtype, and by the noise that was measured."""
        return self.rounding(self.logits)

    def rounding(self, tensor: Tensor) -> float:
        """Return how far two computations of a tensor of logits may differ by rounding alone."""
        return max(rounding(tensor, self.eps), 10 * self.noise)

    @cached_property
    def eps(self) -> float:
        """The least precise of the dtypes in which something that depends on tokens is computed.

        What is made of such a value counts even where it looks the same: rounding may hide the difference.
        """
        dtypes = {
            value.tensor.dtype
            for operation in self.dependence.run.operations
            if any(self.dependence.depends(value) for value in operation.inputs)
            for value in operation.outputs
            if value.tensor.is_floating_point()
        }
        return max((torch.finfo(dtype).eps for dtype in dtypes), default=0.0)

    def may_be_rounding(self, difference: float, tolerance: float) -> bool:
        """Tell whether a difference may as well be rounding as more.

        In half precision that is any that is allowed, apart from the rounding of more precise logits.
        """
        is_half_logit = is_half(torch.finfo(self.logits.dtype).eps)
        return is_half(self.eps) and (0 if is_half_logit else rounding(self.logits)) < difference <= tolerance

    def change_by_rounding(self, ids: Tensor) -> float:
        """Return how much the logits of ids change where each weight is off by about one rounding error.

        The model may make much of a little, as sharp attention does.
        """
        parameters = list(self.subject.module.parameters())
        exact, before = self.subject.logits(ids), [parameter.detach().clone() for parameter in parameters]
        generator = torch.Generator().manual_seed(13)
        try:
            with torch.no_grad():
                for parameter in parameters:
                    errors = self.eps * torch.randn(parameter.shape, generator=generator)
                    parameter.mul_((1 + errors).to(parameter.dtype))
            return largest_difference(exact, self.subject.logits(ids))
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, before, strict=True):
                    parameter.copy_(value)

    @property
    def is_precise(self) -> bool:
        """Whether all that depends on tokens is computed in float64."""
        return self.eps <= torch.finfo(torch.float64).eps
