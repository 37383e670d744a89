"""Find the places where a forward pass attends, while it runs.

Attention is found by what it does, not by names: a product of two tensors makes scores, softmax makes weights
of them, and another product uses these on values. Everything in between is followed. A place is handed over
as soon as it is complete, so that the matrices of one place alone are held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.axes import followed
from gptrace.predict.attention.fused import of_fused, of_torch_module
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.products import Product, read_product
from gptrace.predict.attention.scores import Scores, place_of
from gptrace.predict.open_calls import KnownTensors, OpenCalls
from gptrace.tracing.operations import operation_name
from gptrace.tracing.tensors import find_tensors

Tensor = torch.Tensor
Module = torch.nn.Module
_SOFTMAX = frozenset({"softmax", "_softmax", "special_softmax"})
# They move numbers, or change their precision.
LAYOUT = frozenset({
    "view", "reshape", "transpose", "permute", "contiguous", "movedim", "swapaxes", "flatten", "unflatten",
    "squeeze", "unsqueeze", "to", "type_as", "float", "clone", "dropout", "t", "T", "mT", "expand", "getitem",
    "repeat_interleave", "alias", "detach", "half", "bfloat16", "double", "split", "chunk", "unbind", "cat",
})  # fmt: skip
FACTORS = frozenset({"mul", "div", "mul_", "div_", "multiply", "divide", "true_divide"})
_LAYERS = frozenset({"linear", "addmm", "matmul"})


class AttentionRecorder(torch.overrides.TorchFunctionMode):
    """Hands each place where a model attends to `receive`, in order, while it is entered.

    `length` is the number of tokens T; a place with other numbers of queries or keys is counted in
    `other_count` alone. The tensors of a place may be kept. `weight_shapes` are the shapes of the weights at
    each product with values, in order, and `shorter` those of a run on one token less, where there was one.
    """

    def __init__(
        self,
        length: int,
        receive: Callable[[AttentionPlace], None],
        shorter: Sequence[tuple[int, ...]] = (),
    ) -> None:
        super().__init__()
        self.other_count = 0
        self.weight_shapes: list[tuple[int, ...]] = []
        self._length, self._receive, self._shorter = length, receive, shorter
        self._scores, self._scales, self._outputs = KnownTensors(), KnownTensors(), KnownTensors()
        self._open_calls = OpenCalls()

    @contextmanager
    def on(self, module: Module) -> Iterator[None]:
        """Follow the calls of the submodules in the block."""
        with self._open_calls.followed_on(module), self, interrupts_allowed():
            yield

    @property
    def needs_shorter(self) -> bool:
        """Whether axes of weights that are as long as the text may be others than those of tokens."""
        return self._length > 1 and any(shape.count(self._length) > 2 for shape in self.weight_shapes)

    @property
    def _path(self) -> str:
        return self._open_calls.innermost.path

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # While this runs, torch has taken the mode off its stack: calls in here are not followed.
        kwargs = kwargs or {}
        # Dynamo traces this method, too; what it makes is seen as it runs.
        if torch.compiler.is_dynamo_compiling():
            return func(*args, **kwargs)
        name = operation_name(func)
        softmax_input = self._before_softmax(name, args, kwargs)
        result = func(*args, **kwargs)
        with torch._C.DisableTorchFunction(), suppress(Exception):  # of shapes that are no attention
            if name == "scaled_dot_product_attention":
                self._hand_over(of_fused(self._path, args, kwargs, result), result)
            elif name == "multi_head_attention_forward":
                self._receive_if_square(of_torch_module(self._path, func, args, kwargs, result[0]))
            else:
                self._follow(func, args, kwargs, result, softmax_input)
        return result

    def _before_softmax(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
        """Return a copy of what softmax is about to take, where that is made of scores."""
        if name not in _SOFTMAX:
            return None
        (taken,) = [*args, *kwargs.values()][:1]
        return taken.detach().clone() if self._scores.of(taken) is not None else None

    def _follow(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,
        before: Tensor | None,
    ) -> None:
        name = operation_name(func)
        inputs = [tensor for _, tensor in find_tensors("", (*args, *kwargs.values()))]
        outputs = [tensor for _, tensor in find_tensors("", result)]
        if not inputs or not outputs:
            return
        self._follow_output(name, inputs, outputs)
        for output in outputs:
            self._learn_scale(name, args, inputs, output)
        product = read_product(name, args, kwargs, result)
        known = [tensor for tensor in inputs if self._scores.of(tensor) is not None]
        taken = max(known, key=lambda tensor: tensor.numel(), default=None)  # not a part of the scores
        if product is not None:
            self._multiply(product)
        elif taken is not None and name not in _LAYERS:
            scores = _after(name, args, kwargs, self._scores.of(taken), before, outputs[0])
            again = _with_another(func, args, kwargs, taken)
            places = followed(name, again, taken, outputs, scores.axes)
            for output, axes in zip(outputs, places, strict=True):
                self._scores.learn(output, replace(scores, axes=axes))

    def _learn_scale(self, name: str, args: Sequence[Any], inputs: Sequence[Tensor], output: Tensor) -> None:
        """Note by which number a tensor has been multiplied so far."""
        scale = self._scales.of(inputs[0]) or 1.0
        if name in FACTORS:
            number = next((value for operand in args[:2] if (value := _number(operand)) is not None), None)
            if number is None:
                return
            scale = scale / number if name.startswith(("div", "true")) else scale * number
        elif name not in LAYOUT:
            return
        if scale != 1.0:
            self._scales.learn(output, scale)

    def _multiply(self, product: Product) -> None:
        """Take a product for that of weights and values, or of queries and keys."""
        for turned in (product, product.swapped()):
            scores = self._scores.of(turned.left)
            if scores is not None and scores.softmax is not None:
                self.weight_shapes.append(tuple(turned.left.shape))
                place = place_of(self._path, turned, scores, self._length, self._growing())
                self.other_count += place is None
                if place is not None:
                    self._hand_over(place, turned.result)
                return
        factors = product.left, product.right
        if any(isinstance(factor, torch.nn.Parameter) or factor.dim() < 3 for factor in factors):
            return
        scales = [self._scales.of(factor) or 1.0 for factor in factors]
        axes = tuple(range(product.result.dim()))
        self._scores.learn(product.result, Scores(product, scales[0] * scales[1], axes))

    def _growing(self) -> frozenset[int] | None:
        """Return the axes of the last weights that follow the number of tokens; None where unknown."""
        shape = self.weight_shapes[-1]
        shorter = dict(enumerate(self._shorter, 1)).get(len(self.weight_shapes), ())
        if len(shorter) != len(shape):
            return None
        expected = self._length, self._length - 1
        return frozenset(
            axis for axis, sizes in enumerate(zip(shape, shorter, strict=True)) if sizes == expected
        )

    def _hand_over(self, place: AttentionPlace, output: Tensor) -> None:
        self._outputs.learn(output, place)
        self._receive_if_square(place)

    def _receive_if_square(self, place: AttentionPlace | None) -> None:
        if place is None or tuple(place.weights.shape[-2:]) != (self._length, self._length):
            self.other_count += 1
            return
        place.call = self._open_calls.innermost.number
        self._receive(place)

    def _follow_output(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Follow what the heads return to the layer that takes them all."""
        place = next((known for tensor in inputs if (known := self._outputs.of(tensor)) is not None), None)
        if place is None or place.joined is not None:
            return
        if name in _LAYERS:
            taken = next(tensor for tensor in inputs if self._outputs.of(tensor) is place)
            place.joined, place.projected = taken.detach().clone(), outputs[0].detach()
        elif name in LAYOUT:
            for output in outputs:
                self._outputs.learn(output, place)


def _after(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    scores: Scores,
    before: Tensor | None,
    output: Tensor,
) -> Scores:
    """Return what is known of scores after an operation, apart from their axes."""
    if before is not None:
        summed = scores.axes[int(kwargs.get("dim", args[1] if len(args) > 1 else -1))]
        return replace(
            scores, scores=before, softmax=output.detach(), softmax_axes=scores.axes, summed=summed
        )
    return scores if scores.softmax is not None else replace(scores, steps=scores.steps | {name})


def _with_another(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], taken: Tensor
) -> Callable[[Tensor], object]:
    """Return a function that calls `func` again, with its argument in place of the tensor `taken`."""

    def again(other: Tensor) -> object:
        def replaced(item: Any) -> Any:
            if type(item) in (list, tuple):
                return type(item)(map(replaced, item))
            return other if item is taken else item

        return func(*replaced(args), **{key: replaced(value) for key, value in kwargs.items()})

    return again


def _number(operand: object) -> float | None:
    if isinstance(operand, int | float):
        return float(operand)
    if isinstance(operand, Tensor) and operand.numel() == 1 and not isinstance(operand, torch.nn.Parameter):
        return float(operand)
    return None
