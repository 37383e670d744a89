"""`loss-labels`: a loss that forward returns is the cross-entropy of logits[t] against the token after t."""

from __future__ import annotations

from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import find_tensors
from gptrace.verify.check.blame import Blame, blamed
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, inapplicable, unjudged
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value
from gptrace.verify.check.subject import CannotRunError, Subject

Tensor = torch.Tensor
cross_entropy = torch.nn.functional.cross_entropy
# Arguments that take the ids themselves, which forward shifts, as in transformers. The others, such as
# nanoGPT's `targets`, take the tokens that come after, so that forward does not shift.
_IDS_THEMSELVES = ("labels", "label")
_OF_THE_LOSS = {"other_loss": "other-loss", "multiple": "loss-multiple", "without_zero": "loss-without-zero"}
_LEAST_FACTOR = 0.5
_ROUNDING_ERRORS = 50  # of a mean over few tokens


def check(experiments: Experiments) -> Finding:
    """Give random labels, and find the shift for which the loss is their cross-entropy."""
    subject = experiments.subject
    name = subject.target_name
    if not name:
        return inapplicable("no_labels")
    if not experiments.is_finite:
        return unjudged("not_finite")
    rows = min(2, subject.most_prompts)
    ids = subject.random_ids(rows, subject.length, 5)
    wanted = 1 if name in _IDS_THEMSELVES else 0
    runs: list[_Loss] = []
    for salt in (6, 7, 8):
        labels = _with_zero(subject, subject.random_ids(rows, subject.length, salt))
        try:
            run = _run(subject, ids, name, labels, wanted)
        except CannotRunError as error:
            return unjudged("not_run", error, name=name)
        if run is None:
            return inapplicable("no_loss", name=name)
        runs.append(run)
    first = runs[0]
    tolerance = _ROUNDING_ERRORS * max(experiments.eps, first.eps) * max(1.0, abs(first.value))
    distance = abs(first.value - first.by_shift[wanted])
    figures = {"name": name, "loss": first.value, "expected": first.by_shift[wanted]}
    if distance <= tolerance:
        return Finding(True, "shifts" if wanted else "holds", figures, distance, tolerance)
    key = _near_miss(runs, wanted, tolerance)
    if key:
        figures["factor"] = first.value / first.by_shift[wanted]
    else:
        shift = next((shift for shift in first.by_shift if _is_affine(runs, shift, tolerance)), None)
        if shift == wanted:
            return Finding(True, "with_other_terms", figures)
        keys = {wanted + 1: "shifted_twice", wanted - 1: "not_shifted" if wanted else "shifted_back"}
        key = "other_loss" if shift is None else keys.get(shift, "other_shift")
    blame = _blame(experiments, key, ids, {name: labels})
    return Finding(False, key, figures, distance, tolerance, blame)


class _Loss(NamedTuple):
    """A loss that forward returned, and the cross-entropies of its logits by shift of the labels.

    `without_zero` is that of the right shift, without the labels that are 0.
    """

    value: float
    by_shift: dict[int, float]
    without_zero: float
    eps: float


def _run(subject: Subject, ids: Tensor, name: str, labels: Tensor, wanted: int) -> _Loss | None:
    """Run ids and labels (B, T); None without a loss. `wanted` is the shift of a right model."""
    with subject.running():
        output = subject.call(ids, arguments={name: labels})
        loss, logits = _loss_of(output), subject.logits_in(output, ids)
    if loss is None:
        return None
    by_shift = {shift: _cross_entropy(logits, labels, shift) for shift in (wanted, 0, 1, 2, -1)}
    without_zero = _cross_entropy(logits, labels, wanted, ignored=0)
    return _Loss(float(loss), by_shift, without_zero, torch.finfo(loss.dtype).eps)


def _with_zero(subject: Subject, labels: Tensor) -> Tensor:
    """Put a label of 0 among the others, since no token is to be left out.

    There is none where 0 is padding, nor where it is suppressed: the loss would be infinite.
    """
    if bool(subject.suppressed[0]):
        return labels
    tables = [table for table in subject.module.modules() if isinstance(table, torch.nn.Embedding)]
    if any(table.padding_idx == 0 for table in tables):
        return labels.clamp(min=1)
    labels[0, labels.shape[1] // 2] = 0
    return labels


def _near_miss(runs: list[_Loss], shift: int, tolerance: float) -> str:
    """Return how losses differ from the mean cross-entropy of all next tokens, if by one thing alone."""
    if all(abs(run.value - run.without_zero) <= tolerance for run in runs):
        return "without_zero"
    factors = [run.value / max(run.by_shift[shift], 1e-9) for run in runs]
    is_multiple = max(factors) - min(factors) <= tolerance * max(1.0, max(factors))
    return "multiple" if is_multiple and factors[0] > 0 else ""


def _is_affine(runs: list[_Loss], shift: int, tolerance: float) -> bool:
    """Tell whether losses are cross-entropies and a term without labels, such as a balance of experts.

    With smoothed labels the cross-entropy counts a little less than once.
    """
    losses = [run.value - runs[0].value for run in runs[1:]]
    expected = [run.by_shift[shift] - runs[0].by_shift[shift] for run in runs[1:]]
    if min(map(abs, expected)) <= 10 * tolerance:
        return False
    factors = [loss / value for loss, value in zip(losses, expected, strict=True)]
    allowed = 4 * tolerance / min(map(abs, expected))
    return abs(factors[0] - factors[1]) <= allowed and _LEAST_FACTOR <= factors[0] <= 1 + allowed


def _loss_of(output: Any) -> Tensor | None:
    loss = getattr(output, "loss", None)
    if isinstance(loss, torch.Tensor):
        return loss
    scalars = [tensor for _, tensor in find_tensors("output", output) if tensor.numel() == 1]
    return scalars[0] if len(scalars) == 1 else None


def _cross_entropy(logits: Tensor, labels: Tensor, shift: int, ignored: int = -100) -> float:
    """Return the mean cross-entropy of logits[t] against labels[t + shift], without the labels `ignored`."""
    length = labels.shape[1] - abs(shift)
    first, second = max(0, -shift), max(0, shift)
    rows = logits[:, first : first + length].reshape(-1, logits.shape[-1])
    targets = labels[:, second : second + length].reshape(-1)
    return float(cross_entropy(rows.double(), targets, ignore_index=ignored))


def _blame(experiments: Experiments, key: str, ids: Tensor, arguments: dict[str, Tensor]) -> Blame | None:
    run = experiments.subject.record(ids, arguments=arguments)
    names = ("cross_entropy", "nll_loss", "log_softmax")
    loss = next((operation for operation in reversed(run.operations) if operation.name in names), None)
    if loss is None:
        return None
    if key in _OF_THE_LOSS:
        return blamed(_OF_THE_LOSS[key], loss)
    slices = [operation for value in loss.inputs[:2] for operation in _slices_before(run, value)]
    if key in ("shifted_twice", "other_shift", "shifted_back") and slices:
        return blamed(key.replace("_", "-"), min(slices, key=lambda operation: operation.number))
    return blamed(key.replace("_", "-"), loss)


def _slices_before(run: RecordedRun, value: Value) -> list[RecordedOperation]:
    """Return the slices on the way back from an input of the loss, through changes of layout alone."""
    slices: list[RecordedOperation] = []
    while value.producers and len(slices) < 5:
        operation = run.producers(value)[0]
        if operation.name not in (
            "getitem",
            "view",
            "reshape",
            "contiguous",
            "flatten",
            "transpose",
            "permute",
        ):
            break
        slices += [operation] * (operation.name == "getitem")
        value = operation.inputs[0]
    return slices
