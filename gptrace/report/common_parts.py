"""Parts that several outputs share: the model, the prompts, notes, candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptrace.record import (
    Candidate,
    GenerationResult,
    LensResult,
    LossResult,
    ModelInfo,
    Problem,
    Token,
    TokenizedPrompt,
    TopKResult,
    TracedPrompt,
)
from gptrace.record.writing import to_json
from gptrace.report.parts import Line, Lines, Part, Table, line
from gptrace.report.safe_text import quoted, token_label, token_or_id, visible
from gptrace.report.table_data import Column, TableData
from gptrace.wording import readable_bytes

FactPairs = list[tuple[str, Line]]
FittedPrompt = TracedPrompt | TopKResult
AnyPrompt = FittedPrompt | TokenizedPrompt | LossResult | LensResult

_PROMPTS_SHOWN = 8
_TOKENS_SHOWN = 12
_TITLE_LENGTH = 60  # characters
_BAR_WIDTH = 12  # characters


def model_facts(model: ModelInfo) -> FactPairs:
    """Return the model that ran, its number of parameters, and the origin of its weights."""
    parameters = model.parameters
    text = visible(model.name)
    if model.class_name != model.name:
        text += f" ({visible(model.class_name)})"
    text += f", {parameters.unique:,} parameters"
    if parameters.without_out_head is not None:
        text += f", {parameters.without_out_head:,} without out_head"
    text += f", {readable_bytes(parameters.bytes)} in {model.dtype} on {model.device}"
    facts = [("model", line(text))]
    if model.weights is not None:
        facts.append(("weights", line(weights_text(model.weights))))
    return facts


def weights_text(weights: dict[str, Any]) -> str:
    """Return the origin of the weights in one line, and whether the predictions mean anything.

    They may come from a file that somebody else has written, so any fact may be missing or of another type.
    """
    text = _origin(weights)
    if "padding_rows" in weights:
        text += f"; {weights['padding_rows']} rows that pad the vocabulary are never predicted"
    if isinstance(assumed := weights.get("assumed"), dict):
        pairs = ", ".join(f"{key} {value}" for key, value in assumed.items())
        text += f"; assumed, since the file does not say: {pairs}"
    if weights.get("other_class"):
        text += f"; config.json names the class {weights['other_class']}, but the causal language model"
        text += " of that family was loaded, so the next tokens may mean nothing"
    if isinstance(names := weights.get("nan"), list | tuple) and names:
        subject = str(names[0]) + (f" and {len(names) - 1} more hold" if names[1:] else " holds")
        text += f"; {subject} NaN"
    return visible(text)


def _origin(weights: dict[str, Any]) -> str:
    def fact(name: str) -> str:
        return str(weights.get(name, "?"))

    meaningless = "the next tokens mean nothing"
    match weights.get("source"):
        case "random":
            return (
                f"random, seed {fact('seed')}: {meaningless}; for real weights use --weights pretrained "
                "or --weights PATH"
            )
        case "none":
            return "none: device meta has shapes but no numbers, so there are no next tokens"
        case "pretrained":
            return f"pretrained, {fact('repository')} at revision {fact('revision')[:7]}"
        case "own code":
            call, being, kind = fact("made_by").partition(" being ")
            call, _, name = call.rpartition(", ") if being else (call, "", "")
            text = f"made by {call}"
            if "seed" in weights:
                text += f" with seed {fact('seed')}: where they are random, {meaningless}; for real weights "
                text += "use --weights PATH"
            return text + (f"; {name} is {kind}" if being else "")
        case "hugging_face":
            text = f"from {weights.get('repository') or fact('path')}"
            return text + (f" at revision {fact('revision')[:7]}" if "revision" in weights else "")
        case "file":
            return f"{fact('path')}, {fact('layout')} layout, stored in {fact('dtype')}"
        case _:
            return "as in the model that was passed in"


def temperature_facts(temperature: float) -> FactPairs:
    """Return the temperature where it changes the probabilities."""
    if temperature == 1:
        return []
    return [("softmax", line(f"of the logits divided by the temperature {temperature:g}"))]


def prompt_fact(name: str, tokens: Sequence[Token], padding: int = 0) -> tuple[str, Line]:
    """Return the tokens of a prompt with their ids, the middle of a long one left out."""
    head, tail = tokens, tokens[:0]
    if len(tokens) > _TOKENS_SHOWN:
        head, tail = tokens[: _TOKENS_SHOWN // 2], tokens[-(_TOKENS_SHOWN // 2) :]
    spans = [(f"{len(tokens)} token{'s' if len(tokens) > 1 else ''}: ", "")]
    for position, token in enumerate((*head, *tail)):
        if position == len(head):
            spans.append((f" … {len(tokens) - len(head) - len(tail)} more …", "quiet"))
        spans.append((" " if position else "", ""))
        if token.bytes is not None:
            spans.append((f"{token_label(token)} ", "strong"))
        spans.append((str(token.id), "quiet"))
    if padding:
        spans.append((f" + {padding} padding", ""))
    return name, tuple(spans)


def prompts_left_out(count: int) -> FactPairs:
    """Return how many prompts the header leaves out."""
    return [("", line(f"… {count - _PROMPTS_SHOWN} more prompts"))] if count > _PROMPTS_SHOWN else []


def shown_prompts(count: int) -> range:
    """Return the numbers of the prompts that the header shows."""
    return range(min(count, _PROMPTS_SHOWN))


def fitting_facts(prompts: Sequence[FittedPrompt]) -> FactPairs:
    """Return which prompts were padded or cut to fit the batch and the model."""
    facts: FactPairs = []
    padded = sum(prompt.padding > 0 for prompt in prompts)
    if padded:
        length = max(len(prompt.ids) for prompt in prompts)
        text = f"{padded} of {len(prompts)} prompts, on the right, to {length} tokens; "
        facts.append(("padding", line(text + "each prediction is read at the prompt's last real token")))
    cut = [prompt.truncated for prompt in prompts if prompt.truncated]
    if cut:
        text = f"{sum(cut)} tokens on the left of {len(cut)} of {len(prompts)} prompts"
        facts.append(("cut off", line(text)))
    return facts


def note_parts(notes: Sequence[str]) -> list[Part]:
    """Return the notes of a record, each on a line of its own."""
    return [Lines([line(f"note: {visible(note)}") for note in notes])] if notes else []


def prompt_title(prompt: AnyPrompt) -> str:
    """Return the end of a prompt, for a headline: its quoted text, or its ids where there is no text."""
    text = prompt.text
    if text is None:
        return f"ids {' '.join(map(str, prompt.ids))}"[:_TITLE_LENGTH]
    return quoted(text if len(text) <= _TITLE_LENGTH else "…" + text[-_TITLE_LENGTH:])


def candidates_table(
    prompt: AnyPrompt,
    candidates: Sequence[Candidate],
    chosen: Sequence[Candidate] = (),
    *,
    log_probabilities: bool = False,
) -> Table:
    """Return the candidates after a prompt, and below them the `chosen` ones that are not among them.

    The bar compares probabilities with each other: the largest fills it.
    """
    largest = max((candidate.probability for candidate in candidates), default=0.0)

    def bar(probability: float) -> str:
        return bar_of(probability / largest if largest > 0 else 0.0)

    columns = [
        Column("rank", "Rank", is_number=True),
        Column("token", "Next token", token_label, role="strong"),
        Column("id", "Id", is_number=True),
        Column("probability", "Probability", percent, is_number=True),
        Column("bar", "", bar, role="bar", drop_order=1),
        Column("log", "Log-probability" if log_probabilities else None, "{:.4f}".format, is_number=True),
        Column("logit", "Logit", "{:.4f}".format, is_number=True, drop_order=2),
    ]
    shown = [*candidates, *(candidate for candidate in chosen if candidate not in candidates)]
    rows = [(c.rank, c.token, c.id, c.probability, c.probability, c.log_probability, c.logit) for c in shown]
    return Table(TableData(columns, rows), title=f"After {prompt_title(prompt)}")


def next_tokens(candidates: Sequence[Candidate]) -> list[str]:
    """Return candidates with their probabilities, none of which a line break may split."""
    return [f"{token_or_id(c.token)} {percent(c.probability)}" for c in candidates]


def percent(probability: float) -> str:
    """Return a probability in percent."""
    return f"{100 * probability:#.4g} %"


def text_of(prompt: AnyPrompt) -> str:
    """Return a prompt's text for CSV; it is empty where there is none."""
    return prompt.text if prompt.text is not None else ""


def hex_of(raw: bytes | None, separator: str = "") -> str:
    """Return bytes in hexadecimal; empty where they are not known."""
    return "" if raw is None else raw.hex(separator) if separator else raw.hex()


def bar_of(share: float) -> str:
    """Draw a share of 1 with eighths of a block.

    >>> bar_of(1.0), bar_of(0.5), bar_of(0.01)
    ('████████████', '██████', '▏')
    """
    eighths = max(1, round(share * _BAR_WIDTH * 8)) if share > 0 else 0
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def problem_parts(index: int, problem: Problem) -> list[Part]:
    """Return the error that stands in the place of a prompt's result."""
    text = f"error: {problem.message} (prompt {index}; {problem.hint})"
    return [Lines([line(visible(text), "error")])]


def problem_cells(result: LossResult | GenerationResult | LensResult) -> tuple[object, ...]:
    """Return what the CSV holds of the error of a prompt, and of the other keys of its line."""
    message = "" if result.problem is None else result.problem.message
    return (message, to_json(result.extra) if result.extra else "")
