"""Prompts through a model: with a trace around it, or for the predictions alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gptrace.model.build import LoadedModel
from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.memory import as_memory_error, check_memory
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import candidates
from gptrace.record import Prediction, Prompt, TopK, TopKResult, Trace
from gptrace.text.prompts import padded_ids
from gptrace.tracing.state import undisturbed_evaluation
from gptrace.tracing.watching import model_info, versions, watch


def run_traced(loaded: LoadedModel, prompts: Sequence[Prompt], *, k: int, temperature: float) -> Trace:
    """Run the prompts as one batch under `watch`, and read what follows each prompt's last token."""
    model = loaded.module
    batch = _batch(model, prompts)  # (B, T)
    with _guarded(model, batch, positions=batch.shape[1]), watch(model) as trace:
        logits = model(batch)  # (B, T, V)
    predictions = (
        Prediction(number, last, candidates(logits[number, last, : loaded.predicted], k, temperature))
        for number, last in enumerate(_last_positions(prompts))
        if not logits.is_meta
    )
    return replace(
        trace,
        model=replace(trace.model, name=loaded.name, weights=_weights_said(loaded, logits)),
        inputs=tuple(prompts),
        predictions=tuple(predictions),
        temperature=temperature,
    )


def run_topk(loaded: LoadedModel, prompts: Sequence[Prompt], *, k: int, temperature: float) -> TopK:
    """Run the prompts as one batch; the output head reads the last positions only."""
    model = loaded.module
    batch = _batch(model, prompts)  # (B, T)
    with _guarded(model, batch, positions=1):
        hidden = model.hidden_states(batch)  # (B, T, D)
        last = torch.tensor(_last_positions(prompts), device=batch.device)
        logits = model.out_head(hidden[torch.arange(len(prompts), device=batch.device), last])  # (B, V)
    results = (
        TopKResult(number, prompt, candidates(logits[number, : loaded.predicted], k, temperature))
        for number, prompt in enumerate(prompts)
    )
    return TopK(
        versions=versions(),
        model=model_info(model, loaded.name, _weights_said(loaded, logits)),
        k=k,
        temperature=temperature,
        results=tuple(results),
    )


def _weights_said(loaded: LoadedModel, logits: torch.Tensor) -> dict[str, Any]:
    """Return what a report says of the weights; where the logits are NaN, whether the weights are why."""
    if logits.is_meta or not logits.isnan().any():
        return loaded.weights
    spoiled = [name for name, parameter in loaded.module.named_parameters() if parameter.isnan().any()]
    return loaded.weights | {"nan": spoiled}


def _batch(model: GPTModel, prompts: Sequence[Prompt]) -> torch.Tensor:
    ids = padded_ids(prompts, vocab_size=model.config.vocab_size)
    return torch.tensor(ids, dtype=torch.int64, device=model.tok_emb.weight.device)


def _last_positions(prompts: Sequence[Prompt]) -> list[int]:
    return [len(prompt.tokens) - 1 for prompt in prompts]


@contextmanager
def _guarded(model: GPTModel, batch: torch.Tensor, *, positions: int) -> Iterator[None]:
    """Leave the model undisturbed, and turn a lack of memory into an error that says how much it takes."""
    what = f"a batch of {batch.shape[0]} × {batch.shape[1]} tokens"
    if batch.device.type == "cpu":
        check_memory(_activation_bytes(model.config, batch, positions), what)
    try:
        with undisturbed_evaluation(model):
            yield
    except (RuntimeError, MemoryError) as error:
        raise as_memory_error(error, what) or error from None


def _activation_bytes(config: GPTConfig, batch: torch.Tensor, positions: int) -> int:
    """Estimate the largest moment of a forward pass in float32: logits, or one block's scores."""
    B, T = batch.shape
    logits = B * positions * config.vocab_size
    scores = 3 * B * config.n_heads * T * T if config.attention == "eager" else 0
    residual = 6 * B * T * config.emb_dim
    return 4 * (residual + max(logits, scores))
