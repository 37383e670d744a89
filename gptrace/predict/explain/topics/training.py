"""Training: the loss on this prompt, and one step of gradient descent on the output head."""

from __future__ import annotations

import math
from collections.abc import Callable

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64, log_softmax, rows_per_chunk
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel, largest_difference

Tensor = torch.Tensor
functional = torch.nn.functional


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Measure the cross-entropy, that of equal probabilities, and what one step of training changes."""
    ids, vectors = model.ids[0].cpu(), model.head_input
    if len(ids) < 2 or len(model.logits) < len(ids):
        return [model.claim("no_training", None)]
    # An id beyond the tokenizer's tokens may be an answer too.
    in_vocabulary = int(ids.max()) < model.decoder.token_count
    count = model.decoder.token_count if in_vocabulary else model.logits.shape[1]
    logits, answers = model.logits[:-1, :count], ids[1:]  # (T - 1, V), (T - 1,)
    loss = _mean_loss(logits, answers, _sum_of_losses)
    claims = [_cross_entropy(model, logits, answers, loss), _uniform_loss(model, logits, answers, loss)]
    squared_length = 0.0 if vectors is None else float(as_float64(vectors[-2:][0]).square().sum())
    if squared_length == 0 or not model.head_makes_the_logits:  # then a step on W moves the logits otherwise
        return [*claims, model.claim("gradient_step_unmeasured", None)]
    row, answer = as_float64(logits[-1]).cpu(), int(answers[-1])
    if float(row[answer]) == -math.inf:
        tokens = {"before": model.token(ids[-2]), "answer": model.token(answer)}
        return [*claims, model.claim("gradient_step_impossible", None, **tokens)]
    return [*claims, _gradient_step(model, row, answer, squared_length)]


def _mean_loss(logits: Tensor, answers: Tensor, sum_of: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Return the mean over all positions of a loss, given logits (T - 1, V) and answers (T - 1,).

    `sum_of` returns the sum over a few positions, whose logits it gets in float64: all of them take gigabytes
    in a long text.
    """
    rows = rows_per_chunk(logits.shape[1])
    chunks = zip(torch.split(logits, rows), torch.split(answers, rows), strict=True)
    return sum(float(sum_of(as_float64(some).cpu(), ids)) for some, ids in chunks) / len(answers)


def _sum_of_losses(logits: Tensor, answers: Tensor) -> Tensor:
    return functional.cross_entropy(logits, answers, reduction="sum")


def _sum_by_hand(logits: Tensor, answers: Tensor) -> Tensor:
    return -log_softmax(logits)[torch.arange(len(answers)), answers].sum()


def _sum_with_equal_logits(logits: Tensor, answers: Tensor) -> Tensor:
    return _sum_of_losses(torch.zeros_like(logits), answers)


def _cross_entropy(model: MeasuredModel, logits: Tensor, answers: Tensor, loss: float) -> MeasuredClaim:
    by_hand = _mean_loss(logits, answers, _sum_by_hand)
    figures = {"pairs": len(answers), "vocab_size": logits.shape[1], "loss": loss, "by_hand": by_hand}
    return model.claim("cross_entropy", math.isclose(loss, by_hand, rel_tol=1e-6), **figures)


def _uniform_loss(model: MeasuredModel, logits: Tensor, answers: Tensor, loss: float) -> MeasuredClaim:
    vocab_size, logarithm = logits.shape[1], math.log(logits.shape[1])
    measured = _mean_loss(logits, answers, _sum_with_equal_logits)
    figures = {"vocab_size": vocab_size, "logarithm": logarithm, "measured": measured, "loss": loss}
    return model.claim("uniform_loss", math.isclose(logarithm, measured, rel_tol=1e-6), **figures)


def _gradient_step(model: MeasuredModel, logits: Tensor, answer: int, squared_length: float) -> MeasuredClaim:
    """Take one step on W for the last answer of the prompt, given the logits (V,) of the position before it.

    The gradient of the loss by row v of W is the gradient by logit v, times x. So a step with learning rate
    1/|x|² moves logit v by just the gradient by that logit, unless W makes the vector x as well.
    """
    with torch.inference_mode(False), torch.enable_grad():
        row = logits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(row[None], torch.tensor([answer])), row)
    log_probabilities = log_softmax(logits[None])[0]
    expected = log_probabilities.exp()
    expected[answer] -= 1
    is_right = largest_difference(gradient, expected) <= 1e-6
    # A logit of minus infinity stays where it is.
    others = gradient[(torch.arange(len(logits)) != answer) & (logits != -torch.inf)]
    tokens = {"before": model.token(model.ids[0, -2]), "answer": model.token(answer)}
    if sharing := model.others_with_head_weight:
        figures = {"gradient": float(gradient[answer]), "others": float(others.sum()), "sharing": sharing[0]}
        return model.claim("gradient_step_tied", is_right, **tokens, **figures)
    stepped = logits - gradient
    losses = -float(log_probabilities[answer]), -float(log_softmax(stepped[None])[0, answer])
    holds = (
        is_right
        and bool(stepped[answer] >= logits[answer])
        and bool((others >= 0).all())
        and losses[1] <= losses[0]
    )
    logit = {"logit": float(logits[answer]), "logit_after": float(stepped[answer])}
    loss = {"loss": losses[0], "loss_after": losses[1]}
    step = {"learning_rate": 1 / squared_length, "others": -float(others.mean()) if len(others) else 0.0}
    return model.claim("gradient_step", holds, **tokens, **step, **logit, **loss)
