"""The factor by which scores are multiplied on their way from queries and keys to the softmax."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.predict.attention.products import read_product
from gptrace.verify.check.attention import Attention, score_steps
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value

_SAME = (
    "view", "reshape", "transpose", "permute", "contiguous", "movedim", "swapaxes", "flatten", "unflatten",
    "to", "float", "type_as", "double", "clone", "T", "mT", "unsqueeze", "squeeze", "expand",
    "repeat_interleave", "getitem", "repeat",
)  # fmt: skip
# The standard deviation of lengths, as a part of their mean. Normalised vectors have the same length, up to a
# learned weight of each feature; random vectors of 128 features, lengths that spread by a sixteenth.
_EVEN = 0.03


@dataclass(frozen=True, eq=False)
class Scaling:
    """The product of all constant factors, and the steps that multiplied by them, in order.

    `product` makes the scores. `head_dims` are the sizes that may count as head_dim: the one that `product`
    adds up over, and, where other scores are added to these, theirs and the sum. `is_normalised` tells that
    queries have the same length at every position, and `spread` how far scores of random directions spread.
    """

    factor: float
    head_dims: tuple[int, ...]
    queries: Value
    keys: Value
    product: RecordedOperation
    steps: tuple[RecordedOperation, ...]
    is_normalised: bool
    spread: float


def scaling_of(experiments: Experiments, attention: Attention) -> Scaling | None:
    """Return the scaling of an attention; None where something else than a constant changes the scores."""
    product = attention.product or attention.use
    if product.name == "multi_head_attention_forward":
        return None  # torch's own, on queries and keys that it projects itself
    features = [_feature_axis(product, value) for value in (attention.queries, attention.keys)]
    head_dim = _head_dim(product, attention.queries)
    if head_dim is None or None in features:
        return None
    head_dims = [head_dim]
    factor, steps = 1.0, []
    for value in (attention.queries, attention.keys):
        before, earlier = _factor_before(experiments, value)
        factor *= before
        steps += earlier
    if attention.product is None:
        factor *= _factor_of_fused(product, head_dim)
        steps.append(product)
    else:
        for step in attention.steps[: _position_of_softmax(attention)]:
            change = constant_factor(step)
            if change is None:
                return None
            head_dims += _of_added_scores(experiments, step)
            factor *= change
            steps += [step] * (change != 1.0)
    both = zip((attention.queries, attention.keys), features, strict=True)
    queries, keys = (value.tensor.double().norm(dim=axis) for value, axis in both)
    is_normalised = bool(queries.std() < _EVEN * queries.mean())
    spread = float(queries.mean() * keys.mean()) * head_dim**-0.5 * factor
    sizes = (*head_dims, sum(head_dims)) if len(head_dims) > 1 else (head_dim,)
    return Scaling(
        factor, sizes, attention.queries, attention.keys, product, tuple(steps), is_normalised, spread
    )


def _factor_of_fused(function: RecordedOperation, head_dim: int) -> float:
    scale = function.argument(6, "scale")
    return head_dim**-0.5 if scale is None else float(scale)


def factor_of_steps(scaling: Scaling, run: RecordedRun) -> float | None:
    """Return the factor by which the same steps of another run multiply; None where one does not."""
    by_key = {operation.key: operation for operation in run.operations}
    factor = 1.0
    for step in scaling.steps:
        other = by_key.get(step.key)
        if other is None:
            return None
        is_fused = step is scaling.product
        change = _factor_of_fused(other, scaling.head_dims[0]) if is_fused else constant_factor(other)
        if change is None:
            return None
        factor *= change
    return factor


def _of_added_scores(experiments: Experiments, step: RecordedOperation) -> list[int]:
    """Return the sizes that queries and keys of further scores have, which a step adds to the scores."""
    if step.name.rstrip("_") not in ("add", "sub"):
        return []
    dependence = experiments.dependence
    sizes = []
    for value in step.inputs:
        if len(dependence.token_axes(value)) < 2 or not dependence.depends(value):
            continue
        product = next(iter(score_steps(dependence, value)), None)
        if product is not None and len(product.inputs) >= 2:
            sizes.append(_head_dim(product, product.inputs[-2]))
    return [size for size in sizes[1:] if size is not None]


def constant_factor(step: RecordedOperation) -> float | None:
    """Return the number that a step multiplies scores by: 1 for a mask; None where it is no single number."""
    if step.name.rstrip("_") in ("mul", "multiply", "div", "divide", "true_divide"):
        other = _other_operand(step)
        if other is None:
            return None
        return 1 / other if step.name.startswith(("div", "true")) and other else other
    if step.name.rstrip("_") in (
        *_SAME,
        "masked_fill",
        "where",
        "add",
        "sub",
        "tril",
        "triu",
        "dropout",
        "nan_to_num",
    ):
        return 1.0
    return None


def _other_operand(step: RecordedOperation) -> float | None:
    for operand in step.positional[:2]:
        if isinstance(operand, int | float):
            return float(operand)
        if isinstance(operand, Value) and operand.tensor.numel() == 1 and not operand.requires_grad:
            return float(operand.tensor)
    return None


def _factor_before(experiments: Experiments, value: Value) -> tuple[float, list[RecordedOperation]]:
    """Follow queries or keys back through changes of layout and constant factors."""
    run, factor = experiments.dependence.run, 1.0
    steps: list[RecordedOperation] = []
    while value.producers and len(steps) < 20:
        operation = run.producers(value)[0]
        if operation.name.rstrip("_") not in (*_SAME, "mul", "multiply", "div", "divide", "true_divide"):
            break
        change = constant_factor(operation)
        if change is None:
            break
        factor *= change
        steps += [operation] * (change != 1.0)
        inputs = [source for source in operation.inputs if experiments.dependence.depends(source)]
        if not inputs:
            break
        value = inputs[0]
    return factor, steps[::-1]


def _head_dim(product: RecordedOperation, value: Value) -> int | None:
    axis = _feature_axis(product, value)
    return None if axis is None else int(value.tensor.shape[axis])


def _feature_axis(product: RecordedOperation, value: Value) -> int | None:
    """Return the axis of queries or keys that they are multiplied over, None where that is unknown."""
    made = read_product(product.name, *product.arguments(), product.outputs[0].tensor)
    if made is None:
        return None if product.name == "einsum" else -1
    letters = made.letters[0] if made.left is value.tensor else made.letters[1]
    return letters.index(made.summed) if len(made.summed) == 1 else None


def _position_of_softmax(attention: Attention) -> int:
    names = [step.name for step in attention.steps]
    return next((index for index, name in enumerate(names) if "softmax" in name or name == "exp"), len(names))
