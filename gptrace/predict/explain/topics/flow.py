"""The path of the prompt through the model: ids, embeddings, blocks, final norm, output head."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import cast

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64
from gptrace.predict.explain.bypassed import UseOfResult, use_of_result
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.final_norm import doubled, find_final_norm
from gptrace.predict.explain.measured_model import MeasuredModel, largest, largest_difference
from gptrace.predict.explain.topics import positions
from gptrace.record import Token
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.tokenizer import decode

Tensor = torch.Tensor
_MOST_CHARACTERS = 3
# The claims about blocks whose results the next one does not take, the gravest first.
_BYPASSED = (
    ("unused_blocks", UseOfResult.NONE, False),
    ("blocks_without_effect", UseOfResult.UNSEEN, None),
    ("blocks_side_by_side", UseOfResult.LATER, True),
)


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Measure what happens on the way from ids to logits."""
    norm = find_final_norm(model)
    return [
        _tokens(model),
        *_split_characters(model),
        _token_embedding(model),
        positions.measure(model),
        _blocks(model, norm),
        _final_norm(model, norm),
        _output_head(model),
    ]


def _tokens(model: MeasuredModel) -> MeasuredClaim:
    prompt = model.prompt
    if prompt.given_as_ids:
        return model.claim("token_ids", None)
    if prompt.text is None:
        return model.claim("tokens", None)
    # A tokenizer may add special tokens around the text, or a space before it.
    holds = prompt.text.strip() in (decode(prompt.tokens) or "")
    # Only GPT-2's tokenizer is known to change nothing in a text; others may make it lower-case, for example.
    if not holds and model.tokenizer is not GPT2:
        return model.claim("tokens_normalized", None)
    return model.claim("tokens", holds)


def _split_characters(model: MeasuredModel) -> list[MeasuredClaim]:
    """Show which characters are cut into several tokens, if any are."""
    split = list(_characters_in_parts(model.prompt.tokens))
    if not split:
        return []
    first = split[0][0]
    shown = [{"characters": characters, "parts": parts} for characters, parts in split[:_MOST_CHARACTERS]]
    key = "split_characters" if model.tokenizer is GPT2 else "split_characters_otherwise"
    return [model.claim(key, True, split=shown, first=first, bytes=len(first.encode()))]


def _characters_in_parts(tokens: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Yield the characters of which no token holds the whole, with the tokens that do together."""
    parts: list[Token] = []
    for token in tokens:
        if token.text is not None and not parts:
            continue
        parts.append(token)
        characters = decode(parts)
        if characters is not None:
            if len(parts) > 1:
                yield characters, parts
            parts = []
        elif token.bytes is None:  # an id that stands for nothing
            parts = []


def _token_embedding(model: MeasuredModel) -> MeasuredClaim:
    path = model.structure.token_embedding
    if not path:
        return model.claim("no_token_embedding", None)
    embedded, table = model.captured.outputs.get(path), model.weight_of(path)
    if embedded is None or table is None or embedded.shape != (*model.ids.shape, table.shape[-1]):
        return model.claim("token_embedding_unmeasured", None)
    width = model.width_of(embedded)
    rows, values = as_float64(table[model.ids]), as_float64(embedded)
    # Some models multiply their embeddings by a constant, such as √D: the one that fits best.
    factor = float((values * rows).sum()) / max(float((rows * rows).sum()), 1e-30)
    allowed = model.tolerance * largest(values)
    difference, scaled = largest_difference(values, rows), largest_difference(values, factor * rows)
    if scaled <= allowed < difference:
        figures = {"width": width, "embedded": embedded, "factor": factor, "difference": scaled}
        return model.claim("token_embedding_scaled", True, **figures)
    figures = {"width": width, "embedded": embedded, "difference": difference}
    if difference <= allowed:
        return model.claim("token_embedding", True, **figures)
    reordered = _change_in_reverse_order(model, path, embedded)
    if reordered <= allowed:
        return model.claim("token_embedding_changed", True, **figures, reordered=reordered)
    return model.claim("token_embedding", False, **figures)


def _change_in_reverse_order(model: MeasuredModel, path: str, embedded: Tensor) -> float:
    """Return how far the vectors (1, T, D) of a table are from those that it makes of the ids in reverse."""
    try:
        again = cast(Tensor, cast(torch.nn.Module, model.submodule(path))(model.ids.flip(1)))
    except Exception:  # a user's table may want more than ids
        return math.inf
    return largest_difference(again.flip(1), embedded) if again.shape == embedded.shape else math.inf


def _blocks(model: MeasuredModel, norm: str) -> MeasuredClaim:
    paths, captured = model.structure.blocks, model.captured
    if not paths:
        return model.claim("no_blocks", None)
    uses = _uses_of_results(model, norm)
    for key, use, holds in _BYPASSED:
        named = [{"block": path} for path in uses if uses[path] is use]
        if named:
            return model.claim(key, holds, count=len(paths), named=named)
    shapes = [
        (tuple(captured.inputs[path].shape), tuple(captured.outputs[path].shape))
        for path in paths
        if path in captured.inputs and path in captured.outputs
    ]
    kept = sum(entering == leaving for entering, leaving in shapes)
    shape = shapes[0][0] if shapes else None
    return model.claim("blocks", kept == len(paths), count=len(paths), kept=kept, shape=shape)


def _uses_of_results(model: MeasuredModel, norm: str) -> dict[str, UseOfResult]:
    """Return how the result of each block is used."""
    paths = model.structure.blocks
    if len(set(paths)) < len(paths):  # of a block that runs again, the vectors of one call are known
        return {}
    after = (*paths[1:], norm or model.structure.head)
    return {path: use_of_result(model, path, following) for path, following in zip(paths, after, strict=True)}


def _final_norm(model: MeasuredModel, norm: str) -> MeasuredClaim:
    """Run the norm on its vectors at two lengths: it returns the same for a vector and for its double."""
    if not norm:
        return model.claim("no_final_norm", None)
    before, after = model.captured.inputs[norm], model.captured.outputs[norm]
    figures = {"norm": norm, "before": _root_mean_square(before), "after": _root_mean_square(after)}
    if use_of_result(model, norm, model.structure.head) is UseOfResult.NONE:
        return model.claim("unused_norm", False, **figures)
    doubling = doubled(model, norm)
    if doubling is None:
        return model.claim("final_norm_unmeasured", None, **figures)
    return model.claim("final_norm", doubling.is_same, **figures, difference=doubling.difference)


def _output_head(model: MeasuredModel) -> MeasuredClaim:
    structure, captured = model.structure, model.captured
    head_input = captured.inputs.get(structure.head)
    if head_input is None:
        return model.claim("no_output_head", None)
    # A model may have every position scored, and return the last one alone.
    holds = head_input.dim() == 3 and head_input.shape[0] == 1 and head_input.shape[1] >= len(model.logits)
    embedded = captured.outputs.get(structure.token_embedding)
    tensors = [embedded, *(captured.inputs.get(path) for path in structure.blocks), head_input]
    widths = tuple(dict.fromkeys(tensor.shape[-1] for tensor in tensors if tensor is not None))
    if len(widths) > 1:
        return model.claim("output_head_of_other_width", holds, head_input=head_input, widths=widths)
    return model.claim("output_head", holds, head_input=head_input)


def _root_mean_square(vectors: Tensor) -> float:
    """Return that of the last of the vectors."""
    return float(as_float64(vectors).reshape(-1, vectors.shape[-1])[-1].square().mean().sqrt())
