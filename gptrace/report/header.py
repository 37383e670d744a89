"""What stands above the table: the flow of shapes, the model, its weights, the prompts and the axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from gptrace.comparison import Difference
from gptrace.record import Failure, FlowStep, ModelInfo, Prompt, TopKResult, Trace
from gptrace.report.columns import cost_text
from gptrace.report.rows import Row
from gptrace.report.safe_text import token_label, visible
from gptrace.report.shapes import bracketed
from gptrace.wording import readable_bytes

Facts = list[tuple[str, Text]]

_PROMPTS_SHOWN = 8
_TOKENS_SHOWN = 12
_UNCALLED_SHOWN = 10


def flow(trace: Trace) -> list[Text]:
    """Return the main line, once in names and once in numbers: the shapes that differ from the one before."""
    steps: list[FlowStep] = []
    for step in trace.flow:
        if not steps or (step.dims, step.shape) != (steps[-1].dims, steps[-1].shape):
            steps.append(step)
    if len(steps) < 2:
        return []
    named = [bracketed(step.dims) for step in steps]
    sized = [bracketed(step.shape) for step in steps]
    if named == sized:
        return [Text(" → ".join(sized), style="bold")]
    widths = [max(map(len, pair)) for pair in zip(named, sized, strict=True)]
    return [
        Text(" → ".join(part.ljust(w) for part, w in zip(parts, widths, strict=True)).rstrip(), style=style)
        for parts, style in ((named, "bold"), (sized, ""))
    ]


def trace_facts(trace: Trace) -> Facts:
    """Return the header as pairs of a name and what is to be said."""
    pairs = model_facts(trace.model)
    if trace.inputs:
        pairs += prompt_facts(trace.inputs)
    pairs += temperature_facts(trace.temperature)
    if trace.dims:
        pairs.append(("axes", Text(" · ".join(f"{name} {size}" for name, size in trace.dims.items()))))
    return pairs


def model_facts(model: ModelInfo) -> Facts:
    """Say which model ran, with how many parameters, and what its weights are worth."""
    count = model.parameters
    said = visible(model.name)
    if model.class_name != model.name:
        said += f" ({visible(model.class_name)})"
    said += f", {count.unique:,} parameters"
    if count.without_out_head is not None:
        said += f", {count.without_out_head:,} without out_head"
    said += f", {readable_bytes(count.bytes)} in {model.dtype} on {model.device}"
    pairs = [("model", Text(said))]
    if model.weights is not None:
        pairs.append(("weights", Text(weights_line(model.weights))))
    return pairs


def weights_line(weights: dict[str, Any]) -> str:
    """Say in one line where the weights come from and whether the predictions mean anything."""
    source = weights["source"]
    if source == "random":
        said = f"random, seed {weights['seed']}: the next tokens mean nothing yet; "
        said += "--weights pretrained or PATH takes real ones"
    elif source == "none":
        said = "none: device meta has shapes, but no numbers and so no next tokens"
    elif source == "pretrained":
        said = f"pretrained, {weights['repository']} at revision {weights['revision'][:7]}"
    elif source == "own code":
        said = f"as made by {visible(weights['made_by'])}"
        if "seed" in weights:
            said += (
                f", seed {weights['seed']}: unless it loads some itself, they are random and the next tokens "
            )
            said += "mean nothing; --weights PATH takes real ones"
    elif source == "hugging_face":
        said = f"those of {visible(weights.get('repository') or weights['path'])}"
        said += f" at revision {weights['revision'][:7]}" if "revision" in weights else ""
    elif source == "file":
        said = f"{visible(weights['path'])}, {weights['layout']} layout, stored in {weights['dtype']}"
    else:
        said = "those of the model that was passed in"
    if "padding_rows" in weights:
        said += f"; {weights['padding_rows']} rows that pad the vocabulary are never predicted"
    if "assumed" in weights:
        pairs = ", ".join(f"{key} {value}" for key, value in weights["assumed"].items())
        said += f"; assumed, since the file does not tell: {pairs}"
    if weights.get("nan"):
        names = weights["nan"]
        said += (
            f"; {visible(names[0])}"
            + (f" and {len(names) - 1} more hold" if names[1:] else " holds")
            + " NaN"
        )
    return said


def difference_facts(difference: Difference) -> Facts:
    """Say which traces were compared."""
    return [
        (letter, Text(f"{visible(one.name)}: {visible(one.model)}, {one.calls} calls"))
        for letter, one in (("A", difference.a), ("B", difference.b))
    ] + [
        (visible(change.what), Text(f"{visible(change.a)} → {visible(change.b)}"))
        for change in difference.settings
    ]


def difference_notes(difference: Difference) -> list[Text]:
    """Say what the differences come to, and what of the values was compared."""
    kinds = {"removed": difference.removed, "added": difference.added, "changed": difference.changed}
    found = ", ".join(f"{len(calls)} {kind}" for kind, calls in kinds.items() if calls)
    lines = [
        Text(f"calls: {found}" if found else "calls: the same, with the same shapes, dtypes and parameters")
    ]
    tolerance = f"within rtol {difference.rtol:g} and atol {difference.atol:g}"
    if not difference.compared:
        lines.append(Text("values: not compared; make both traces with --columns mean,std,min,max,nan"))
    elif difference.first_apart is None:
        lines.append(Text(f"values: the same in {difference.compared} calls, {tolerance}"))
    else:
        first = visible(difference.first_apart.path or difference.first_apart.type)
        lines.append(
            Text(f"values: {first} is the first of {difference.compared} calls that differs, not {tolerance}")
        )
    if difference.compared and not difference.same_prompts:
        lines.append(Text("the two were given other prompts, so their values differ for that alone"))
    return lines


def temperature_facts(temperature: float) -> Facts:
    """Say the temperature where it changes the probabilities."""
    if temperature == 1:
        return []
    return [("softmax", Text(f"of the logits divided by the temperature {temperature:g}"))]


def prompt_facts(prompts: Sequence[Prompt]) -> Facts:
    """Show each prompt as its tokens with their ids, and say what was padded or cut."""
    single = len(prompts) == 1
    facts = [
        ("prompt" if single else f"prompt {number}", _prompt_line(prompt))
        for number, prompt in enumerate(prompts[:_PROMPTS_SHOWN])
    ]
    if len(prompts) > _PROMPTS_SHOWN:
        facts.append(("", Text(f"… {len(prompts) - _PROMPTS_SHOWN} more prompts")))
    return facts + fitting_facts(prompts)


def fitting_facts(prompts: Sequence[Prompt]) -> Facts:
    """Say which prompts were padded or cut to fit the batch and the model."""
    facts: Facts = []
    padded = sum(prompt.padding > 0 for prompt in prompts)
    if padded:
        length = max(len(prompt.tokens) for prompt in prompts)
        said = f"{padded} of {len(prompts)} prompts, on the right, to {length} tokens; "
        facts.append(("padding", Text(said + "each prediction is read at the prompt's last real token")))
    cut = [prompt.truncated for prompt in prompts if prompt.truncated]
    if cut:
        said = f"{sum(cut)} tokens on the left of {len(cut)} of {len(prompts)} prompts"
        facts.append(("cut off", Text(said)))
    return facts


def notes(trace: Trace, rows: Sequence[Row]) -> list[Text]:
    """Say below the table what it leaves out, and what the columns add up."""
    totals = trace.totals
    said = f"{totals.calls} calls of {totals.modules} modules in {totals.seconds * 1000:.1f} ms"
    if totals.ops is not None:
        said += f" · {totals.ops} operations"
    folded = sum(row.hidden for row in rows if row.folded)
    cut = sum(row.hidden for row in rows if not row.folded)
    if folded:
        said += f" · {folded} folded (--full shows them)"
    if cut:
        said += f" · {cut} below --depth"
    said += " · parameters include the children's"
    if any(row.call.call > 1 for row in rows):
        said += " · (2) marks a module's second call"
    lines = [Text(said, style="dim"), *_cost_lines(trace), *map(note, trace.notes)]
    if trace.predictions and trace.scores:
        lines.append(
            Text(
                f"At each position stand {trace.scores:,} logits, one for each token of the vocabulary; "
                "softmax over those of the last position gives the next token."
            )
        )
    if trace.uncalled:
        shown = ", ".join(map(visible, trace.uncalled[:_UNCALLED_SHOWN]))
        rest = len(trace.uncalled) - _UNCALLED_SHOWN
        what = "not called" if trace.error is None else "not reached"
        lines.append(Text(f"{what}: {shown}" + (f" and {rest} more" if rest > 0 else "")))
    return lines + (_failure_lines(trace.error) if trace.error else [])


def _failure_lines(failure: Failure) -> list[Text]:
    """Say what broke the forward pass, what had come in, where, and why that may be."""
    where = visible(failure.path) or "the model itself"
    message = " ".join(failure.message.split())
    lines = [Text(f"raised in {where}: {visible(failure.type)}: {visible(message)}", style="bold red")]
    came_in = [
        f"{spec.name} {bracketed(spec.shape)} {spec.dtype} on {spec.device}" for spec in failure.inputs
    ]
    if came_in:
        lines.append(Text(f"came in: {visible(', '.join(came_in[:4]))}"))
    if failure.source:
        lines.append(Text(f"at: {visible(failure.source)}"))
    if failure.diagnosis:
        lines.append(Text(f"likely: {visible(failure.diagnosis)}", style="bold"))
    return lines


def _cost_lines(trace: Trace) -> list[Text]:
    """Say what the costs add up to, and what they cover."""
    lines, totals = [], trace.totals
    if totals.cost is not None:
        macs = cost_text(totals.cost)
        said = f"{macs} MACs (multiply-accumulates) in matrix products, convolutions and attention"
        if totals.cost.unknown:
            said += f"; unknown: what {', '.join(map(visible, totals.cost.unknown[:4]))} takes"
        lines.append(Text(said, style="dim"))
    if totals.peak_bytes is not None:
        said = (
            f"{readable_bytes(totals.peak_bytes)} of activations alive at once at most, beside the parameters"
        )
        lines.append(Text(said, style="dim"))
    return lines


def problem(result: TopKResult) -> Text:
    """Say why one prompt of a stream has no result."""
    assert result.problem is not None
    said = f"error: {result.problem.message} (prompt {result.index}; {result.problem.hint})"
    return Text(visible(said), style="red")


def note(said: str) -> Text:
    """Return a remark of a record, as a line of its own."""
    return Text(f"note: {visible(said)}")


def _prompt_line(prompt: Prompt) -> Text:
    tokens = prompt.tokens
    head, tail = tokens, tokens[:0]
    if len(tokens) > _TOKENS_SHOWN:
        head, tail = tokens[: _TOKENS_SHOWN // 2], tokens[-_TOKENS_SHOWN // 2 :]
    line = Text(f"{len(tokens)} token{'s' if len(tokens) > 1 else ''}: ")
    for position, token in enumerate((*head, *tail)):
        if position == len(head):
            line.append(f" … {len(tokens) - len(head) - len(tail)} more …", style="dim")
        line.append(" " if position else "")
        if token.bytes is not None:
            line.append(f"{token_label(token)} ", style="bold")
        line.append(str(token.id), style="dim")
    if prompt.padding:
        line.append(f" + {prompt.padding} padding")
    return line
