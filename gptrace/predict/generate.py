"""`gptrace generate`: one token after the other, each read by the model before the next is picked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from gptrace.measures import Measures
from gptrace.model.architecture import Architecture
from gptrace.model.build import LoadedModel
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.predict.forward import batch_of, guarded
from gptrace.predict.reading import FirstReading
from gptrace.predict.sampling import next_id
from gptrace.predict.steps import steps_of
from gptrace.record import (
    Generation,
    GenerationResult,
    GenerationSettings,
    GenerationStep,
    OpCall,
    Prompt,
    Token,
    Trace,
)
from gptrace.text.encoding import END_OF_TEXT_ID
from gptrace.text.pieces import Pieces
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions
from gptrace.tracing.watching import watch_as


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
    reading = FirstReading(loaded, tokenizer)
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


def _nobody(piece: str) -> None: ...


class _Generating:
    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, settings: GenerationSettings, reading: FirstReading,
        context_length: int | None, trace: bool,
    ) -> None:  # fmt: skip
        self._loaded, self._tokenizer, self._settings, self._reading = loaded, tokenizer, settings, reading
        self._context_length, self._trace = context_length, trace

    def run(self, index: int, prompt: Prompt, say: Callable[[str], None]) -> GenerationResult:
        """Continue one prompt, and `say` each piece of text that comes of it."""
        settings = self._settings
        ids, new, noted = list(prompt.ids), [], []
        capacity = len(ids) + settings.max_new_tokens
        pieces = Pieces(settings.stop)
        generator = torch.Generator().manual_seed(settings.seed % (1 << 64))
        stopped_by = "max_new_tokens"
        with guarded(self._loaded, batch_of(self._loaded, [prompt]), rows=1, fused=not self._trace):
            steps = steps_of(
                self._loaded, self._context_length, capacity, use_cache=settings.cache, whole=self._trace
            )
            for _ in range(settings.max_new_tokens):
                cached = steps.cached
                with self._watched(steps.architecture(ids)) as traced:
                    logits = steps.logits(ids)
                reading = self._reading.of(logits[None], prompt)
                picked = next_id(
                    logits[: reading.count], generator, temperature=settings.temperature,
                    top_k=settings.top_k, top_p=settings.top_p,
                )  # fmt: skip
                token = reading.tokenizer.token(picked)
                ids.append(picked)
                new.append(token)
                if traced is not None:
                    noted.append(_step(traced, cached, token))
                if picked in self._ends():
                    stopped_by = "end_of_text"
                    break
                say(pieces.add(token))
                if pieces.has_stopped:
                    stopped_by = "stop"
                    break
            say(pieces.rest())
        shown = self._reading.shown(prompt)
        return GenerationResult(index, shown, tuple(new), _text(pieces, new), stopped_by, tuple(noted))

    @contextmanager
    def _watched(self, architecture: Architecture | None) -> Iterator[Trace | None]:
        if not self._trace:
            yield None
            return
        with watch_as(self._loaded.module, architecture, measures=Measures(ops=True)) as trace:
            yield trace

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


def _text(pieces: Pieces, tokens: Sequence[Token]) -> str | None:
    return None if any(token.bytes is None for token in tokens) else pieces.text


def _step(trace: Trace, cached: int, token: Token) -> GenerationStep:
    return GenerationStep(cached, trace.flow, _first_attention(trace), token)


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
