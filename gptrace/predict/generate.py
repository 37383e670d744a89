"""`gptrace generate`: a continuation, token by token: run the model, pick a token, append it, repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from msgspec.structs import force_setattr, replace

from gptrace.errors import ModelCodeError, NotFiniteError
from gptrace.measures import Measures
from gptrace.model.build import LoadedModel
from gptrace.model.decoding_layout import DecodingLayout
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.quiet_torch import torch
from gptrace.predict.batching import BatchBudget
from gptrace.predict.forward import isolated_model
from gptrace.predict.logit_decoder import DeferredLogitDecoder, LogitDecoder
from gptrace.predict.prompt_stream import PromptStream, StreamedPrompt
from gptrace.predict.runner import Runner
from gptrace.predict.sampling import next_id
from gptrace.predict.steps import CacheTrust, Steps, steps_for
from gptrace.record import (
    Generation,
    GenerationResult,
    GenerationSettings,
    GenerationStream,
    OpCall,
    TensorSpec,
    Token,
    Trace,
)
from gptrace.record.generate import GenerationStep, StoppedBy
from gptrace.record.trace import FlowStep, Shape
from gptrace.text.incremental_text import IncrementalText
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer, end_ids
from gptrace.tracing.model_facts import model_info, versions
from gptrace.tracing.one_at_a_time import one_at_a_time
from gptrace.tracing.watching import record_trace

Tensor = torch.Tensor
Shaped = TypeVar("Shaped", TensorSpec, FlowStep)
_NO_TOKEN = Token(0, None, None)  # until one is picked


class Listener(Protocol):
    """An object that follows a generation: it gets each prompt before its run, and each piece of text."""

    def begin(self, head: Generation, prompt: Prompt) -> None:
        """Take the prompt that runs next; `head` is the report without results."""
        ...

    def text(self, piece: str) -> None:
        """Take the next piece of text; it consists of whole characters."""
        ...


def run_generate(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: PromptStream,
    settings: GenerationSettings,
    *,
    context_length: int | None,
    trace: bool = False,
    listener: Listener | None = None,
) -> GenerationStream:
    """Continue each prompt. `trace` records the shapes of each step, for which attention runs unfused."""
    deferred = DeferredLogitDecoder(loaded, tokenizer)
    generator = _Generator(loaded, tokenizer, settings, deferred, context_length, trace)
    start = time.perf_counter()

    def report(results: Iterator[GenerationResult]) -> GenerationStream:
        return GenerationStream(
            versions=versions(),
            model=model_info(loaded, deferred.weights),
            settings=settings,
            results=results,
            seconds=time.perf_counter() - start,
            notes=(*deferred.notes, *generator.trust.notes),
        )

    if listener is not None:
        generator.listener, generator.head = listener, lambda: report(iter(generator.done)).whole()
    results = generator.results(prompts, BatchBudget.for_device(loaded.device.type, 1), may_pad=False)
    stream = report(results)

    def timed() -> Iterator[GenerationResult]:
        yield from results
        last = report(results)
        force_setattr(stream, "seconds", last.seconds)
        force_setattr(stream, "notes", last.notes)

    force_setattr(stream, "results", timed())
    return stream


class _Generator(Runner[GenerationResult]):
    """Continues prompts with one model and one way of picking tokens."""

    bytes_per_token = 16

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, settings: GenerationSettings,
        deferred: DeferredLogitDecoder, context_length: int | None, trace: bool,
    ) -> None:  # fmt: skip
        self._loaded, self._tokenizer, self._settings, self.deferred = loaded, tokenizer, settings, deferred
        self._context_length, self._trace = context_length, trace
        self.trust = CacheTrust()
        self._layout = DecodingLayout()
        self.listener: Listener | None = None
        self.head: Callable[[], Generation] | None = None
        self.done: list[GenerationResult] = []  # with a listener, which gets them
        # The first step of each kind, whose axis names are proven: (has a cache, is beyond the context).
        self._first_steps: dict[tuple[bool, bool], GenerationStep] = {}

    def problem_result(self, streamed: StreamedPrompt) -> GenerationResult:
        prompt = streamed.prompt
        return GenerationResult(
            streamed.index, prompt.text, prompt.ids, (), None, "error", (), (),
            streamed.problem, streamed.extra,
        )  # fmt: skip

    def run_batch(self, batch: list[StreamedPrompt]) -> list[GenerationResult]:
        (streamed,) = batch
        if self.listener is None or self.head is None:
            return [self.run(streamed, lambda piece: None)]
        self.listener.begin(self.head(), streamed.prompt)
        self.done.append(self.run(streamed, self.listener.text))
        return self.done[-1:]

    def run(self, streamed: StreamedPrompt, emit: Callable[[str], None]) -> GenerationResult:
        """Continue one prompt, and `emit` each piece of its text."""
        settings, prompt = self._settings, streamed.prompt
        ids, new, traced = list(prompt.ids), [], []
        capacity = len(ids) + settings.max_new_tokens
        text = IncrementalText(self._tokenizer, prompt.tokens, settings.stop)
        generator = torch.Generator().manual_seed(settings.seed % (1 << 64))
        stopped_by: StoppedBy = "max_new_tokens"
        steps = steps_for(
            isolated_model(self._loaded, fused=not self._trace), self._context_length, capacity,
            self.trust, self._layout, use_cache=settings.cache, every_position=self._trace,
        )  # fmt: skip
        for _ in range(settings.max_new_tokens):
            logits, step = self._checked_step(steps, ids)
            decoder = self.deferred.decoder_for(logits[None], prompt)
            token = decoder.tokenizer.token(self._next_id(logits[: decoder.token_count], generator, ids))
            ids.append(token.id)
            new.append(token)
            if step is not None:
                traced.append(replace(step, token=token))
            if token.id in self._end_ids(decoder):
                stopped_by = "end_of_text"
                break
            emit(text.add(token))
            if text.has_stopped:
                stopped_by = "stop"
                break
        emit(text.rest())
        displayable = self.deferred.displayable(prompt)
        new_text = None if any(token.bytes is None for token in new) else text.text
        return GenerationResult(
            streamed.index, displayable.text, displayable.ids, tuple(token.id for token in new), new_text,
            stopped_by, tuple(new), tuple(traced), extra=streamed.extra,
        )  # fmt: skip

    def _next_id(self, logits: Tensor, generator: torch.Generator, ids: Sequence[int]) -> int:
        """Pick the next token by its logits (V,); a NotFiniteError holds the ids that the model had got."""
        settings = self._settings
        try:
            return next_id(
                logits, generator, temperature=settings.temperature, top_k=settings.top_k,
                top_p=settings.top_p,
            )  # fmt: skip
        except NotFiniteError as error:
            error.ids = tuple(ids[-(self._context_length or 0) :])
            raise

    def _checked_step(self, steps: Steps, ids: Sequence[int]) -> tuple[Tensor, GenerationStep | None]:
        """Run one step, and once more without a cache where the model's own fails."""
        try:
            logits, step = self._run_step(steps, ids)
        except ModelCodeError as error:
            if not steps.give_up_cache(error):
                raise
        else:
            if not steps.has_failed(ids, logits):
                return logits, step
        return self._run_step(steps, ids)

    def _run_step(self, steps: Steps, ids: Sequence[int]) -> tuple[Tensor, GenerationStep | None]:
        """Run one step; return its logits (V,), and its shapes where steps are traced."""
        if not self._trace:
            return steps.logits(ids), None
        is_beyond = len(ids) > (self._context_length or len(ids))
        cached = steps.usable(ids)
        kind = (cached > 0, is_beyond)
        first = self._first_steps.get(kind)
        # The axes of all steps of a kind have the same names, which are proven once.
        architecture = steps.architecture(ids) if first is None else None
        module = steps.loaded.module
        recording = record_trace(module, architecture, measures=Measures(ops=True))
        with interrupts_held(), one_at_a_time(module), recording as trace, interrupts_allowed():
            logits = steps.logits(ids)
        attention = _first_attention(trace)
        lengths = _lengths(attention)
        known: int | None = cached
        if steps.manages_cache:  # a cache of the last tokens alone holds fewer than have been seen
            new = len(ids) - cached
            known = cached if lengths is None else max(0, min(cached, lengths.keys - new))
        else:  # a model of the user's own keeps its cache where nobody else sees it; its attention shows it
            seen = min(len(ids), self._context_length or len(ids))
            known = 0 if lengths == (seen, seen) else None
        step = GenerationStep(
            cached=known, flow=trace.flow, logits=_logits_shape(trace, len(logits)), attention=attention,
            token=_NO_TOKEN,
        )  # fmt: skip
        if first is not None:
            return logits, _with_axis_names(step, first)
        self._first_steps[kind] = step
        return logits, step

    def _end_ids(self, decoder: LogitDecoder) -> frozenset[int]:
        """Return the ids that end a text."""
        module: Any = self._loaded.module
        if is_hugging_face(module):
            config = getattr(module, "generation_config", None) or module.config
            ends = getattr(config, "eos_token_id", None)
            return frozenset([ends] if isinstance(ends, int) else ends or ())
        return end_ids(decoder.tokenizer)


def _with_axis_names(step: GenerationStep, first: GenerationStep) -> GenerationStep:
    """Return a step with the axis names of the first step of its kind."""
    attention = step.attention
    if attention is not None and first.attention is not None:
        inputs = tuple(map(_named, attention.inputs, first.attention.inputs))
        outputs = tuple(map(_named, attention.outputs, first.attention.outputs))
        attention = replace(attention, inputs=inputs, outputs=outputs)
    named = {flow_step.at: flow_step for flow_step in first.flow}
    flow = tuple(_named(flow_step, named.get(flow_step.at, flow_step)) for flow_step in step.flow)
    return replace(step, flow=flow, attention=attention)


def _named(shaped: Shaped, first: Shaped) -> Shaped:
    """Return a shape with the axis names of another one; an axis without a name is its own size."""
    if len(shaped.shape) != len(first.shape):
        return shaped
    axes = zip(shaped.shape, first.shape, first.dims, strict=True)
    return replace(shaped, dims=tuple(str(size) if name == str(old) else name for size, old, name in axes))


def _first_attention(trace: Trace) -> OpCall | None:
    """Return the first product of queries and keys, or the first fused attention.

    A product is known by what becomes of it: softmax gets its shape, and no other product comes between.
    """
    # An operation ran before the call of index `place`; those inside a call before the rest of its parent.
    ops = [(op.place, -call.depth, op) for call in trace.calls for op in call.ops]
    product: OpCall | None = None
    for _, _, op in sorted(ops, key=lambda entry: entry[:2]):
        if op.name == "scaled_dot_product_attention":
            return op
        if op.name in ("matmul", "einsum", "bmm", "baddbmm"):
            is_pair = op.name == "matmul" and [len(spec.shape) for spec in op.inputs] == [4, 4]
            product = op if is_pair else None
        elif op.name == "softmax" and product is not None and op.inputs:
            # A sink for each head adds a column to the scores.
            scores, weighed = product.outputs[0].shape, op.inputs[0].shape
            if len(weighed) == 4 and weighed[:3] == scores[:3] and weighed[3] - scores[3] in (0, 1):
                return product
    return None


class _Lengths(NamedTuple):
    """How many queries and keys attention got."""

    queries: int
    keys: int


def _lengths(attention: OpCall | None) -> _Lengths | None:
    """Return the lengths of an attention, where it is known."""
    if attention is None or len(attention.inputs) < 2:
        return None
    queries, keys = attention.inputs[0].shape, attention.inputs[1].shape
    is_fused = attention.name == "scaled_dot_product_attention"
    return _Lengths(queries[-2], keys[-2 if is_fused else -1])


def _logits_shape(trace: Trace, token_count: int) -> Shape | None:
    """Return the shape of the first output of the model that has a logit for each token, if one has."""
    outputs = trace.calls[0].outputs if trace.calls else ()
    return next((spec.shape for spec in outputs if spec.shape[-1:] == (token_count,)), None)
