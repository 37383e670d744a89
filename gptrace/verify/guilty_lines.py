"""For each claim of an explanation that does not hold, the line of the model's code that the checks blame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gptrace.errors import GptraceError
from gptrace.model.build import LoadedModel
from gptrace.record import Claim, Explanation
from gptrace.record.check import CheckResult
from gptrace.text.tokenizer import Tokenizer
from gptrace.verify.check.engine import run_check
from gptrace.verify.check.names import resolve_checks

# The claims that a check is about, and the checks, the likeliest first.
_CHECKS: Mapping[str, tuple[str, ...]] = {
    "causal": ("causal", "deterministic"),
    "vocabulary": ("vocabulary",),
    "vocabulary_padded": ("vocabulary",),
    "probabilities_returned": ("logits",),
    "unused_blocks": ("all-used", "gradients"),
    "unused_norm": ("all-used", "gradients"),
    "greedy": ("deterministic",),
    "attention_queries_mixed": ("tokens-stay-apart", "causal"),
    "attention_scores": ("attention-sums",),
    "attention_mask": ("causal",),
    "attention_weights": ("attention-sums",),
    "attention_joined": ("tokens-stay-apart", "causal"),
    "attention_projected": ("tokens-stay-apart", "causal"),
}


def with_guilty_lines(
    explanations: Sequence[Explanation], loaded: LoadedModel, tokenizer: Tokenizer | None, seed: int
) -> tuple[Explanation, ...]:
    """Return an explanation in several languages; claims that do not hold have the check that fails as well.

    They have the line that it blames, too. `tokenizer` is that which belongs to the model. Nothing is checked
    unless a claim fails that a check is about.
    """
    failed = [
        claim
        for explanation in explanations[:1]
        for topic in explanation.topics
        for claim in topic.claims
        if claim.holds is False
    ]
    wanted = {name for claim in failed for name in _CHECKS.get(claim.key, ())}
    if not wanted:
        return tuple(explanations)
    try:
        names = [name for name in resolve_checks(()) if name in wanted]
        (check,) = run_check(loaded, tokenizer, only=names, languages=[explanations[0].language], seed=seed)
    except GptraceError:
        return tuple(explanations)
    results = {result.name: result for result in check.failed}
    return tuple(_with_lines(explanation, results, loaded) for explanation in explanations)


def _with_lines(
    explanation: Explanation, results: Mapping[str, CheckResult], loaded: LoadedModel
) -> Explanation:
    topics = tuple(
        replace(topic, claims=tuple(_with_line(claim, results, loaded) for claim in topic.claims))
        for topic in explanation.topics
    )
    return replace(explanation, topics=topics)


def _with_line(claim: Claim, results: Mapping[str, CheckResult], loaded: LoadedModel) -> Claim:
    names = _CHECKS.get(claim.key, ()) if claim.holds is False else ()
    result = next((results[name] for name in names if name in results), None)
    if result is None:
        return claim
    return replace(claim, check=loaded.command("check", f"--only={result.name}"), source=result.source)
