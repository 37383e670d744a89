"""Weight tying: whether the token embedding and the output head are one tensor or two."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel, share_memory
from gptrace.tracing.parameters import identities, named_modules_with_aliases, parameter_refs

Tensor = torch.Tensor


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Compare the shapes of both tensors, then count parameters with one tensor and with two."""
    table, weight = model.weight_of(model.structure.token_embedding), model.weight_of(model.structure.head)
    if table is None or weight is None:
        return [model.claim("no_tables", None)]
    figures = {"width": model.width_of(table), "weights": table, "head_weight": weight}
    if table.shape != weight.shape:
        key = "tied_in_part" if share_memory(*_tables(model)) else "different_shapes"
        return [model.claim(key, True, **figures)]
    return [model.claim("same_shape", True, **figures), _parameters(model, weight)]


def _tables(model: MeasuredModel) -> tuple[Tensor, Tensor]:
    """Return the weights of the token embedding and of the head, which both have one."""
    table, head = (
        model.module.get_submodule(path).weight
        for path in (model.structure.token_embedding, model.structure.head)
    )
    assert isinstance(table, Tensor)
    assert isinstance(head, Tensor)
    return table, head


def _parameters(model: MeasuredModel, weight: Tensor) -> MeasuredClaim:
    """Count the parameters as they are, and as they would be with one tensor more or less."""
    modules = list(named_modules_with_aliases(model.module))
    references, identity = parameter_refs(modules), identities(modules)
    table, head = _tables(model)
    is_tied = identity(table) == identity(head) or share_memory(table, head)
    parameters, size = (sum(ref.elements for ref in references), sum(ref.bytes for ref in references))
    elements, weight_size = weight.numel(), weight.numel() * weight.element_size()
    if is_tied:
        # Two parameters may share their memory.
        sharing = [ref for ref in references if share_memory(ref.parameter, head)]
        copies = max(0, len(sharing) - 1)
        parameters, size = parameters - copies * elements, size - copies * weight_size
    sign = 1 if is_tied else -1
    figures = {"parameters": parameters, "size": size}
    figures |= {"otherwise": parameters + sign * elements, "size_otherwise": size + sign * weight_size}
    return model.claim("tied" if is_tied else "untied", True, **figures)
