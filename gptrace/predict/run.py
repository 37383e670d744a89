"""`gptrace run`: the trace of one batch of prompts, and the next tokens of each prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from gptrace.errors import GptraceError
from gptrace.measures import Measures
from gptrace.model.build import LoadedModel
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import user_code_errors
from gptrace.predict.candidates import have_probabilities
from gptrace.predict.forward import batch_ids, check_room, isolated_forward, largest_id
from gptrace.predict.logit_decoder import LogitDecoder
from gptrace.predict.logits import LogitsOrReason, find_logits
from gptrace.record import Prediction, Trace, TracedPrompt
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.recorder import SHAPES_ONLY
from gptrace.tracing.watching import record_trace

Tensor = torch.Tensor


def run_traced(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    k: int | None,
    temperature: float,
    measures: Measures = SHAPES_ONLY,
) -> Trace:
    """Run the prompts as one traced batch, and predict the tokens that follow the last token of each."""
    model = loaded.module
    batch = batch_ids(loaded, prompts)  # (B, T)
    trace: Trace | None = None
    check_room(loaded, *batch.shape, rows=batch.numel())
    try:
        with (
            isolated_forward(loaded, batch),
            record_trace(model, loaded.architecture, by_copy=True, measures=measures) as trace,
        ):
            output = model(batch, **loaded.arguments)
    except GptraceError as error:
        if trace is not None:
            error.trace = trace = _described(trace, loaded, prompts, temperature)
            if trace.error is not None and trace.error.diagnosis is not None:
                error.hint = trace.error.diagnosis
        raise
    with user_code_errors(f"in the output of {loaded.name}"):
        result = _refuse_other_axes(find_logits(output, *batch.shape, largest_id(batch)), trace, loaded)
    trace = _described(trace, loaded, prompts, temperature)
    rows, reason = _last_rows(result, prompts)
    if result.logits is None or rows is None:
        return replace(trace, notes=(*trace.notes, f"no next tokens: {reason}"))
    decoder = LogitDecoder(loaded, tokenizer, result.logits, prompts[0], k=k, temperature=temperature)
    predictions = () if rows.is_meta else _predictions(decoder, rows, prompts)
    without = [str(prediction.input) for prediction in predictions if not prediction.candidates]
    if without:
        decoder.notes.append(
            f"no next token after prompt {', '.join(without)}: the greatest logit is NaN or infinite; "
            "gptrace run --columns nan names the call that made it"
        )
    return replace(
        trace,
        model=replace(trace.model, weights=decoder.weights),
        inputs=_recorded(map(decoder.displayable, prompts)),
        predictions=predictions,
        logits_per_position=int(rows.shape[-1]),
        notes=(*trace.notes, *decoder.notes),
    )


def _predictions(decoder: LogitDecoder, rows: Tensor, prompts: Sequence[Prompt]) -> tuple[Prediction, ...]:
    """Return the candidates after each prompt, given its row (B, V); none for a row without probabilities."""
    has_candidates = have_probabilities(rows[:, : decoder.token_count])  # (B,)
    candidates = iter(decoder.candidates(rows[has_candidates]))
    return tuple(
        Prediction(number, len(prompt.tokens) - 1, next(candidates)[0] if has else ())
        for number, (prompt, has) in enumerate(zip(prompts, has_candidates.tolist(), strict=True))
    )


def _described(trace: Trace, loaded: LoadedModel, prompts: Sequence[Prompt], temperature: float) -> Trace:
    model = replace(trace.model, name=loaded.name, weights=loaded.weights)
    return replace(trace, model=model, inputs=_recorded(prompts), temperature=temperature)


def _recorded(prompts: Iterable[Prompt]) -> tuple[TracedPrompt, ...]:
    return tuple(
        TracedPrompt(prompt.text, prompt.ids, prompt.tokens, prompt.padding, prompt.truncated)
        for prompt in prompts
    )


def _refuse_other_axes(result: LogitsOrReason, trace: Trace, loaded: LoadedModel) -> LogitsOrReason:
    """Refuse tensors whose axes are proven not to be those of logits: transposed ones, or hidden states."""
    if result.logits is None or not trace.calls:
        return result
    shape, width = tuple(result.logits.shape), loaded.architecture and loaded.architecture.width
    dims = next((spec.dims for spec in trace.calls[0].outputs if spec.shape == shape), ())
    if dims[:1] == ("seq_len",) or (width and dims[-1:] == (width,)):
        return LogitsOrReason(None, f"the output is [{', '.join(dims)}], no [batch, seq_len, V]")
    return result


def _last_rows(result: LogitsOrReason, prompts: Sequence[Prompt]) -> tuple[Tensor | None, str]:
    """Return the logits at the last token of each prompt (B, V), or the reason why there are none."""
    logits = result.logits
    if logits is None:
        return None, result.reason
    if logits.shape[1] == 1 and any(prompt.padding for prompt in prompts):
        return None, (
            "the model gives logits for the last position alone, where the shorter prompts have padding; "
            "give prompts of one length, or one at a time"
        )
    if logits.shape[1] == 1:
        return logits[:, -1], ""
    last = torch.tensor([len(prompt.tokens) - 1 for prompt in prompts], device=logits.device)
    return logits[torch.arange(len(prompts), device=logits.device), last], ""
