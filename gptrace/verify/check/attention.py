"""Find where a recorded run attends: queries and keys make scores, these become weights of values.

Attention is found by its shapes, not by the names of functions: a product of two tensors with lanes of tokens
that has two axes of tokens makes scores, and a product of such a matrix and a tensor with lanes of tokens
that has one such axis uses it as weights. Fused attention is one function that gets all three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gptrace.verify.check.dependence import Dependence
from gptrace.verify.check.recorded_run import RecordedOperation, Value

FUSED = ("scaled_dot_product_attention", "multi_head_attention_forward")
_PRODUCTS = ("matmul", "bmm", "einsum", "baddbmm", "mm", "tensordot", "inner")


@dataclass(frozen=True, eq=False)
class Attention:
    """One place where a model attends.

    `product` makes the scores of `queries` and `keys`; `steps` lead from there to `weights`, which `use`
    multiplies with `values`. For fused attention `use` is all there is, and scores and weights are None.
    """

    use: RecordedOperation
    queries: Value
    keys: Value
    values: Value
    product: RecordedOperation | None = None
    steps: tuple[RecordedOperation, ...] = ()
    weights: Value | None = None

    @property
    def softmax(self) -> RecordedOperation | None:
        """The step that is a softmax over one axis, or None."""
        return next((step for step in self.steps if step.name in ("softmax", "_softmax")), None)


def find_attentions(dependence: Dependence) -> list[Attention]:
    """Return the places where the run attends, in order."""
    found = []
    for operation in dependence.run.operations:
        if operation.name in FUSED and len(operation.inputs) >= 3:
            queries, keys, values = operation.inputs[:3]
            found.append(Attention(operation, queries, keys, values))
        elif operation.name in _PRODUCTS:
            found += _weighted_sum(dependence, operation)
    return found


def _weighted_sum(dependence: Dependence, use: RecordedOperation) -> Iterator[Attention]:
    if len(use.inputs) != 2 or len(use.outputs) != 1:
        return
    for weights, values in (use.inputs, use.inputs[::-1]):
        if len(dependence.token_axes(weights)) < 2 or not dependence.token_axes(values):
            continue
        if not dependence.depends(weights) or len(dependence.token_axes(use.outputs[0])) != 1:
            continue
        steps = score_steps(dependence, weights)
        product = steps[0] if steps else None
        if product is not None and len(product.inputs) >= 2:
            queries, keys = product.inputs[-2:]
            yield Attention(use, queries, keys, values, product, tuple(steps[1:]), weights)
            return


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
        if operation.name in _PRODUCTS:
            return steps[::-1]
        value = _matrix_input(dependence, operation)
    return []


def _matrix_input(dependence: Dependence, operation: RecordedOperation) -> Value | None:
    """Return the input of an operation that is a matrix over two axes of tokens and depends on tokens."""
    matrices = [
        value for value in operation.inputs
        if len(dependence.token_axes(value)) >= 2 and dependence.depends(value)
    ]  # fmt: skip
    return matrices[0] if matrices else None
