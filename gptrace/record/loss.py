"""How well a model expects a text: token by token, and as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.printable import Printable
from gptrace.record.model import ModelInfo
from gptrace.record.tokens import Prompt, Token


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token of a text, and what the model gave it before it came: nothing for the first one.

    `log_probability` is natural; its negative is the token's surprisal in nats. `rank` is its place among all
    tokens, from 1.
    """

    token: Token
    log_probability: float | None = None
    probability: float | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class LossResult:
    """The loss of one prompt: the mean surprisal of its predicted tokens in nats, and its exponential.

    Both are None for a prompt of one token. `windows` is how many passes the text took.
    """

    index: int
    prompt: Prompt
    tokens: tuple[ScoredToken, ...]
    loss: float | None
    perplexity: float | None
    windows: int = 1


@dataclass(frozen=True, slots=True)
class LossTotal:
    """The loss over all predicted tokens of all prompts, each token counting once."""

    tokens: int
    loss: float | None
    perplexity: float | None


@dataclass(frozen=True, slots=True)
class Loss(Printable):
    """The losses of prompts. `uniform` is that of a model that knows nothing: ln(vocab_size).

    `stride` is by how many tokens the window moves over a text that is longer than the context.
    """

    versions: dict[str, str]
    model: ModelInfo
    results: tuple[LossResult, ...]
    total: LossTotal
    uniform: float | None
    stride: int | None = None
    notes: tuple[str, ...] = ()
