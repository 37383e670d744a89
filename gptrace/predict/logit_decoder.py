"""Logits → candidates: which tokenizer names them, how many there are, and the notes that a report needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from gptrace.model.build import LoadedModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import candidates_of_rows
from gptrace.predict.validation import resolve_k
from gptrace.record import Candidate
from gptrace.text.prompts import Prompt, without_text
from gptrace.text.tokenizer import NoTokenizer, Tokenizer

Tensor = torch.Tensor


class LogitDecoder:
    """Decodes rows of logits (R, V) with a tokenizer, or as bare ids where the tokenizer does not fit them.

    It is made from the first logits (…, V) of a model, which follow `prompt`. The last of the V may only pad
    the vocabulary, which leaves `token_count` of them. `notes` and `weights` are for the report.
    """

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, logits: Tensor, prompt: Prompt, *,
        k: int | None = None, temperature: float = 1.0,
    ) -> None:  # fmt: skip
        vocab_size = logits.shape[-1]
        self.notes: list[str] = []
        self.tokenizer, self.temperature = tokenizer, temperature
        if isinstance(tokenizer, NoTokenizer):
            self.notes.append(f"{tokenizer.description()}: ids are shown without text")
        self.fits_tokenizer = tokenizer.matches_vocab_size(vocab_size)
        if not self.fits_tokenizer:
            reader = "" if prompt.given_as_ids else ", which read the text"
            self.notes.append(
                f"the model gives {vocab_size:,} logits and was not made for {tokenizer.description()}"
                f"{reader}: ids are shown without text"
            )
            self.tokenizer = NoTokenizer("the model")
        padding_rows = self.tokenizer.padding_rows(vocab_size)
        self.token_count = vocab_size - padding_rows
        self.k = resolve_k(k, self.token_count)
        self.weights = loaded.weights | ({"padding_rows": padding_rows} if padding_rows else {})
        if loaded.has_numbers and not logits.is_meta and logits.isnan().any():
            parameters = loaded.module.named_parameters()
            self.weights |= {"nan": [name for name, value in parameters if value.isnan().any()]}

    def displayable(self, prompt: Prompt) -> Prompt:
        """Return a prompt as a report can show it: without text where the tokenizer does not fit."""
        return prompt if self.fits_tokenizer else without_text(prompt)

    def candidates(
        self, logits: Tensor, chosen: Sequence[int] = ()
    ) -> list[tuple[tuple[Candidate, ...], tuple[Candidate, ...]]]:
        """Return the `k` candidates of each row (R, V), and the candidates of the `chosen` ids."""
        logits = logits[:, : self.token_count]
        return candidates_of_rows(logits, self.k, self.temperature, self.tokenizer, chosen)


class DeferredLogitDecoder:
    """The LogitDecoder of a model, made from its first logits: only they tell the size of the vocabulary.

    `decoder` is None until then.
    """

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, *, k: int | None = None, temperature: float = 1.0
    ) -> None:
        self.decoder: LogitDecoder | None = None
        self.loaded = loaded
        self._make = partial(LogitDecoder, loaded, tokenizer, k=k, temperature=temperature)

    def decoder_for(self, logits: Tensor, prompt: Prompt) -> LogitDecoder:
        """Return the decoder of logits (R, V) that follow a prompt."""
        if self.decoder is None:
            self.decoder = self._make(logits, prompt)
        return self.decoder

    def displayable(self, prompt: Prompt) -> Prompt:
        """Return a prompt as a report can show it."""
        return prompt if self.decoder is None else self.decoder.displayable(prompt)

    @property
    def weights(self) -> dict[str, Any]:
        """The facts of the weights for the report, complete when a decoder is made."""
        return self.loaded.weights if self.decoder is None else self.decoder.weights

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes for the report."""
        return () if self.decoder is None else tuple(self.decoder.notes)
