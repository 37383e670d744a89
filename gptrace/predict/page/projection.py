"""How the last position becomes logits: x, the candidates' rows of the output head, and all logits."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.errors import RunError
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64
from gptrace.predict.explain.measured_model import MeasuredModel
from gptrace.predict.page.arrays import float32_array, logits_array
from gptrace.record import Projection, Row

Tensor = torch.Tensor


def projection_of(model: MeasuredModel, ids: Sequence[int]) -> Projection:
    """Return how the last position of a prompt becomes logits, with the rows of the tokens `ids`.

    Raises a RunError where no module multiplies a vector by a row for each token.
    """
    name, head = model.loaded.name, model.structure.head
    if not head:
        raise RunError(f"no module of {name} makes the logits", "gptrace run shows what it has")
    if model.head_input is None or model.head_weight is None:
        raise RunError(
            f"{head} in {name} is not a matrix with a row for each token", "gptrace run shows its shapes"
        )
    if not model.head_makes_the_logits:
        raise RunError(
            f"{name} changes the output of {head} before it returns the logits", "gptrace run --ops shows how"
        )
    hidden, bias = model.head_input[-1], getattr(model.head, "bias", None)
    logits, low, step = logits_array(model.last_logits)
    rows = tuple(_row(model, token_id, hidden, bias) for token_id in ids)
    return Projection(head, float32_array(hidden), rows, logits, low, step)


def _row(model: MeasuredModel, token_id: int, hidden: Tensor, bias: Tensor | None) -> Row:
    assert model.head_weight is not None
    weights = model.head_weight[token_id]
    offset = float(bias[token_id]) if isinstance(bias, Tensor) else 0.0
    logit = float(as_float64(hidden) @ as_float64(weights)) + offset
    return Row(token_id, model.token(token_id), float32_array(weights), offset, logit)
