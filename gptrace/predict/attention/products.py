"""Products of two tensors, of whatever function, in the letters of einsum: which axis is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
_MATRIX_PRODUCTS = frozenset({"matmul", "bmm", "mm"})
_LETTERS = "abcdefghijklmnopqrstuvw"  # without x, y, z, which stand for the axes of a matrix product


@dataclass(frozen=True, eq=False)
class Product:
    """A product of two tensors; each axis of `left`, `right` and `result` has a letter."""

    left: Tensor
    right: Tensor
    result: Tensor
    letters: tuple[str, str, str]

    @property
    def summed(self) -> str:
        """The letters of the axes that are added up."""
        left, right, result = self.letters
        return "".join(letter for letter in left if letter in right and letter not in result)

    def without_repeated(self) -> Product:
        """Return the same product without the axes of size 1 of a factor that are repeated to fit the other.

        Such an axis has the letter of the axis that it fits, though the factor has nothing along it.
        """
        sizes = sizes_of(self)
        kept = [
            [axis for axis, letter in enumerate(letters) if tensor.shape[axis] == sizes[letter]]
            for letters, tensor in zip(self.letters, (self.left, self.right), strict=False)
        ]
        left, right = (
            tensor.reshape([tensor.shape[axis] for axis in axes])
            for tensor, axes in zip((self.left, self.right), kept, strict=True)
        )
        of_left, of_right = (
            "".join(letters[axis] for axis in axes) for letters, axes in zip(self.letters, kept, strict=False)
        )
        return Product(left, right, self.result, (of_left, of_right, self.letters[2]))

    def swapped(self) -> Product:
        """Return the same product with its factors in the other order."""
        left, right, result = self.letters
        return Product(self.right, self.left, self.result, (right, left, result))


def read_product(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: object) -> Product | None:
    """Return what a call of a torch function multiplies; None for another function.

    >>> a, b = torch.ones(2, 3, 4), torch.ones(2, 4, 5)
    >>> read_product("matmul", (a, b), {}, a @ b).letters
    ('axz', 'azy', 'axy')
    """
    if not isinstance(result, Tensor):
        return None
    if name in _MATRIX_PRODUCTS:
        factors = [*args, *kwargs.values()][:2]
        letters = _of_matrices(factors)
    elif name == "baddbmm":
        factors = [*args, *kwargs.values()][1:3]
        letters = _of_matrices(factors)
    elif name == "einsum" and args and isinstance(args[0], str):
        operands = args[1:] if len(args) != 2 or isinstance(args[1], Tensor) else args[1]
        factors = list(operands)
        dims = [tensor.dim() for tensor in (*factors, result) if isinstance(tensor, Tensor)]
        letters = _of_equation(args[0], dims)
    else:
        return None
    if letters is None or len(factors) != 2 or not all(isinstance(factor, Tensor) for factor in factors):
        return None
    product = Product(factors[0], factors[1], result, letters)
    tensors = (product.left, product.right, product.result)
    fits = all(tensor.dim() == len(names) for tensor, names in zip(tensors, letters, strict=True))
    return product if fits else None


def _of_matrices(factors: Sequence[object]) -> tuple[str, str, str] | None:
    dims = [factor.dim() for factor in factors if isinstance(factor, Tensor)]
    if len(dims) != 2 or min(dims) < 2 or max(dims) - 2 > len(_LETTERS):
        return None
    batch = _LETTERS[: max(dims) - 2]
    left, right = (batch[len(batch) - (dim - 2) :] for dim in dims)
    return left + "xz", right + "zy", batch + "xy"


def _of_equation(equation: str, dims: Sequence[int]) -> tuple[str, str, str] | None:
    inputs, arrow, result = equation.replace(" ", "").partition("->")
    left, comma, right = inputs.partition(",")
    if not (arrow and comma) or len(dims) != 3:
        return None
    names = [_without_dots(name, dim) for name, dim in zip((left, right, result), dims, strict=True)]
    is_plain = all(name.isalpha() and len(set(name)) == len(name) for name in names)
    return (names[0], names[1], names[2]) if is_plain else None


def _without_dots(letters: str, dim: int) -> str:
    """Write a letter for each axis that the dots stand for; these are matched from the last one on."""
    dots = "ZYXWVUTSRQPONMLKJIHGFEDCBA"[: max(0, dim - len(letters.replace("...", "")))]
    return letters.replace("...", dots[::-1])


def arranged(tensor: Tensor, letters: str, wanted: str, sizes: Mapping[str, int]) -> Tensor:
    """Return a tensor with its axes in the order of `wanted`; an axis that it lacks is repeated.

    >>> arranged(torch.ones(2, 3), "ab", "bca", {"a": 2, "b": 3, "c": 4}).shape
    torch.Size([3, 4, 2])
    """
    own = "".join(letter for letter in wanted if letter in letters)
    ordered = tensor.permute([letters.index(letter) for letter in own])
    for position, letter in enumerate(wanted):
        if letter not in letters:
            ordered = ordered.unsqueeze(position)
    return ordered.expand([sizes[letter] for letter in wanted])


def sizes_of(product: Product) -> dict[str, int]:
    """Return the size of the axis of each letter; an axis of size 1 is repeated to fit another."""
    sizes: dict[str, int] = {}
    tensors = (product.left, product.right, product.result)
    for letters, tensor in zip(product.letters, tensors, strict=True):
        for letter, size in zip(letters, tensor.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return sizes
