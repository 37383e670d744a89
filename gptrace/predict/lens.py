"""`gptrace lens`: the prediction that each layer would make if it were the last, the "logit lens".

Shapes: T tokens, D emb_dim, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gptrace.measures import Measures
from gptrace.model.build import LoadedModel
from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.quiet_torch import torch
from gptrace.predict.batching import BatchBudget
from gptrace.predict.candidates import candidates_of_rows
from gptrace.predict.forward import batch_ids, check_room, extract_logits, guarded_forward
from gptrace.predict.layer_logits import LayerLogits
from gptrace.predict.logit_decoder import DeferredLogitDecoder, LogitDecoder
from gptrace.predict.loss import scores_of
from gptrace.predict.model_structure import ModelStructure, check_structure_for_lens, find_model_structure
from gptrace.predict.output_head import find_output_head
from gptrace.predict.prompt_stream import PromptStream, StreamedPrompt
from gptrace.predict.runner import Runner
from gptrace.record import Candidate, LensCell, LensLayer, LensResult, LensStream
from gptrace.text.prompts import padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions
from gptrace.tracing.watching import record_trace

Tensor = torch.Tensor


def run_lens(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: PromptStream,
    *,
    k: int | None,
    head: str | None,
    cell_k: int = 1,
) -> LensStream:
    """Pass the output of each block through the final norm and the output head, at every position.

    `k` is the number of candidates after the last token, `cell_k` that at each position.
    """
    runner = _LensRunner(loaded, tokenizer, k, head, cell_k)
    # One at a time: the padding of a batch would be seen by a model that is not causal.
    results = runner.results(prompts, BatchBudget.for_device(loaded.device.type, 1), may_pad=False)
    layer_logits = runner.layer_logits
    return LensStream(
        versions=versions(),
        model=model_info(loaded, runner.deferred.weights),
        through=() if layer_logits is None else layer_logits.through,
        results=results,
        notes=(*runner.deferred.notes, *(() if layer_logits is None else layer_logits.notes)),
    )


class _LensRunner(Runner[LensResult]):
    """Runs one prompt at a time and looks at each of its layers."""

    bytes_per_token = 8192  # a candidate in each layer

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, k: int | None, head: str | None, cell_k: int
    ) -> None:
        self.deferred = DeferredLogitDecoder(loaded, tokenizer, k=k)
        self.layer_logits: LayerLogits | None = None
        self._loaded, self._head, self._cell_k = loaded, head, cell_k

    def problem_result(self, streamed: StreamedPrompt) -> LensResult:
        prompt = streamed.prompt
        return LensResult(
            streamed.index, prompt.text, prompt.ids, (), math.nan, (), streamed.problem, streamed.extra
        )

    def run_batch(self, batch: list[StreamedPrompt]) -> list[LensResult]:
        (streamed,) = batch
        ids = batch_ids(self._loaded, padded([streamed.prompt]))  # (1, T)
        check_room(self._loaded, *ids.shape, rows=2 * ids.shape[1])
        with guarded_forward(self._loaded, ids), interrupts_allowed():
            if self.layer_logits is None:
                structure = _model_structure(self._loaded, ids, self._head)
                self.layer_logits = LayerLogits(self._loaded, structure)
            return [_lens_result(self.deferred, self.layer_logits, streamed, ids, self._cell_k)]


def _model_structure(loaded: LoadedModel, batch: Tensor, head: str | None) -> ModelStructure:
    def run() -> Tensor:
        with interrupts_allowed():
            return extract_logits(loaded.module(batch, **loaded.arguments), loaded, batch)

    with record_trace(loaded.module, None, measures=Measures(ops=True)) as trace:
        shape = tuple(run().shape)
    output_head = find_output_head(trace, loaded.module, head, shape, run)
    structure = find_model_structure(trace, loaded.module, shape, output_head)
    return check_structure_for_lens(structure, loaded.name)


def _lens_result(
    deferred: DeferredLogitDecoder, layer_logits: LayerLogits, streamed: StreamedPrompt, batch: Tensor,
    cell_k: int,
) -> LensResult:  # fmt: skip
    text = layer_logits.run(batch)
    decoder = deferred.decoder_for(text.logits, streamed.prompt)
    predicted = [best.id for (best,) in _best(text.last, decoder, 1)]
    layers = [_layer(path, text.of_block(path), decoder, predicted, cell_k) for path in layer_logits.blocks]
    prompt = deferred.displayable(streamed.prompt)
    return LensResult(
        streamed.index, prompt.text, prompt.ids, tuple(layers), text.difference, prompt.tokens,
        extra=streamed.extra,
    )  # fmt: skip


def _layer(
    path: str, logits: Tensor, decoder: LogitDecoder, predicted: Sequence[int], cell_k: int
) -> LensLayer:
    """Return what a layer's logits (T, V) predict, and what they make of the ids that the model predicts."""
    scores = scores_of(logits[:, : decoder.token_count], predicted)
    cells = tuple(
        LensCell(position, best, rank, math.exp(log_probability))
        for position, (best, (log_probability, rank)) in enumerate(
            zip(_best(logits, decoder, cell_k), scores, strict=True)
        )
    )
    ((candidates, _),) = decoder.candidates(logits[-1:])
    return LensLayer(path, candidates, cells[-1].rank_of_prediction, cells)


def _best(logits: Tensor, decoder: LogitDecoder, k: int) -> list[tuple[Candidate, ...]]:
    """Return the k likeliest tokens at each position (T, V)."""
    rows = candidates_of_rows(
        logits[:, : decoder.token_count], min(k, decoder.token_count), tokenizer=decoder.tokenizer
    )
    return [best for best, _ in rows]
