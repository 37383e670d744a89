"""How logits are read: with which tokenizer's words, how many candidates, and what has to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Reads rows of logits (R, V) in the words of a tokenizer that fits them.

    `notes` are what has to be said, `padding_rows` how many logits stand for no token.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        vocab_size: int,
        *,
        k: int | None = None,
        temperature: float = 1.0,
        given_as_ids: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.tokenizer = tokenizer
        self.temperature = temperature
        if isinstance(tokenizer, NoTokenizer):
            self.notes.append(f"{tokenizer.description()}: ids are shown without text")
        self.fits = tokenizer.matches_vocab_size(vocab_size)
        if not self.fits:
            said = f"the model gives {vocab_size:,} logits and was not made for {tokenizer.description()}"
            read = "" if given_as_ids else ", which read the text"
            self.notes.append(f"{said}{read}: ids are shown without text")
            self.tokenizer = NoTokenizer("the model")
        self.padding_rows = self.tokenizer.padding_rows(vocab_size)
        self.count = vocab_size - self.padding_rows
        self.k = resolve_k(k, self.count)

    def shown(self, prompt: Prompt) -> Prompt:
        """Return a prompt as the tokenizer can show it."""
        return prompt if self.fits else without_text(prompt)

    def candidates(
        self, logits: Tensor, chosen: Sequence[int] = ()
    ) -> list[tuple[tuple[Candidate, ...], tuple[Candidate, ...]]]:
        """Return for each row its candidates, and those of the `chosen` ids."""
        return candidates_of_rows(logits[:, : self.count], self.k, self.temperature, self.tokenizer, chosen)


class DeferredLogitDecoder:
    """The reading of a model's logits, made when the first of them are there: only they tell how many.

    `weights` is what a report says of them, known for sure from then on.
    """

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, *, k: int | None = None, temperature: float = 1.0
    ) -> None:
        self.made: LogitDecoder | None = None
        self.weights = loaded.weights
        self._loaded, self._tokenizer, self._k, self._temperature = loaded, tokenizer, k, temperature

    def of(self, logits: Tensor, prompt: Prompt) -> LogitDecoder:
        """Return the reading that fits logits (R, V) after a prompt."""
        if self.made is None:
            self.made = LogitDecoder(
                self._tokenizer, logits.shape[-1], k=self._k, temperature=self._temperature,
                given_as_ids=prompt.given_as_ids,
            )  # fmt: skip
            self.weights = weights_info(self._loaded, logits, self.made.padding_rows)
        return self.made

    def shown(self, prompt: Prompt) -> Prompt:
        """Return a prompt as the tokenizer that fits the model can show it."""
        return prompt if self.made is None else self.made.shown(prompt)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said."""
        return () if self.made is None else tuple(self.made.notes)


def weights_info(loaded: LoadedModel, logits: Tensor | None, padding_rows: int) -> dict[str, Any]:
    """Return what a report says of the weights; where the logits are NaN, whether the weights are why."""
    said = loaded.weights | ({"padding_rows": padding_rows} if padding_rows else {})
    if logits is None or logits.is_meta or not logits.isnan().any():
        return said
    spoiled = [name for name, parameter in loaded.module.named_parameters() if parameter.isnan().any()]
    return said | {"nan": spoiled}
