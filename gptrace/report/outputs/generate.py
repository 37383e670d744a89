"""`gptrace generate`: each text with its continuation, and the shapes of each step where they were traced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from gptrace.record import Generation, GenerationResult, OpCall
from gptrace.record.generate import GenerationStep
from gptrace.report.common_parts import (
    FactPairs,
    hex_of,
    model_facts,
    note_parts,
    problem_cells,
    problem_parts,
)
from gptrace.report.parts import Facts, Line, Lines, Part, Table, line
from gptrace.report.safe_text import quoted, token_label, visible_lines
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import joined, words
from gptrace.wording import bracketed

_ENDINGS = {
    "max_new_tokens": words("stopped at --max-new-tokens"),
    "end_of_text": words("stopped by the end-of-text token"),
    "stop": words("stopped before a --stop text"),
    "error": words("stopped by an error"),
}


def parts(generation: Generation, view: View) -> list[Part]:
    """Return the header, and each continuation."""
    items = [part for result in generation.results for part in item_parts(result, view)]
    return [
        Facts([*model_facts(generation.model), *_facts(generation)]),
        *note_parts(generation.notes),
        *items,
    ]


def item_parts(result: GenerationResult, view: View) -> list[Part]:
    """Return one continuation and a table of its steps where they were traced, or its error."""
    if result.problem is not None:
        return problem_parts(result.index, result.problem)
    prompt = prompt_text(result.prompt_text, result.prompt_ids)
    text = result.text if result.text is not None else " ".join(map(str, result.new_ids))
    lines = [((prompt, "prompt"), (visible_lines(text), "continuation")), ending(result)]
    if not result.steps:
        return [Lines(lines)]
    # A fused kernel takes the values, too, and does not show the product.
    is_fused = _is_fused(result.steps[-1].attention)
    title = words("Queries, keys, values") if is_fused else words("Queries @ keys")
    lines += _legends(result.steps)
    columns = [
        Column("step", words("Step"), is_number=True),
        Column("cached", words("Cached"), _count_text, is_number=True, drop_order=2),
        Column("input", words("Input"), lambda step: bracketed(step.flow[0].shape) if step.flow else "–"),
        Column("attention", title, _attention_text),
        Column("logits", words("Logits"), _shape_text, drop_order=1),
        Column("token", words("Next token"), token_label, role="strong"),
    ]
    rows = [
        (number, step.cached, step, step.attention, step.logits, step.token)
        for number, step in enumerate(result.steps, start=1)
    ]
    return [Table(TableData(columns, rows), lines=lines, name=words("Steps"))]


def _legends(steps: Sequence[GenerationStep]) -> Iterator[Line]:
    """Yield the names of the axes of attention, for each run of steps that share them; none without names."""
    numbered = enumerate(steps, start=1)
    for named, some in groupby(numbered, key=lambda item: _attention_text(item[1].attention, "dims")):
        alike = list(some)
        (first, step), (last, _) = alike[0], alike[-1]
        if named == _attention_text(step.attention):
            continue
        if _is_fused(step.attention):
            text = words("queries, keys, values: {}", named)
        else:
            text = words("queries @ keys: {}", named)
        if len(alike) < len(steps):
            which = words("step {}", first) if first == last else words("steps {} to {}", first, last)
            text = words("{}, {}", which, text)
        yield line(text)


def csv_table(generation: Generation, view: View) -> TableData:
    """Return one row for each new token."""
    rows: list[tuple[object, ...]] = []
    for result in generation.results:
        prompt, cells = (result.index, result.prompt_text or ""), problem_cells(result)
        rows += [
            (*prompt, step, token.id, token.text, hex_of(token.bytes), *cells)
            for step, token in enumerate(result.tokens, start=1)
        ]
        if result.problem is not None:
            rows.append((*prompt, *[""] * 4, *cells))
    keys = ("index", "prompt", "step", "id", "token", "bytes", "error", "extra")
    return TableData.plain(keys, rows)


def prompt_text(text: str | None, ids: tuple[int, ...]) -> str:
    """Return a prompt as it stands before its continuation: its text, or its ids."""
    return visible_lines(text) if text is not None else words("ids {} ", " ".join(map(str, ids)))


def ending(result: GenerationResult) -> Line:
    """Return how many tokens came, and why no more."""
    count = len(result.new_ids)
    template = "{} new token, {}" if count == 1 else "{} new tokens, {}"
    return line(words(template, count, _ENDINGS[result.stopped_by]), "quiet")


def _facts(generation: Generation) -> FactPairs:
    settings = generation.settings
    if settings.temperature == 0:
        text: str = words("greedy: the most likely token each time")
    else:
        rules: list[str] = [words("temperature {}", f"{settings.temperature:g}")]
        rules += [f"top-k {settings.top_k}"] if settings.top_k is not None else []
        rules += [f"top-p {settings.top_p:g}"] if settings.top_p is not None else []
        text = words("sampled: {}", joined([*rules, words("seed {}", settings.seed)]))
    facts: FactPairs = [(words("decoding"), line(text))]
    if settings.stop:
        facts.append((words("stops at"), line(" ".join(map(quoted, settings.stop)))))
    return facts


def _count_text(count: int | None) -> str:
    return str(count) if count is not None else "–"


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return bracketed(shape) if shape is not None else "–"


def _is_fused(op: OpCall | None) -> bool:
    return op is not None and op.name == "scaled_dot_product_attention"


def _attention_text(op: OpCall | None, fact: str = "shape") -> str:
    """Return the first product of attention, in sizes or in the names of its axes."""
    if op is None:
        return "–"
    sign, count = (", ", 3) if _is_fused(op) else (" @ ", 2)
    sides = sign.join(bracketed(getattr(spec, fact)) for spec in op.inputs[:count])
    return f"{sides} → {bracketed(getattr(op.outputs[0], fact))}" if op.outputs else sides
