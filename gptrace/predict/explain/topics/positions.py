"""How the order of the tokens enters: the table of positions, and what the first block gets of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64
from gptrace.predict.capture import capture_tensors, replaced_output
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel, largest, largest_difference

Tensor = torch.Tensor
# Two factors fit so many numbers by chance.
_FITTED = 8


def measure(model: MeasuredModel) -> MeasuredClaim:
    """Compare what enters the first block with the token embedding, with and without positions."""
    structure, captured = model.structure, model.captured
    embedded = captured.outputs.get(structure.token_embedding)
    if model.position_embedding and embedded is not None:
        return _position_embedding(model, embedded, captured.outputs[model.position_embedding])
    entering = captured.first_inputs.get(structure.blocks[0]) if structure.blocks else None
    if embedded is None or entering is None or embedded.shape != entering.shape:
        return model.claim("block_input_unmeasured", None)
    allowed = model.tolerance * largest(entering)
    difference = largest_difference(embedded, entering)
    key = "no_position_embedding" if difference <= allowed else "block_input_changed"
    return model.claim(key, True, difference=difference)


def _position_embedding(model: MeasuredModel, embedded: Tensor, positions: Tensor) -> MeasuredClaim:
    """Look for the sum of the embeddings in the first block, or in what runs before it, such as a norm."""
    structure, table = model.structure, model.position_embedding
    readers = (*(structure.blocks[:1] or (structure.head,)), *structure.before)
    # A block that runs again and again takes the sum at first, and then what it has returned.
    inputs = model.captured.first_inputs
    taken = {path: inputs[path] for path in readers if path in inputs}
    figures = {"table": table, "embedded": embedded, "positions": positions}
    others = [path for path in structure.other_embeddings if path != table and path in model.captured.outputs]
    total = _sum([embedded, positions])
    path, difference = _closest(taken, total)
    if path and difference <= model.tolerance * largest(taken[path]):
        return model.claim("position_embedding", True, block=path, difference=difference, **figures)
    with_others = _sum([embedded, positions, *(model.captured.outputs[each] for each in others)])
    reader, error = _closest(taken, with_others)
    if others and reader and error <= model.tolerance * largest(taken[reader]):
        names = [{"name": each} for each in others]
        return model.claim(
            "position_embedding_among_others", True, block=reader, difference=error, others=names, **figures
        )
    weighted = _weighted(taken, embedded, positions, model.tolerance)
    if weighted is not None:
        return model.claim("position_embedding_weighted", True, **figures, **weighted)
    if path and not _makes_a_difference(model, positions):
        return model.claim("position_embedding", False, block=path, difference=difference, **figures)
    return model.claim("position_embedding_unmeasured", None, **figures)


def _weighted(
    taken: Mapping[str, Tensor], embedded: Tensor, positions: Tensor, tolerance: float
) -> dict[str, object] | None:
    """Return how one of the tensors adds up multiples of both embeddings: √D times that of the token, say."""
    tokens, rows = as_float64(embedded), as_float64(positions)
    for path, values in taken.items():
        if values.shape != tokens.shape or rows.shape[-2:] != tokens.shape[-2:] or values.numel() <= _FITTED:
            continue
        parts = torch.stack([tokens.flatten(), rows.expand_as(tokens).flatten()], dim=1)
        # Least squares: two factors for all numbers.
        wanted = as_float64(values).flatten()
        factors = torch.linalg.pinv(parts.T @ parts) @ (parts.T @ wanted)
        difference = largest_difference((parts @ factors).view_as(values), values)
        allowed = tolerance * largest(values)
        of_tokens, of_rows = factors.tolist()
        is_sum = min(abs(of_tokens) * largest(tokens), abs(of_rows) * largest(rows)) > allowed
        if is_sum and difference <= allowed:
            return {"block": path, "difference": difference, "factors": (of_tokens, of_rows)}
    return None


def _makes_a_difference(model: MeasuredModel, positions: Tensor) -> bool:
    """Tell whether other rows of the table of positions change the logits, or what the head makes them of.

    A head that starts at zero gives the same logits for all vectors.
    """
    table, head = model.submodule(model.position_embedding), model.structure.head
    assert table is not None
    rows = positions.flip(-2, -1) + largest(positions)
    with replaced_output(table, rows), capture_tensors(model.module, [head] if head else []) as captured:
        logits = model.run(model.ids)[0]
    before, after = model.captured.inputs.get(head), captured.inputs.get(head)
    is_same = before is None or after is None or torch.equal(before, after)
    return not is_same or not torch.equal(logits, model.logits)


def _sum(embeddings: list[Tensor]) -> Tensor | None:
    """Return the sum of vectors (…, T, D), in which a table of positions may have no batch; else None."""
    total = embeddings[0]
    for vectors in embeddings[1:]:
        if vectors.shape[-2:] != total.shape[-2:]:
            return None
        total = total + vectors
    return total


def _closest(taken: Mapping[str, Tensor], total: Tensor | None) -> tuple[str, float]:
    """Return the path of the input that is closest to a sum, and how far it is; "" for none of its shape."""
    differences = {
        path: largest_difference(total, values)
        for path, values in taken.items()
        if total is not None and values.shape == total.shape
    }
    path = min(differences, key=lambda path: differences[path], default="")
    return path, differences.get(path, math.inf)
