"""What stands above the answers about a text: the loss as a whole, how tokens were picked."""

from __future__ import annotations

from rich.text import Text

from gptrace.record import Generation, GenerationResult, Lens, Loss
from gptrace.report.safe_text import quoted, visible

Facts = list[tuple[str, Text]]
_ENDS = {
    "max_new_tokens": "--max-new-tokens reached",
    "end_of_text": "the model ended the text",
    "stop": "a --stop text came",
}


def loss_facts(loss: Loss) -> Facts:
    """Say what the losses of all prompts come to, and what knowing nothing would cost."""
    facts: Facts = []
    total = loss.total
    if total.loss is not None and len(loss.results) > 1:
        facts.append(
            ("together", Text(f"{loss_text(total.loss, total.perplexity)}, {total.tokens:,} tokens"))
        )
    if loss.uniform is not None:
        said = (
            f"loss is the mean surprisal, -ln p, in nats; a model that knows nothing has {loss.uniform:.4f}"
        )
        facts.append(("measure", Text(said)))
    if loss.stride is not None:
        said = f"of the length of the context, each {loss.stride} tokens further than the one before"
        facts.append(("windows", Text(said)))
    return facts


def loss_text(loss: float | None, perplexity: float | None) -> str:
    """Write a loss in words.

    >>> loss_text(1.0, 2.718281828)
    'loss 1.0000, perplexity 2.718'
    """
    if loss is None or perplexity is None:
        return "one token, which nothing predicts"
    shown = f"{perplexity:.4g}" if perplexity < 1000 else f"{perplexity:,.0f}"
    return f"loss {loss:.4f}, perplexity {shown}"


def lens_facts(lens: Lens) -> Facts:
    """Say what each layer's output went through, and that the last one came to the model's own logits."""
    way = " → ".join(map(visible, lens.through))
    largest = max(result.difference for result in lens.results)
    said = f"each layer's output → {way}; the last one's logits are the model's own (within {largest:.1e})"
    return [("lens", Text(said))]


def generation_facts(generation: Generation) -> Facts:
    """Say how the tokens were picked."""
    settings = generation.settings
    if settings.temperature == 0:
        said = "greedily: the likeliest token each time"
    else:
        parts = [f"temperature {settings.temperature:g}"]
        parts += [f"top-k {settings.top_k}"] if settings.top_k is not None else []
        parts += [f"top-p {settings.top_p:g}"] if settings.top_p is not None else []
        said = f"sampled at {', '.join(parts)}, seed {settings.seed}"
    facts: Facts = [("picked", Text(said))]
    if settings.stop:
        facts.append(("stops at", Text(" ".join(map(quoted, settings.stop)))))
    return facts


def ending(result: GenerationResult) -> Text:
    """Say how many tokens came, and why no more."""
    count = len(result.tokens)
    said = f"{count} new token{'s' if count != 1 else ''}; {_ENDS[result.stopped_by]}"
    return Text(said, style="dim")
