"""Answers about a text → sheets: its tokens by how much they surprised, its continuation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from gptrace.record import (
    Generation,
    GenerationResult,
    GenerationStep,
    Loss,
    LossResult,
    OpCall,
    Prompt,
    ScoredToken,
    Token,
)
from gptrace.report.answer_facts import ending, loss_text
from gptrace.report.safe_text import token_label, visible
from gptrace.report.shapes import bracketed
from gptrace.report.sheet import Column, Sheet
from gptrace.report.sheets import percent, plain_hex, prompt_title, text_of
from gptrace.report.view import View

# A probability from which on a token looks like that; the last one is for all below.
_STYLES = ((0.5, "green"), (0.1, "cyan"), (0.01, ""), (0.0001, "yellow"), (0.0, "red"))
_MOST_ROWS = 64
_WORST = 10


def loss_sheet(result: LossResult, view: View) -> Sheet:
    """The tokens of a text and what the model gave them; of a long one those that surprised most."""
    columns = [
        Column("position", "Position", is_number=True),
        Column("token", "Token", token_label, style="bold"),
        Column("id", "Id", is_number=True, keep=1),
        Column("probability", "Probability", _given, is_number=True, style_of=_style_of),
        Column("rank", "Rank", lambda rank: "–" if rank is None else f"{rank:,}", is_number=True),
        Column("surprisal", "Surprisal", _nats, is_number=True),
    ]
    rows = [
        (position, one.token, one.token.id, one.probability, one.rank, one.log_probability)
        for position, one in enumerate(result.tokens)
    ]
    lines = [_colored(result.tokens), _legend()] if view.color and len(rows) > 1 else []
    if len(rows) > _MOST_ROWS and not view.full:
        rows = sorted(rows[1:], key=lambda row: (row[5] or 0.0, row[0]))[:_WORST]
        said = f"the {_WORST} of {len(result.tokens):,} tokens that surprised most; --full shows all"
        lines.append(Text(said, style="dim"))
    title = f"{prompt_title(result.prompt)}: {loss_text(result.loss, result.perplexity)}"
    return Sheet(columns, rows, title, lines)


def flat_loss(loss: Loss) -> Sheet:
    """One row for each token of each text, for programs."""
    keys = ("index", "position", "id", "token", "bytes", "log_probability", "probability", "rank")
    rows = [
        (
            result.index, position, one.token.id, one.token.text, plain_hex(one.token),
            *("" if value is None else value for value in (one.log_probability, one.probability, one.rank)),
        )
        for result in loss.results
        for position, one in enumerate(result.tokens)
    ]  # fmt: skip
    return Sheet([Column(key, key) for key in keys], rows)


def generation_sheet(result: GenerationResult) -> Sheet:
    """A text and its continuation; the shapes of each step, where they were traced."""
    lines = [continued(result.prompt, text_of_tokens(result)), ending(result)]
    if not result.steps:
        return Sheet((), (), lines=lines)
    named = _attention(result.steps[-1].attention, "dims")
    if named != _attention(result.steps[-1].attention):
        lines.append(Text(f"queries @ keys: {named}"))
    columns = [
        Column("step", "Step", is_number=True),
        Column("cached", "Cached", is_number=True, keep=2),
        Column("input", "Input", lambda step: _shape(step, 0)),
        Column("attention", "Queries @ keys", _attention),
        Column("logits", "Logits", lambda step: _shape(step, -1), keep=1),
        Column("token", "Next token", token_label, style="bold"),
    ]
    rows = [
        (number, step.cached, step, step.attention, step, step.token)
        for number, step in enumerate(result.steps, start=1)
    ]
    return Sheet(columns, rows, lines=lines)


def flat_generation(generation: Generation) -> Sheet:
    """One row for each new token, for programs."""
    keys = ("index", "prompt", "step", "id", "token", "bytes")
    rows = [
        (result.index, text_of(result.prompt), step, token.id, token.text, plain_hex(token))
        for result in generation.results
        for step, token in enumerate(result.tokens, start=1)
    ]
    return Sheet([Column(key, key) for key in keys], rows)


def continued(prompt: Prompt, text: str) -> Text:
    """Return a prompt and what follows it, as one text."""
    return Text.assemble((before(prompt), "dim"), (readable(text), "bold"))


def before(prompt: Prompt) -> str:
    """Return what stands before a continuation: the prompt's text, or its ids."""
    return readable(prompt.text) if prompt.text is not None else f"ids {' '.join(map(str, prompt.ids))} "


def text_of_tokens(result: GenerationResult) -> str:
    """Return the continuation, or its ids where there is no text."""
    return result.text if result.text is not None else " ".join(str(token.id) for token in result.tokens)


def readable(text: str) -> str:
    """Return safe text whose line breaks are line breaks."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _shape(step: GenerationStep, at: int) -> str:
    return bracketed(step.flow[at].shape) if step.flow else "–"


def _attention(op: OpCall | None, fact: str = "shape") -> str:
    """Write the first product of attention, in sizes or in the names of its axes."""
    if op is None:
        return "–"
    sides = " @ ".join(bracketed(getattr(spec, fact)) for spec in op.inputs[:2])
    return f"{sides} → {bracketed(getattr(op.outputs[0], fact))}" if op.outputs else sides


def _given(probability: float | None) -> str:
    return "–" if probability is None else percent(probability)


def _nats(log_probability: float | None) -> str:
    return "–" if log_probability is None else f"{-log_probability:.4f}"


def _style_of(probability: float | None) -> str:
    if probability is None:
        return "dim"
    return next((style for least, style in _STYLES if probability >= least), "")


def _colored(tokens: Sequence[ScoredToken]) -> Text:
    """Return the text, each token in the colour of its probability."""
    line = Text()
    waiting: list[ScoredToken] = []  # parts of a character that is not whole yet
    for one in tokens:
        waiting.append(one)
        text = _joined([part.token for part in waiting])
        if text is not None or one is tokens[-1]:
            known = [part.probability for part in waiting if part.probability is not None]
            style = _style_of(min(known, default=None))
            line.append(readable(text if text is not None else "�"), style=style)
            waiting = []
    return line


def _joined(tokens: Sequence[Token]) -> str | None:
    if any(token.bytes is None for token in tokens):
        return "".join(token.text if token.text is not None else f" {token.id}" for token in tokens)
    try:
        return b"".join(token.bytes or b"" for token in tokens).decode()
    except UnicodeDecodeError:
        return None


def _legend() -> Text:
    line = Text("probability ", style="dim")
    parts: list[Any] = []
    for least, style in _STYLES:
        said = f"≥ {100 * least:g} %" if least else "less"
        parts.append((said, style or "default"))
    return line + Text.assemble(*[piece for part in parts for piece in (part, "  ")])
