"""How a model goes on with a text."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.printable import Printable
from gptrace.record.model import ModelInfo
from gptrace.record.tokens import Prompt, Token
from gptrace.record.trace import FlowStep, OpCall


@dataclass(frozen=True, slots=True)
class GenerationStep:
    """The shapes of one step: the main line, and the attention of the first layer where it can be seen.

    `cached` is how many tokens' keys and values were there already.
    """

    cached: int
    flow: tuple[FlowStep, ...]
    attention: OpCall | None
    token: Token


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """The continuation of one prompt.

    `text` leaves out the end-of-text token and what follows a stop; it is None where there is no tokenizer.
    `stopped_by` is "max_new_tokens", "end_of_text" or "stop". `steps` are there where they were traced.
    """

    index: int
    prompt: Prompt
    tokens: tuple[Token, ...]
    text: str | None
    stopped_by: str
    steps: tuple[GenerationStep, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How the next token is picked, and when that ends. Temperature 0 is greedy."""

    max_new_tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    stop: tuple[str, ...]
    cache: bool


@dataclass(frozen=True, slots=True)
class Generation(Printable):
    """The continuations of prompts; `seconds` is the time of the steps alone."""

    versions: dict[str, str]
    model: ModelInfo
    settings: GenerationSettings
    results: tuple[GenerationResult, ...]
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
