"""What a model says comes next."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.printable import Printable
from gptrace.record.model import ModelInfo
from gptrace.record.tokens import Prompt, Token


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible next token: `log_probability` is natural, `rank` starts at 1."""

    rank: int
    token: Token
    logit: float
    probability: float
    log_probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The candidates for what follows `position` of prompt number `input`."""

    input: int
    position: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class TopKResult:
    """The candidates for the token after one prompt."""

    index: int
    prompt: Prompt
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class TopK(Printable):
    """The next tokens of each prompt."""

    versions: dict[str, str]
    model: ModelInfo
    k: int
    temperature: float
    results: tuple[TopKResult, ...]
    notes: tuple[str, ...] = ()
