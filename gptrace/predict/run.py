"""`gptrace run`: the trace of one batch of prompts, and the next tokens of each prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from gptrace.errors import NAMES_ORIGIN, OWN_CODE_RAISED, TRACE_SHOWS_CALL, ConfigError, GptraceError
from gptrace.measures import SHAPES_ONLY, Measures
from gptrace.model.build import LoadedModel
from gptrace.model.hidden_modules import hidden_modules
from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import user_code_errors
from gptrace.predict.batching import BatchBudget, batches
from gptrace.predict.candidates import allowed_rounding, have_probabilities
from gptrace.predict.forward import (
    Forward,
    LogitRows,
    batch_ids,
    check_room,
    guarded_forward,
    ignores_padding,
    largest_id,
    last_position,
)
from gptrace.predict.logit_decoder import LogitDecoder
from gptrace.predict.logits import LogitsOrReason, find_logits, refuse_classes
from gptrace.predict.nonfinite import origin_of
from gptrace.record import Prediction, Trace, TracedPrompt
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.line_recorder import LineRecorder
from gptrace.tracing.watching import record_trace
from gptrace.wording import enumerated

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
    trace, output, batch = traced_forward(loaded, prompts, measures=measures, temperature=temperature)
    try:
        with user_code_errors(f" (in the output of {loaded.name})"):
            result = find_logits(output, *batch.shape, module=loaded.module)
        result = refuse_classes(_refuse_other_axes(result, trace, loaded), largest_id(batch))
        if result.logits is None:
            return replace(trace, notes=(*trace.notes, f"no next tokens: {result.reason}"))
        rows, row_notes = _last_rows(loaded, result.logits, prompts)
    except GptraceError as error:
        error.trace = trace
        raise
    decoder = LogitDecoder(loaded, tokenizer, result.logits, prompts[0], k=k, temperature=temperature)
    has_numbers = loaded.has_numbers and not rows.is_meta
    predictions = _predictions(loaded, decoder, rows, prompts) if has_numbers else ()
    decoder.notes += _notes_on_missing(
        {each.input: each.origin for each in predictions if not each.candidates}
    )
    return replace(
        trace,
        model=replace(trace.model, weights=decoder.weights),
        inputs=_recorded(map(decoder.displayable, prompts)),
        predictions=predictions,
        logits_per_position=int(rows.shape[-1]),
        notes=(*trace.notes, *row_notes, *decoder.notes),
    )


class TracedForward(NamedTuple):
    """The trace of one forward pass, what the model returned, and the ids (B, T) that it got."""

    trace: Trace
    output: object
    batch: Tensor


def traced_forward(
    loaded: LoadedModel,
    prompts: Sequence[Prompt],
    *,
    measures: Measures = SHAPES_ONLY,
    temperature: float = 1.0,
    lines: LineRecorder | None = None,
) -> TracedForward:
    """Run the prompts as one traced batch; `lines` follows the lines of the model's code.

    Where the model fails, the error's `trace` holds the calls up to there.
    """
    batch = batch_ids(loaded, prompts)
    trace: Trace | None = None
    check_room(loaded, *batch.shape, rows=batch.numel())
    try:
        with guarded_forward(loaded, batch):
            loaded.warm_up(batch)
            with (
                record_trace(
                    loaded.module,
                    loaded.architecture,
                    by_copy=True,
                    measures=measures,
                    check=loaded.command("check"),
                    lines=lines,
                    running=loaded.running(),
                    whole=loaded.whole,
                ) as trace,
                interrupts_allowed(),
            ):
                output = loaded.module(batch, **loaded.arguments)
    except GptraceError as error:
        if trace is not None:
            error.trace = trace = _described(trace, loaded, prompts, temperature)
            if isinstance(error, ConfigError) and trace.error is not None:
                failure = replace(trace.error, cause="block", diagnosis=error.message)
                error.trace = replace(trace, error=failure)
            elif trace.error is not None and trace.error.diagnosis is not None:
                error.hint = trace.error.diagnosis
            elif error.hint == TRACE_SHOWS_CALL:  # this is the trace
                error.hint = OWN_CODE_RAISED
        raise
    return TracedForward(_described(trace, loaded, prompts, temperature), output, batch)


def notes_on_output(loaded: LoadedModel, forward: TracedForward, prompts: Sequence[Prompt]) -> list[str]:
    """Return notes for a report that predicts nothing: that the model returned no tensor, or NaN, and why."""
    trace, output, batch = forward
    with user_code_errors(f" (in the output of {loaded.name})"):
        logits, reason = find_logits(output, *batch.shape, module=loaded.module)
    if logits is None:
        return [f"no next tokens: {reason}"] if trace.returned_nothing else []
    if logits.is_meta or not loaded.has_numbers or bool(logits.isfinite().all()):
        return []
    rows, _ = _last_rows(loaded, logits, prompts)
    return [*_notes_on_missing(_origins(loaded, rows, prompts))]


def _predictions(
    loaded: LoadedModel, decoder: LogitDecoder, rows: Tensor, prompts: Sequence[Prompt]
) -> tuple[Prediction, ...]:
    """Return the candidates after each prompt, given its row (B, V); none for a row without probabilities."""
    rows_of_tokens = rows[:, : decoder.token_count]
    origins = _origins(loaded, rows_of_tokens, prompts)
    candidates = iter(decoder.candidates(rows[have_probabilities(rows_of_tokens)]))
    predictions: list[Prediction] = []
    for number, prompt in enumerate(prompts):
        best = () if number in origins else next(candidates)[0]
        predictions.append(Prediction(number, len(prompt.tokens) - 1, best, origins.get(number, "")))
    return tuple(predictions)


def _origins(loaded: LoadedModel, rows: Tensor, prompts: Sequence[Prompt]) -> dict[int, str]:
    """Return the number of each prompt whose row (V,) has no probabilities, and the origin of the first.

    That of another prompt may be another one.
    """
    origins: dict[int, str] = {}
    for number, has_candidates in enumerate(have_probabilities(rows).tolist()):
        if not has_candidates:
            value = float(rows[number].max())
            origins[number] = "" if origins else origin_of(loaded, prompts[number].ids, value)
    return origins


def _notes_on_missing(origins: Mapping[int, str]) -> Iterator[str]:
    """Yield which prompts have no next token, with the origin of the NaN or Inf of the first alone."""
    numbers = [*origins]
    is_known = bool(numbers and origins[numbers[0]])
    for some in (numbers[:1], numbers[1:]) if is_known else (numbers,):
        if some:
            shown, origin = ", ".join(map(str, some)), origins[some[0]] or NAMES_ORIGIN
            yield f"no next token after prompt {shown}: the greatest logit is NaN or infinite; {origin}"


def _described(trace: Trace, loaded: LoadedModel, prompts: Sequence[Prompt], temperature: float) -> Trace:
    model = replace(trace.model, name=loaded.name, weights=loaded.weights, dtype_rates=loaded.dtype_rates)
    notes = (*trace.notes, *_note_on_hidden(loaded.module))
    return replace(trace, model=model, inputs=_recorded(prompts), temperature=temperature, notes=notes)


def _note_on_hidden(module: torch.nn.Module) -> list[str]:
    hidden = list(hidden_modules(module))
    if not hidden:
        return []
    return [
        f"torch does not see what {enumerated(hidden, 3)} holds, a plain list, tuple or dict: it has no rows "
        "here, and is neither trained nor saved; use nn.ModuleList, nn.ModuleDict or nn.ParameterList"
    ]


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


def _last_rows(loaded: LoadedModel, logits: Tensor, prompts: Sequence[Prompt]) -> tuple[Tensor, list[str]]:
    """Return the logits at the last token of each prompt (B, V), and a note if padding would change them.

    `logits` (B, T, V), or (B, 1, V) for the last position alone, are those of the traced batch. Where the
    model may attend to padding, the prompts that have some are run again without it.
    """
    is_whole = logits.shape[1] > 1
    rows = [
        row[len(prompt.tokens) - 1 if is_whole else -1] for row, prompt in zip(logits, prompts, strict=True)
    ]
    shorter = [number for number, prompt in enumerate(prompts) if prompt.padding]
    if not shorter or logits.is_meta or not loaded.has_numbers or ignores_padding(loaded.module):
        return torch.stack(rows), []
    unpadded = _rows_without_padding(loaded, [prompts[number] for number in shorter])
    changed = []
    for number, row in zip(shorter, unpadded, strict=True):
        allowed = allowed_rounding(row)
        if is_whole and not torch.allclose(rows[number], row, rtol=0, atol=allowed, equal_nan=True):
            changed.append(str(number))
        rows[number] = row
    note = (
        f"padding changes what this model predicts: the next tokens after prompt {', '.join(changed)} come "
        "from a run without padding, all shapes and figures of calls from the padded batch"
    )
    return torch.stack(rows), [note] if changed else []


def _rows_without_padding(loaded: LoadedModel, prompts: Sequence[Prompt]) -> list[Tensor]:
    """Return the logits (V,) at the last token of each prompt, from batches of prompts of one length."""
    rows: dict[int, Tensor] = {}
    lengths = [len(prompt.tokens) for prompt in prompts]
    forward = Forward(loaded)
    for batch in batches(lengths, BatchBudget.for_device(loaded.device.type, None), may_pad=False):

        def keep(part: LogitRows, batch: Sequence[int] = batch) -> None:
            rows.update((batch[at], row.clone()) for (at, _), row in zip(*part, strict=True))

        members = padded([prompts[number] for number in batch])
        forward.read(members, [last_position(prompt) for prompt in members], keep)
    return [rows[number] for number in range(len(prompts))]
