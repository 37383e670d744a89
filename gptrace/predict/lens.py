"""`gptrace lens`: what each layer would predict if it were the last, known as the "logit lens".

Shapes: T tokens, D emb_dim, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.errors import RunError
from gptrace.model.build import LoadedModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64, candidates_of_rows, rounding_tolerance
from gptrace.predict.capture import capture_tensors
from gptrace.predict.forward import batch_ids, check_room, extract_logits, isolated_forward
from gptrace.predict.logit_decoder import DeferredLogitDecoder, LogitDecoder
from gptrace.predict.loss import scores_of
from gptrace.predict.model_structure import ModelStructure, check_structure_for_lens, find_model_structure
from gptrace.record import Candidate, Lens, LensCell, LensLayer, LensResult
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions
from gptrace.tracing.watching import record_trace

Tensor = torch.Tensor


def run_lens(
    loaded: LoadedModel, tokenizer: Tokenizer, prompts: Sequence[Prompt], *, k: int | None, head: str | None
) -> Lens:
    """Put what leaves each block through the final norm and the output head, at every position."""
    reading = DeferredLogitDecoder(loaded, tokenizer, k=k)
    results, anatomy = [], None
    for index, prompt in enumerate(prompts):
        batch = batch_ids(loaded, padded([prompt]))  # (1, T), without the padding that others asked for
        check_room(loaded, *batch.shape, rows=2 * batch.shape[1])
        with isolated_forward(loaded, batch):
            if anatomy is None:
                anatomy = _anatomy(loaded, batch, head)
            results.append(_looked_at(loaded, reading, anatomy, index, prompt, batch))
    assert anatomy is not None
    return Lens(
        versions=versions(),
        model=model_info(loaded.module, loaded.name, reading.weights),
        through=(*anatomy.between, anatomy.head),
        results=tuple(results),
        notes=reading.notes,
    )


def _anatomy(loaded: LoadedModel, batch: Tensor, head: str | None) -> ModelStructure:
    with record_trace(loaded.module, None) as trace:
        logits = extract_logits(loaded.module(batch, **loaded.arguments), loaded, batch)
    found = find_model_structure(trace, loaded.module, tuple(logits.shape), head)
    return check_structure_for_lens(found, loaded.name)


def _looked_at(
    loaded: LoadedModel,
    first: DeferredLogitDecoder,
    anatomy: ModelStructure,
    index: int,
    prompt: Prompt,
    batch: Tensor,
) -> LensResult:
    with capture_tensors(loaded.module, anatomy.blocks) as seen:
        logits = extract_logits(loaded.module(batch, **loaded.arguments), loaded, batch)[0]  # (T, V)
    reading = first.of(logits, prompt)
    rest = [loaded.module.get_submodule(path) for path in (*anatomy.between, anatomy.head)]

    def read(hidden: Tensor) -> Tensor:  # (T, D) → (T, V)
        values = hidden[None]
        for module in rest:
            values = module(values)
        return values[0]

    kept = {path: tensor[0] for path, tensor in seen.outputs.items()}  # (T, D)
    last = read(kept[anatomy.blocks[-1]])
    difference = _difference(last, logits, anatomy, loaded.name)
    predicted = [best.id for best in _best(last, reading)]
    layers = [_layer(path, read(kept[path]), reading, predicted) for path in anatomy.blocks]
    prompt = first.shown(prompt)
    return LensResult(index, prompt.text, prompt.ids, tuple(layers), difference, prompt.tokens)


def _layer(path: str, logits: Tensor, reading: LogitDecoder, predicted: Sequence[int]) -> LensLayer:
    """Return what a layer's logits (T, V) say, beside what the model predicts at each position."""
    ranks = [rank for _, rank in scores_of(logits[:, : reading.count], predicted)]
    cells = tuple(
        LensCell(position, (best,), rank)
        for position, (best, rank) in enumerate(zip(_best(logits, reading), ranks, strict=True))
    )
    ((candidates, _),) = reading.candidates(logits[-1:])
    return LensLayer(path, candidates, ranks[-1], cells)


def _best(logits: Tensor, reading: LogitDecoder) -> list[Candidate]:
    """Return the likeliest token at each position (T, V)."""
    found = candidates_of_rows(logits[:, : reading.count], 1, tokenizer=reading.tokenizer)
    return [best for (best,), _ in found]


def _difference(last: Tensor, logits: Tensor, anatomy: ModelStructure, name: str) -> float:
    """Return how far the last row is from the model's own logits; raise a RunError if it is not the same."""
    own, last = as_float64(logits), as_float64(last[-logits.shape[0] :])
    # A mask may have made infinities of some: both ways have to agree on which.
    finite = own.isfinite()
    difference = float((last - own)[finite].abs().max()) if bool(finite.any()) else 0.0
    largest = float(own[finite].abs().max()) if bool(finite.any()) else 1.0
    allowed = rounding_tolerance(logits.dtype) * max(1.0, largest)
    if difference <= allowed and bool((last.isfinite() == finite).all()):
        return difference
    way = ", ".join((*anatomy.between, anatomy.head))
    raise RunError(
        f"the last layer's logits are not those of {name}: they differ by up to {difference:.3g}",
        f"what leaves {anatomy.blocks[-1]} went through {way}, and the model does something else besides",
    )
