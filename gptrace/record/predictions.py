"""What a model says comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

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
    """The candidates for what follows `position` of prompt number `input`; `chosen` are those asked for."""

    input: int
    position: int
    candidates: tuple[Candidate, ...]
    chosen: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one prompt of a stream has no result: what was wrong, with which value, and what to do."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class TopKResult:
    """The candidates for the token after one prompt; `chosen` are those that were asked for by name.

    `positions` has the same for each position of the prompt, where that was asked for. `problem` tells why a
    prompt of a stream has no result; its `prompt` has no tokens then. `extra` are the other keys of the JSON
    line that it came in.
    """

    index: int
    prompt: Prompt
    candidates: tuple[Candidate, ...] = ()
    chosen: tuple[Candidate, ...] = ()
    positions: tuple[Prediction, ...] = ()
    problem: Problem | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopK(Printable):
    """The next tokens of each prompt."""

    versions: dict[str, str]
    model: ModelInfo
    k: int
    temperature: float
    results: tuple[TopKResult, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TopKStream(Printable):
    """The same of a stream: its results come one by one, as they are made, and can be read once."""

    versions: dict[str, str]
    model: ModelInfo
    k: int
    temperature: float
    results: Iterator[TopKResult]
    notes: tuple[str, ...] = ()

    def whole(self) -> TopK:
        """Wait for all results."""
        results = tuple(self.results)
        return TopK(self.versions, self.model, self.k, self.temperature, results, self.notes)

    def head(self) -> TopK:
        """Return what is known before any result."""
        return TopK(self.versions, self.model, self.k, self.temperature, (), self.notes)
