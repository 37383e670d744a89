"""Prompts through a model: with a trace around it, or for the predictions alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gptrace.errors import GptraceError, NoLogitsError
from gptrace.measures import Measures
from gptrace.model.blame import blamed, theirs
from gptrace.model.build import LoadedModel
from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.memory import as_memory_error, check_memory
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import candidates
from gptrace.predict.limits import wanted_k
from gptrace.predict.logits import Found, find_logits
from gptrace.record import Candidate, Prediction, Prompt, TopK, TopKResult, Trace
from gptrace.text.prompts import padded_ids, without_text
from gptrace.text.tokenizer import NoTokenizer, Tokenizer
from gptrace.tracing.model_facts import model_info, versions
from gptrace.tracing.spans import NOTHING_MORE
from gptrace.tracing.state import undisturbed_evaluation
from gptrace.tracing.watching import watch_as

Tensor = torch.Tensor


def run_traced(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    k: int | None,
    temperature: float,
    measures: Measures = NOTHING_MORE,
) -> Trace:
    """Run the prompts as one batch under `watch`, and read what follows each prompt's last token."""
    model = loaded.module
    batch = _batch(loaded, prompts)  # (B, T)
    trace: Trace | None = None
    try:
        with (
            _guarded(loaded, batch, positions=batch.shape[1]),
            watch_as(model, loaded.architecture, by_copy=True, measures=measures) as trace,
        ):
            output = model(batch, **loaded.arguments)
    except GptraceError as error:
        if trace is not None:
            described = replace(trace.model, name=loaded.name, weights=loaded.weights)
            error.trace = replace(trace, model=described, inputs=tuple(prompts), temperature=temperature)
            if trace.error is not None and trace.error.diagnosis is not None:
                error.hint = trace.error.diagnosis
        raise
    with theirs(f"in the output of {loaded.name}"):
        found = _vetoed(find_logits(output, *batch.shape), trace, loaded)
    rows, why_none = _last_rows(found, prompts)
    reader = _Reader(tokenizer, rows, prompts, k, temperature)
    return replace(
        trace,
        model=replace(trace.model, name=loaded.name, weights=_weights_said(loaded, found.logits, reader)),
        inputs=reader.prompts,
        predictions=tuple(
            Prediction(number, len(prompt.tokens) - 1, found_candidates)
            for number, (prompt, found_candidates) in enumerate(
                zip(prompts, reader.candidates(), strict=False)
            )
        ),
        temperature=temperature,
        scores=None if rows is None else int(rows.shape[-1]),
        notes=(*trace.notes, *reader.notes, *[f"no next tokens: {why_none}"] * bool(why_none)),
    )


def run_topk(
    loaded: LoadedModel, tokenizer: Tokenizer, prompts: Sequence[Prompt], *, k: int | None, temperature: float
) -> TopK:
    """Run the prompts as one batch and read what follows each prompt's last token."""
    batch = _batch(loaded, prompts)  # (B, T)
    with _guarded(loaded, batch, positions=1):
        rows, why_none = _rows_of(loaded, batch, prompts)
    if rows is None:
        raise NoLogitsError(
            f"{loaded.name} gives nothing to predict with: {why_none}", "gptrace run shows its shapes"
        )
    reader = _Reader(tokenizer, rows, prompts, k, temperature)
    results = (
        TopKResult(number, prompt, found)
        for number, (prompt, found) in enumerate(zip(reader.prompts, reader.candidates(), strict=True))
    )
    return TopK(
        versions=versions(),
        model=model_info(loaded.module, loaded.name, _weights_said(loaded, rows, reader)),
        k=reader.k,
        temperature=temperature,
        results=tuple(results),
        notes=tuple(reader.notes),
    )


def _rows_of(loaded: LoadedModel, batch: Tensor, prompts: Sequence[Prompt]) -> tuple[Tensor | None, str]:
    """Return the logits after each prompt (B, V); our own model's output head reads no other positions."""
    model = loaded.module
    if type(model) is GPTModel:
        rows: Tensor = model.out_head(_at_last_tokens(model.hidden_states(batch), prompts))
        return rows, ""
    return _last_rows(find_logits(model(batch, **loaded.arguments), *batch.shape), prompts)


def _vetoed(found: Found, trace: Trace, loaded: LoadedModel) -> Found:
    """Refuse logits whose axes are proven to be something else: transposed ones, or hidden states."""
    if found.logits is None or not trace.calls:
        return found
    shape, width = tuple(found.logits.shape), loaded.architecture and loaded.architecture.width
    dims = next((spec.dims for spec in trace.calls[0].outputs if spec.shape == shape), ())
    if dims[:1] == ("seq_len",) or (width and dims[-1:] == (width,)):
        return Found(None, f"the output is [{', '.join(dims)}], no [batch, seq_len, V]")
    return found


def _last_rows(found: Found, prompts: Sequence[Prompt]) -> tuple[Tensor | None, str]:
    """Return the logits at the last token of each prompt (B, V), or why there are none."""
    logits = found.logits
    if logits is None:
        return None, found.reason
    if logits.shape[1] == 1 and any(prompt.padding for prompt in prompts):
        return None, (
            "the model gives logits for the last position alone, where the shorter prompts have padding; "
            "give prompts of one length, or one at a time"
        )
    return (logits[:, -1] if logits.shape[1] == 1 else _at_last_tokens(logits, prompts)), ""


def _at_last_tokens(values: Tensor, prompts: Sequence[Prompt]) -> Tensor:
    """(B, T, …) → (B, …): what stands at the last real token of each prompt."""
    last = torch.tensor([len(prompt.tokens) - 1 for prompt in prompts], device=values.device)
    return values[torch.arange(len(prompts), device=values.device), last]


class _Reader:
    """Reads candidates out of rows of logits (B, V), in the words of a tokenizer that fits them.

    `prompts` are the prompts as that tokenizer can show them, `notes` what has to be said, `padding_rows` how
    many logits stand for no token.
    """

    def __init__(
        self, tokenizer: Tokenizer, rows: Tensor | None, prompts: Sequence[Prompt], k: int | None,
        temperature: float,
    ) -> None:  # fmt: skip
        self.prompts = tuple(prompts)
        self.notes: list[str] = []
        self.padding_rows = 0
        self.k = k or 0
        self._rows, self._tokenizer, self._temperature = rows, tokenizer, temperature
        if rows is None:
            return
        vocab_size = rows.shape[-1]
        if isinstance(tokenizer, NoTokenizer):
            self.notes.append(f"{tokenizer.described()}: ids are shown without text")
        if not tokenizer.speaks_for(vocab_size):
            said = f"the model gives {vocab_size:,} logits and was not made for {tokenizer.described()}"
            read = "" if self.prompts[0].given_as_ids else ", which read the text"
            self.notes.append(f"{said}{read}: ids are shown without text")
            self._tokenizer = NoTokenizer("the model")
            self.prompts = tuple(map(without_text, prompts))
        self.padding_rows = self._tokenizer.padding_rows(vocab_size)
        self.k = wanted_k(k, vocab_size - self.padding_rows)

    def candidates(self) -> Iterator[tuple[Candidate, ...]]:
        """Yield those of each prompt; of none where there are no numbers."""
        if self._rows is None or self._rows.is_meta:
            return
        count = self._rows.shape[-1] - self.padding_rows
        for row in self._rows:
            yield candidates(row[:count], self.k, self._temperature, self._tokenizer)


def _weights_said(loaded: LoadedModel, logits: Tensor | None, reader: _Reader) -> dict[str, Any]:
    """Return what a report says of the weights; where the logits are NaN, whether the weights are why."""
    said = loaded.weights | ({"padding_rows": reader.padding_rows} if reader.padding_rows else {})
    if logits is None or logits.is_meta or not logits.isnan().any():
        return said
    spoiled = [name for name, parameter in loaded.module.named_parameters() if parameter.isnan().any()]
    return said | {"nan": spoiled}


def _batch(loaded: LoadedModel, prompts: Sequence[Prompt]) -> Tensor:
    return torch.tensor(padded_ids(prompts), dtype=torch.int64, device=loaded.device)


@contextmanager
def _guarded(loaded: LoadedModel, batch: Tensor, *, positions: int) -> Iterator[None]:
    """Leave the model undisturbed, and turn what it raises into an error that says what and where."""
    model = loaded.module
    what = f"a batch of {batch.shape[0]} × {batch.shape[1]} tokens"
    if batch.device.type == "cpu" and isinstance(model, GPTModel):
        check_memory(_activation_bytes(model.config, batch, positions), what)
    try:
        with undisturbed_evaluation(model):
            yield
    except (GptraceError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # SystemExit, and whatever else somebody made of it
        short = as_memory_error(error, what)
        if short is None and type(model) is not GPTModel:
            raise blamed(error, f"in the forward pass of {loaded.name}") from error
        raise short or error from None


def _activation_bytes(config: GPTConfig, batch: Tensor, positions: int) -> int:
    """Estimate the largest moment of a forward pass in float32: logits, or one block's scores."""
    B, T = batch.shape
    logits = B * positions * config.vocab_size
    scores = 3 * B * config.n_heads * T * T if config.attention == "eager" else 0
    residual = 6 * B * T * config.emb_dim
    return 4 * (residual + max(logits, scores))
