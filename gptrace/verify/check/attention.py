"""Find where a recorded run attends: queries and keys make scores, these become weights of values.

Attention is found by its shapes, not by the names of functions: a product of two tensors with lanes of tokens
that has two axes of tokens makes scores, and a product of such a matrix and a tensor with lanes of tokens
that has one such axis uses it as weights. Fused attention is one function that gets all three.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.axes import Axes, followed
from gptrace.predict.attention.products import read_product
from gptrace.verify.check.dependence import Dependence
from gptrace.verify.check.recorded_run import RecordedOperation, Value

Tensor = torch.Tensor
FUSED = ("scaled_dot_product_attention", "multi_head_attention_forward")
_PRODUCTS = ("matmul", "bmm", "einsum", "baddbmm", "mm", "tensordot", "inner")
Path = tuple[RecordedOperation, ...]
Lanes = Mapping[int, tuple[int, int]]  # by the number of an operation: the axes of queries and of keys


@dataclass(frozen=True, eq=False)
class Attention:
    """One place where a model attends.

    `product` makes the scores of `queries` and `keys`; `steps` lead from there to `weights`, which `use`
    multiplies with `values`. For fused attention `use` is all there is, and scores and weights are None.
    `lanes` are the axes of queries and of keys in the output of each step, by its number, where these are
    known. `is_combined` tells that a later step mixes these weights with what another product made: then they
    are a part of the weights.
    """

    use: RecordedOperation
    queries: Value
    keys: Value
    values: Value
    product: RecordedOperation | None = None
    steps: Path = ()
    weights: Value | None = None
    lanes: Lanes = field(default_factory=dict)
    is_combined: bool = False

    @property
    def softmax(self) -> RecordedOperation | None:
        """The step that is a softmax over one axis, or None."""
        return next((step for step in self.steps if is_softmax(step)), None)


def is_softmax(operation: RecordedOperation) -> bool:
    """Tell whether an operation is a softmax."""
    return operation.name in ("softmax", "_softmax")


def find_attentions(dependence: Dependence) -> list[Attention]:
    """Return the places where the run attends, in order.

    Weights that combine those of several softmaxes, as in differential attention, are a place for each.
    """
    found = []
    for operation in dependence.run.operations:
        if operation.name in FUSED and len(operation.inputs) >= 3:
            queries, keys, values = operation.inputs[:3]
            found.append(Attention(operation, queries, keys, values))
        elif operation.name in _PRODUCTS:
            found += _weighted_sums(dependence, operation)
    return found


def lanes_around(dependence: Dependence, operation: RecordedOperation) -> Lanes:
    """Return the lanes of the attention that an operation is a part of; none where it is of no attention."""
    attentions = (a for a in find_attentions(dependence) if operation in (a.product, *a.steps, a.use))
    return next((attention.lanes for attention in attentions), {})


def _weighted_sums(dependence: Dependence, use: RecordedOperation) -> Iterator[Attention]:
    if len(use.inputs) != 2 or len(use.outputs) != 1:
        return
    for weights, values in (use.inputs, use.inputs[::-1]):
        if len(dependence.token_axes(weights)) < 2 or not dependence.token_axes(values):
            continue
        if not dependence.depends(weights) or len(dependence.token_axes(use.outputs[0])) != 1:
            continue
        paths = _score_paths(dependence, weights)
        for path in paths:
            if len(path[0].inputs) >= 2:
                yield _attention(dependence, use, weights, values, path)
        if paths:
            return


def _attention(
    dependence: Dependence, use: RecordedOperation, weights: Value, values: Value, path: Path
) -> Attention:
    product, *steps = path
    lanes = _lanes(path, _lanes_in_use(dependence, use, weights))
    queries, keys = product.inputs[-2:]
    made = read_product(product.name, *product.arguments(), product.outputs[0].tensor)
    if made is not None and product.number in lanes:
        query = made.letters[2][lanes[product.number][0]]
        queries, keys = (queries, keys) if query in made.letters[0] else (keys, queries)
    is_combined = any(_others(dependence, path, step) for step in steps)
    return Attention(use, queries, keys, values, product, tuple(steps), weights, lanes, is_combined)


def _lanes_in_use(dependence: Dependence, use: RecordedOperation, weights: Value) -> tuple[int, int] | None:
    """Return the axes of queries and of keys of weights: those of the keys are added up over."""
    product = read_product(use.name, *use.arguments(), use.outputs[0].tensor)
    if product is None:
        return None
    letters = product.letters[0 if use.inputs[0] is weights else 1]
    axes = dependence.token_axes(weights)
    keys = [axis for axis in axes if letters[axis] in product.summed]
    queries = [axis for axis in axes if letters[axis] in product.letters[2]]
    return (queries[0], keys[0]) if len(queries) == len(keys) == 1 else None


def _lanes(path: Path, in_use: tuple[int, int] | None) -> Lanes:
    """Follow the axes of queries and keys back from the weights, the output of the last step of a path."""
    axes: Axes = tuple(range(path[0].outputs[0].tensor.dim()))
    by_step = {path[0].number: axes}
    for before, step in pairwise(path):
        taken = next(value for value in step.inputs if before.number in value.producers)
        axes = by_step[step.number] = _axes_after(step, taken, axes)
    query, key = (axes[axis] for axis in in_use) if in_use is not None else (None, None)
    if query is None or key is None:
        return {}
    return {
        number: (axes.index(query), axes.index(key))
        for number, axes in by_step.items()
        if query in axes and key in axes
    }


def _axes_after(step: RecordedOperation, taken: Value, axes: Axes) -> Axes:
    def again(tensor: Tensor) -> object:
        args, kwargs = step.arguments({taken.key: tensor})
        return step.function(*args, **kwargs)

    return followed(step.name, again, taken.tensor, [output.tensor for output in step.outputs], axes)[0]


def _score_paths(dependence: Dependence, scores: Value) -> list[Path]:
    """Return the ways from products to weights: the first one, and those of other softmaxes that join it."""
    first = tuple(score_steps(dependence, scores))
    paths = [first] if first else []
    for index, step in enumerate(first[1:], 1):
        for value in _others(dependence, first, step):
            joining = _score_paths(dependence, value)
            paths += [(*path, *first[index:]) for path in joining if any(map(is_softmax, path))]
    return paths


def _others(dependence: Dependence, path: Path, step: RecordedOperation) -> list[Value]:
    """Return the matrices that a step after the softmax of a path takes, and that another product made."""
    if not any(is_softmax(earlier) for earlier in path[: path.index(step)]):
        return []
    numbers = {operation.number for operation in path}
    products = [
        (value, next(iter(score_steps(dependence, value)), None)) for value in _matrices(dependence, step)
    ]
    return [value for value, product in products if product is not None and product.number not in numbers]


def score_steps(dependence: Dependence, scores: Value) -> list[RecordedOperation]:
    """Return the operations that lead to a matrix of scores or weights, from the product that made it on."""
    steps: list[RecordedOperation] = []
    value: Value | None = scores
    while value is not None and len(steps) < 100:
        producers = dependence.run.producers(value)
        if not producers:
            return []
        operation = producers[0]
        steps.append(operation)
        if operation.name in _PRODUCTS and len(operation.inputs) > 1:
            return steps[::-1]
        value = next(iter(_matrices(dependence, operation)), None)
    return []


def _matrices(dependence: Dependence, operation: RecordedOperation) -> list[Value]:
    """Return the inputs of an operation that are matrices over two axes of tokens and depend on tokens."""
    return [
        value for value in operation.inputs
        if len(dependence.token_axes(value)) >= 2 and dependence.depends(value)
    ]  # fmt: skip
