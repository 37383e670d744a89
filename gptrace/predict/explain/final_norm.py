"""The norm between the blocks and the output head: which module it is, and whether it does a norm's work."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple, cast

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64
from gptrace.predict.explain.measured_model import MeasuredModel, largest, largest_difference

Tensor = torch.Tensor
Module = torch.nn.Module
# The root mean square of the vectors that a norm is tested with. It is so large that the constant, often
# 1e-5, which norms add to the variance is below the rounding, and its square is a number of the dtype.
_TEST_SIZES = {torch.float64: 1e6, torch.float16: 4.0}
_TEST_SIZE = 1e3
_NORMS_OF_TORCH = (torch.nn.LayerNorm, torch.nn.RMSNorm, torch.nn.GroupNorm)


class Doubling(NamedTuple):
    """How far apart a module's results for vectors and for their doubles are, and if they count as equal."""

    difference: float
    is_same: bool


def find_final_norm(model: MeasuredModel) -> str:
    """Return the path of the last norm before the head; "" where there is none.

    A name alone does not make a norm: a linear layer may be called after the norm of its weights. So a module
    that is named so has to do what a norm does, or to be evidently meant to do that.
    """
    for path in reversed(model.modules_named_norm):
        if _takes_hidden_states(model, path):
            doubling, module = doubled(model, path), model.module.get_submodule(path)
            # MobileBERT's NoNorm is no norm; a LayerNorm that forgets its work is a wrong one.
            is_meant = _is_meant_as_norm(module) and (
                isinstance(module, _NORMS_OF_TORCH) or not _takes_each_number_alone(model, path)
            )
            if is_meant or (doubling and doubling.is_same):
                return path
    return ""


def doubled(model: MeasuredModel, path: str) -> Doubling | None:
    """Run a module on its vectors, at one size, and on their doubles; None where it does not run alone."""
    module, before = model.module.get_submodule(path), model.captured.inputs[path]
    test_size = _TEST_SIZES.get(before.dtype, _TEST_SIZE)
    sizes = as_float64(before).square().mean(dim=-1, keepdim=True).sqrt() / test_size
    vectors = torch.where(sizes > 0, as_float64(before) / sizes, 0.0).to(before)
    try:
        once, twice = cast(Tensor, module(vectors)), cast(Tensor, module(2 * vectors))
        difference = largest_difference(once, twice)
    except Exception:  # a user's module may want more than the vectors
        return None
    return Doubling(difference, before.shape == once.shape and difference <= model.tolerance * largest(once))


def _takes_hidden_states(model: MeasuredModel, path: str) -> bool:
    """Tell whether a module takes as many vectors as leave the blocks or enter the head."""
    captured, structure = model.captured, model.structure
    vectors = captured.inputs.get(path)
    known = (captured.outputs.get(structure.blocks[-1]), captured.inputs.get(structure.head))
    counts = [tensor.shape[:-1].numel() for tensor in known if tensor is not None]
    return vectors is not None and path in captured.outputs and vectors.shape[:-1].numel() in counts


def _takes_each_number_alone(model: MeasuredModel, path: str) -> bool:
    """Tell whether each number that a module returns depends on one of its vectors alone, as x·w + b does."""
    module, vectors = model.module.get_submodule(path), model.captured.inputs[path]
    other = vectors.clone()
    other[..., 0] += 1
    try:
        changed = cast(Tensor, module(other)) != cast(Tensor, module(vectors))
    except Exception:  # a user's module may want more than the vectors
        return False
    return changed.shape == vectors.shape and not bool(changed[..., 1:].any())


def _is_meant_as_norm(module: Module) -> bool:
    """Tell whether a class or one of its bases is called a norm, and the module has no matrix."""
    names = [each.__name__.lower() for each in type(module).__mro__]
    is_named = any(name.endswith(("norm", "normalization")) for name in names)
    tensors = chain(module.parameters(), module.buffers())
    return is_named and all(sum(size > 1 for size in tensor.shape) < 2 for tensor in tensors)
