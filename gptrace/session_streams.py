"""The methods of a Session that answer prompts without end: losses, continuations and layers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from gptrace import record
from gptrace.model.on_demand import ModelOnDemand
from gptrace.predict import validation
from gptrace.text.lines import PromptLines


class SessionStreams(ModelOnDemand):
    """Methods of Session that return an iterator of results, in constant memory.

    The prompts are those of `topk_stream`. A prompt that cannot be run has a `problem` as its result.
    """

    def loss_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True, stride: int | None = None,
        batch_size: int | None = None,
    ) -> record.LossStream:  # fmt: skip
        """Return the same as `loss` for a stream of prompts; the arguments are those of `loss`.

        >>> from gptrace import Session
        >>> stream = Session("tiny").loss_stream(["Hello, I am", ""])
        >>> [result.problem is None for result in stream.results]
        [True, False]
        """
        validation.check_batch_size(batch_size)
        self.check_has_numbers("predict")
        context_length = self.limits.context_length
        if stride is not None:
            validation.resolve_stride(stride, sys.maxsize if context_length is None else context_length)
        loaded = self._load()
        from gptrace.predict.loss import run_loss
        from gptrace.predict.prompt_stream import PromptStream

        stream = PromptStream.reading(
            record.LossResult,
            prompts,
            self.tokenizer,
            self.limits,
            special=special,
            allow_windows=True,
        )
        return run_loss(
            loaded, self.tokenizer, stream, context_length=context_length, stride=stride,
            batch_size=batch_size,
        )  # fmt: skip

    def generate_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True,
        max_new_tokens: int = validation.DEFAULT_NEW_TOKENS, temperature: float | None = None,
        top_k: int | None = None, top_p: float | None = None, stop: str | Sequence[str] = (),
        seed: int | None = None, cache: bool = True, trace: bool = False,
    ) -> record.GenerationStream:  # fmt: skip
        """Return the same as `generate` for a stream of prompts, as `topk_stream` takes them.

        >>> from gptrace import Session
        >>> stream = Session("tiny").generate_stream(["Hello, I am", ""], max_new_tokens=2)
        >>> [result.text for result in stream.results]
        [' RAND rises', None]
        """
        settings = validation.generation_settings(
            max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
            seed=self.seed if seed is None else seed, stop=stop, cache=cache,
        )  # fmt: skip
        self.check_has_numbers("generate")
        loaded = self._load()
        from gptrace.predict.generate import run_generate
        from gptrace.predict.prompt_stream import PromptStream

        stream = PromptStream.reading(
            record.GenerationResult,
            prompts,
            self.tokenizer,
            self.limits,
            special=special,
            allow_windows=True,
        )
        return run_generate(
            loaded, self.tokenizer, stream, settings, context_length=self.limits.context_length, trace=trace
        )

    def lens_stream(
        self, prompts: Iterable[object] | PromptLines, *, special: bool = True, truncate: bool = False,
        k: int | None = None, head: str | None = None,
    ) -> record.LensStream:  # fmt: skip
        """Return the same as `lens` for a stream of prompts, as `topk_stream` takes them.

        >>> from gptrace import Session
        >>> stream = Session("tiny").lens_stream(["Hello, I am", ""])
        >>> [len(result.layers) for result in stream.results]
        [2, 0]
        """
        self.check_has_numbers("predict")
        self._check_k(k)
        loaded = self._load()
        from gptrace.predict.lens import run_lens
        from gptrace.predict.prompt_stream import PromptStream

        stream = PromptStream.reading(
            record.LensResult,
            prompts,
            self.tokenizer,
            self.limits,
            special=special,
            truncate=truncate,
        )
        return run_lens(loaded, self.tokenizer, stream, k=k, head=head)

    def _check_k(self, k: int | None) -> None:
        vocab_size = self.limits.vocab_size
        if vocab_size is not None:
            validation.resolve_k(k, vocab_size - self.tokenizer.padding_rows(vocab_size))
