"""Parts that several outputs share: the model, the prompts, notes, candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptrace.model.weights.packaged import TRAINED_MODEL
from gptrace.record import (
    GenerationResult,
    LensResult,
    LossResult,
    ModelInfo,
    Problem,
    Report,
    Token,
    TokenizedPrompt,
    TopKResult,
    TracedPrompt,
)
from gptrace.record.writing import to_json
from gptrace.report.counted import counted_parameters, counted_tokens
from gptrace.report.parts import Line, Lines, Part, Span, line
from gptrace.report.safe_text import quoted, token_label, visible
from gptrace.report.view import View
from gptrace.translation import joined, recorded, words
from gptrace.wording import readable_bytes

FactPairs = list[tuple[str, Line]]
FittedPrompt = TracedPrompt | TopKResult
AnyPrompt = FittedPrompt | TokenizedPrompt | LossResult | LensResult

# Of a claim that holds, one that does not, and one that cannot be judged: the sign, and its role.
MARKS = {True: ("✓", "holds"), False: ("✗", "fails"), None: ("–", "quiet")}
_PROMPTS_SHOWN = 8
_TOKENS_SHOWN = 12
_TITLE_LENGTH = 60  # characters


def model_name(name: str) -> str:
    """Return the name of a model as people read it."""
    preset = name.removesuffix(", changed")
    return words("{}, changed", visible(preset)) if preset != name else visible(name)


def model_facts(model: ModelInfo) -> FactPairs:
    """Return the model that ran, its number of parameters, and the origin of its weights."""
    parameters = model.parameters
    name = model_name(model.name)
    clauses = [
        name if model.class_name == model.name else words("{} ({})", name, visible(model.class_name)),
        counted_parameters(parameters.unique),
    ]
    if parameters.without_out_head is not None:
        clauses.append(words("{} without out_head", f"{parameters.without_out_head:,}"))
    clauses += _places(model)
    if (rates := model.dtype_rates) is not None:
        text = "picked by --dtype auto: {} GFLOP/s in float32, {} in bfloat16"
        clauses.append(words(text, f"{rates.float32:.3g}", f"{rates.bfloat16:.3g}"))
    facts: FactPairs = [(words("model"), line(joined(clauses)))]
    if model.weights is not None:
        facts.append((words("weights"), line(weights_text(model.weights, model.name, model.device))))
    return facts


def _places(model: ModelInfo) -> list[str]:
    """Return the size of the parameters and where they are; they may be brought in from elsewhere to run."""
    size, shares = readable_bytes(model.parameters.bytes), model.parameters_by_device or {}
    if len(shares) > 1:
        parts = [words("{} on {}", readable_bytes(each.bytes), visible(at)) for at, each in shares.items()]
        places = words("{} in {}: {}", size, visible(model.dtype), joined(parts))
    else:
        place = next(iter(shares), model.device)
        places = words("{} in {} on {}", size, visible(model.dtype), visible(place))
    is_there = not shares or model.device in shares
    return [places] if is_there else [places, words("runs on {}", visible(model.device))]


def configuration_facts(model: ModelInfo) -> FactPairs:
    """Return the configuration that a model of the user's own code was built with."""
    weights = model.weights or {}
    call, being, kind = _fact(weights, "made_by").partition(" being ")
    if weights.get("source") != "own code" or not being:
        return []
    return [(words("config"), line(words("{} is {}", call.rpartition(", ")[2], recorded(kind))))]


def weights_text(weights: dict[str, Any], model: str = "", device: str = "meta") -> str:
    """Return the origin of a model's weights in one line, and whether the predictions mean anything.

    The facts may come from a file that somebody else has written: any may be missing or of another type.
    """
    clauses = _origin(weights, model, device)
    if "padding_rows" in weights:
        count = _fact(weights, "padding_rows")
        one = "{} row that pads the vocabulary is never predicted"
        many = "{} rows that pad the vocabulary are never predicted"
        clauses.append(words(one if count == "1" else many, count))
    if isinstance(assumed := weights.get("assumed"), dict):
        pairs = ", ".join(f"{key} {value}" for key, value in assumed.items())
        clauses.append(words("assumed, since the file does not say: {}", visible(pairs)))
    if weights.get("other_class"):
        clauses.append(
            words(
                "config.json names the class {}, but the causal language model of that family was loaded, so "
                "the next tokens may mean nothing",
                _fact(weights, "other_class"),
            )
        )
    if isinstance(names := weights.get("nan"), list | tuple) and names:
        first, *others = map(str, names)
        holders = words("{} and {} more hold NaN", visible(first), len(others))
        clauses.append(holders if others else words("{} holds NaN", visible(first)))
    return joined(clauses, "; ")


def _fact(weights: dict[str, Any], name: str) -> str:
    return visible(str(weights.get(name, "?")))


def _origin(weights: dict[str, Any], model: str, device: str) -> list[str]:
    """Return the clauses that say where the weights come from."""
    revision = _fact(weights, "revision")[:7]
    match weights.get("source"):
        case "random":
            is_trained = "without --weights random it is trained"
            return [
                words("random, seed {}: the next tokens mean nothing", _fact(weights, "seed")),
                words(is_trained if model == TRAINED_MODEL else "-m small is trained"),
            ]
        case "none" if device != "meta":
            return [words("none: a simulation has shapes but no numbers, so there are no next tokens")]
        case "none":
            return [words("none: device meta has shapes but no numbers, so there are no next tokens")]
        case "pretrained":
            return [words("pretrained, {} at revision {}", _fact(weights, "repository"), revision)]
        case "package":
            text = words("trained on {}", recorded(_fact(weights, "trained_on")))
            return [text, words("in the package, stored in {}", _fact(weights, "dtype"))]
        case "own code":
            return _made_by(weights)
        case "hugging_face":
            place = _fact(weights, "repository" if weights.get("repository") else "path")
            if "revision" not in weights:
                return [words("from {}", place)]
            return [words("from {} at revision {}", place, revision)]
        case "file":
            file, layout = _fact(weights, "path"), recorded(_fact(weights, "layout"))
            return [words("{}, {} layout, stored in {}", file, layout, _fact(weights, "dtype"))]
        case _:
            return [words("as in the model that was passed in")]


def _made_by(weights: dict[str, Any]) -> list[str]:
    call, being, kind = _fact(weights, "made_by").partition(" being ")
    call, _, name = call.rpartition(", ") if being else (call, "", "")
    clauses = [words("made by {}", call)]
    if "seed" in weights:
        text = "made by {} with seed {}: where they are random, the next tokens mean nothing"
        seed = _fact(weights, "seed")
        clauses = [words(text, call, seed), words("for real weights use --weights PATH")]
    return clauses + ([words("{} is {}", name, recorded(kind))] if being else [])


def temperature_facts(temperature: float) -> FactPairs:
    """Return the temperature where it changes the probabilities."""
    if temperature == 1:
        return []
    text = words("of the logits divided by the temperature {}", f"{temperature:g}")
    return [("softmax", line(text))]


def prompt_fact(name: str, tokens: Sequence[Token], padding: int = 0) -> tuple[str, Line]:
    """Return the tokens of a prompt with their ids, the middle of a long one left out."""
    head, tail = tokens, tokens[:0]
    if len(tokens) > _TOKENS_SHOWN:
        head, tail = tokens[: _TOKENS_SHOWN // 2], tokens[-(_TOKENS_SHOWN // 2) :]
    spans: list[Span] = [(counted_tokens(len(tokens)), ""), (words(": "), "")]
    for position, token in enumerate((*head, *tail)):
        if position == len(head):
            spans.append((words(" … {} more …", len(tokens) - len(head) - len(tail)), "quiet"))
        spans.append((" " if position else "", ""))
        if token.bytes is not None:
            spans.append((f"{token_label(token)} ", "strong"))
        spans.append((str(token.id), "quiet"))
    if padding:
        spans.append((words(" + {} padding", padding), ""))
    return name, tuple(spans)


def prompts_left_out(count: int) -> FactPairs:
    """Return how many prompts the header leaves out."""
    rest = count - _PROMPTS_SHOWN
    more = words("… {} more prompt" if rest == 1 else "… {} more prompts", rest)
    return [("", line(more))] if count > _PROMPTS_SHOWN else []


def shown_prompts(count: int) -> range:
    """Return the numbers of the prompts that the header shows."""
    return range(min(count, _PROMPTS_SHOWN))


def fitting_facts(prompts: Sequence[FittedPrompt]) -> FactPairs:
    """Return which prompts were padded or cut to fit the batch and the model."""
    facts: FactPairs = []
    # Each batch has a length of its own.
    lengths = [len(prompt.ids) + prompt.padding for prompt in prompts if prompt.padding]
    if lengths:
        least, most = min(lengths), max(lengths)
        length = f"{least:,}" if least == most else f"{least:,}–{most:,}"
        template = "{} of {} prompts, on the right, to {} tokens; no prediction is read there"
        facts.append((words("padding"), line(words(template, len(lengths), len(prompts), length))))
    cut = [prompt.truncated for prompt in prompts if prompt.truncated]
    if cut:
        prompt = (
            words("{} of {} prompts", len(cut), len(prompts)) if len(prompts) > 1 else words("the prompt")
        )
        facts.append(
            (words("cut off"), line(words("{} on the left of {}", counted_tokens(sum(cut)), prompt)))
        )
    return facts


def source_place(file: str, line: object, cell: int | None, *, with_notebook: bool = True) -> str:
    """Return a line of source code: "model.py:21", or in a notebook "ch04.ipynb, cell 4, line 12"."""
    if cell is None:
        return f"{visible(file)}:{visible(str(line))}"
    place = words("cell {}, line {}", cell, visible(str(line)))
    return joined((visible(file), place)) if with_notebook and file.endswith(".ipynb") else place


def note_parts(notes: Sequence[str]) -> list[Part]:
    """Return the notes of a record, each on a line of its own."""
    return [Lines([line(note_text(note)) for note in notes])] if notes else []


def kept_language_parts(report: Report, language: str, view: View) -> list[Part]:
    """Return a note where the sentences of a kept report are in another language than it is shown in."""
    shown = view.language_of(report)
    if shown == language:
        return []
    text = "the claims stay as they were made; gptrace {} --lang {} makes them in this language"
    return [Lines([line(words("note: {}", words(text, report.output_name(), shown)))])]


def note_text(note: str) -> str:
    """Return a note as it is shown."""
    return words("note: {}", recorded(visible(note)))


def prompt_title(prompt: AnyPrompt) -> str:
    """Return the end of a prompt, for a headline: its quoted text, or its ids where there is no text.

    The ellipsis of a long text stands before the quotes, since it is no part of the text.
    """
    text = prompt.text
    if text is None:
        ids = " ".join(map(str, prompt.ids[-_TITLE_LENGTH:]))
        if len(ids) > _TITLE_LENGTH:
            ids = "… " + ids[-_TITLE_LENGTH:].partition(" ")[2]  # the first of these may be cut
        return words("ids {}", ids)
    if len(text) <= _TITLE_LENGTH:
        return quoted(text)
    end = text[-_TITLE_LENGTH:]
    _, space, words_of_end = end.partition(" ")
    return "…" + quoted(words_of_end if space and len(words_of_end) > _TITLE_LENGTH // 2 else end)


def percent(probability: float) -> str:
    """Return a probability in percent."""
    return f"{100 * probability:#.4g} %"


def text_of(prompt: AnyPrompt) -> str:
    """Return a prompt's text for CSV; it is empty where there is none."""
    return prompt.text if prompt.text is not None else ""


def hex_of(raw: bytes | None, separator: str = "") -> str:
    """Return bytes in hexadecimal; empty where they are not known."""
    return "" if raw is None else raw.hex(separator) if separator else raw.hex()


def problem_parts(index: int, problem: Problem) -> list[Part]:
    """Return the error that stands in the place of a prompt's result."""
    message, hint = (recorded(visible(text)) for text in (problem.message, problem.hint))
    return [Lines([line(words("error: {} (prompt {}; {})", message, index, hint), "error")])]


def problem_cells(result: LossResult | GenerationResult | LensResult) -> tuple[object, ...]:
    """Return what the CSV holds of the error of a prompt, and of the other keys of its line."""
    message = "" if result.problem is None else result.problem.message
    return (message, to_json(result.extra) if result.extra else "")
