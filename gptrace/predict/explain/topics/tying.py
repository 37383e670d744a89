"""Weight tying: whether the token embedding and the output head are one tensor or two."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel
from gptrace.tracing.parameters import named_modules_with_aliases, parameter_refs

Tensor = torch.Tensor
_MEBIBYTE = 2**20


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Compare the shapes of both tensors, then count parameters with one tensor and with two."""
    table, weight = model.weight_of(model.structure.token_embedding), model.weight_of(model.structure.head)
    if table is None or weight is None:
        return [model.claim("no_tables", None)]
    figures = {"width": model.width_of(table), "weights": table, "head_weight": weight}
    if table.shape != weight.shape:
        return [model.claim("different_shapes", True, **figures)]
    is_tied = table.data_ptr() == weight.data_ptr()
    return [model.claim("same_shape", True, **figures), _parameters(model, weight, is_tied=is_tied)]


def _parameters(model: MeasuredModel, weight: Tensor, *, is_tied: bool) -> MeasuredClaim:
    """Count the parameters as they are, and as they would be with one tensor more or less."""
    references = parameter_refs(named_modules_with_aliases(model.module))
    parameters = sum(reference.elements for reference in references)
    if is_tied:
        # `head.weight.data = table.weight.data` makes two parameters that share their memory.
        sharing = [ref for ref in references if ref.parameter.data_ptr() == weight.data_ptr()]
        parameters -= weight.numel() * max(0, len(sharing) - 1)
    otherwise = parameters + weight.numel() if is_tied else parameters - weight.numel()
    sizes = [count * weight.element_size() / _MEBIBYTE for count in (parameters, otherwise)]
    figures = {"parameters": parameters, "mebibytes": sizes[0]}
    figures |= {"otherwise": otherwise, "mebibytes_otherwise": sizes[1]}
    return model.claim("tied" if is_tied else "untied", True, **figures)
