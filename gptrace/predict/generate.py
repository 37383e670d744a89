"""`gptrace generate`: one token after the other, each read by the model before the next is picked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec.structs import replace

from gptrace.measures import Measures
from gptrace.model.build import LoadedModel
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.predict.forward import isolated_model
from gptrace.predict.logit_decoder import DeferredLogitDecoder
from gptrace.predict.sampling import next_id
from gptrace.predict.steps import Steps, steps_of
from gptrace.record import (
    Generation,
    GenerationResult,
    GenerationSettings,
    GenerationStep,
    OpCall,
    TensorSpec,
    Token,
    Trace,
)
from gptrace.record.generate import StoppedBy
from gptrace.text.encoding import END_OF_TEXT_ID
from gptrace.text.incremental_text import IncrementalText
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions
from gptrace.tracing.watching import record_trace

Tensor = torch.Tensor


class Listener(Protocol):
    """Somebody who wants to read along: told of each prompt before it is run, and of each piece of text."""

    def begin(self, head: Generation, prompt: Prompt) -> None:
        """Hear which prompt comes now; `head` is the report without results."""
        ...

    def text(self, piece: str) -> None:
        """Hear whole characters, as they come."""
        ...


def run_generate(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    settings: GenerationSettings,
    *,
    context_length: int | None,
    trace: bool = False,
    listener: Listener | None = None,
) -> Generation:
    """Continue each prompt. `trace` notes the shapes of each step, with attention written out."""
    reading = DeferredLogitDecoder(loaded, tokenizer)
    generating = _Generating(loaded, tokenizer, settings, reading, context_length, trace)
    results: list[GenerationResult] = []
    start = time.perf_counter()

    def report() -> Generation:
        return Generation(
            versions=versions(),
            model=model_info(loaded.module, loaded.name, reading.weights),
            settings=settings,
            results=tuple(results),
            seconds=time.perf_counter() - start,
            notes=reading.notes,
        )

    for index, prompt in enumerate(prompts):
        if listener is not None:
            listener.begin(report(), prompt)
        results.append(generating.run(index, prompt, listener.text if listener is not None else _nobody))
    return report()


_NO_TOKEN = Token(0, None, None)  # until one is picked


def _nobody(piece: str) -> None: ...


class _Generating:
    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, settings: GenerationSettings,
        reading: DeferredLogitDecoder, context_length: int | None, trace: bool,
    ) -> None:  # fmt: skip
        self._loaded, self._tokenizer, self._settings, self._reading = loaded, tokenizer, settings, reading
        self._context_length, self._trace = context_length, trace
        self._named: dict[tuple[bool, bool], GenerationStep] = {}

    def run(self, index: int, prompt: Prompt, say: Callable[[str], None]) -> GenerationResult:
        """Continue one prompt, and `say` each piece of text that comes of it."""
        settings = self._settings
        ids, new, noted = list(prompt.ids), [], []
        capacity = len(ids) + settings.max_new_tokens
        pieces = IncrementalText(settings.stop)
        generator = torch.Generator().manual_seed(settings.seed % (1 << 64))
        stopped_by: StoppedBy = "max_new_tokens"
        steps = steps_of(
            isolated_model(self._loaded, fused=not self._trace), self._context_length, capacity,
            use_cache=settings.cache, whole=self._trace,
        )  # fmt: skip
        for _ in range(settings.max_new_tokens):
            logits, seen = self._stepped(steps, ids)
            reading = self._reading.of(logits[None], prompt)
            picked = next_id(
                logits[: reading.count], generator, temperature=settings.temperature,
                top_k=settings.top_k, top_p=settings.top_p,
            )  # fmt: skip
            token = reading.tokenizer.token(picked)
            ids.append(picked)
            new.append(token)
            if seen is not None:
                noted.append(replace(seen, token=token))
            if picked in self._ends():
                stopped_by = "end_of_text"
                break
            say(pieces.add(token))
            if pieces.has_stopped:
                stopped_by = "stop"
                break
        say(pieces.rest())
        shown = self._reading.shown(prompt)
        return GenerationResult(
            index, shown.text, shown.ids, tuple(token.id for token in new), _text(pieces, new), stopped_by,
            tuple(new), tuple(noted),
        )  # fmt: skip

    def _stepped(self, steps: Steps, ids: Sequence[int]) -> tuple[Tensor, GenerationStep | None]:
        """Run one step; return its logits (V,), and its shapes where they are wanted."""
        if not self._trace:
            return steps.logits(ids), None
        cached = steps.cached
        kind = (cached > 0, len(ids) > (self._context_length or len(ids)))
        like = self._named.get(kind)
        # The axes of all steps of a kind have the same names: they are proven once.
        architecture = steps.architecture(ids) if like is None else None
        with record_trace(steps.loaded.module, architecture, measures=Measures(ops=True)) as trace:
            logits = steps.logits(ids)
        seen = GenerationStep(
            cached=cached, flow=trace.flow, attention=_first_attention(trace), token=_NO_TOKEN
        )
        if like is None:
            self._named[kind] = seen
        return logits, seen if like is None else _named_like(seen, like)

    def _ends(self) -> frozenset[int]:
        """Return the ids that end a text."""
        made = self._reading.made
        module: Any = self._loaded.module
        if is_hugging_face(module):
            told = getattr(module, "generation_config", None) or module.config
            ends = getattr(told, "eos_token_id", None)
            return frozenset([ends] if isinstance(ends, int) else ends or ())
        return frozenset(
            [END_OF_TEXT_ID] if made is not None and made.fits and made.count > END_OF_TEXT_ID else []
        )


def _text(pieces: IncrementalText, tokens: Sequence[Token]) -> str | None:
    return None if any(token.bytes is None for token in tokens) else pieces.text


def _named_like(step: GenerationStep, like: GenerationStep) -> GenerationStep:
    """Give the axes of a step the names that they have in another of its kind."""
    attention = step.attention
    if attention is not None and like.attention is not None:
        attention = replace(
            attention,
            inputs=tuple(map(_specs_like, attention.inputs, like.attention.inputs)),
            outputs=tuple(map(_specs_like, attention.outputs, like.attention.outputs)),
        )
    known = {one.at: one.dims for one in like.flow}
    flow = tuple(replace(one, dims=known.get(one.at, one.dims)) for one in step.flow)
    return replace(step, flow=flow, attention=attention)


def _specs_like(spec: TensorSpec, like: TensorSpec) -> TensorSpec:
    return replace(spec, dims=like.dims) if len(spec.shape) == len(like.shape) else spec


def _first_attention(trace: Trace) -> OpCall | None:
    """Return the product of queries and keys that ran first, or the fused attention."""
    for call in trace.calls:
        for op in call.ops:
            shapes = [spec.shape for spec in op.inputs]
            if op.name == "scaled_dot_product_attention":
                return op
            if op.name == "matmul" and len(shapes) == 2 and all(len(shape) == 4 for shape in shapes):
                return op
    return None
