"""`gptrace explain`: topics of claims, each with its mark and its figures."""

from __future__ import annotations

from gptrace.model.weights.packaged import TRAINED_MODEL
from gptrace.record import Claim, Explanation
from gptrace.report.common_parts import (
    MARKS,
    kept_language_parts,
    model_facts,
    note_parts,
    prompt_fact,
    source_place,
)
from gptrace.report.parts import Claims, ClaimText, Facts, Lines, Part, line
from gptrace.report.table_data import TableData
from gptrace.report.view import View
from gptrace.translation import joined, words

_NEED_TRAINING = ("probabilities", "training", "inference")


def parts(explanation: Explanation, view: View) -> list[Part]:
    """Return the header, and the claims topic by topic."""
    facts = Facts([*model_facts(explanation.model), prompt_fact(words("prompt"), explanation.tokens)])
    topics = [
        Claims(topic.title, [_claim_text(claim) for claim in topic.claims]) for topic in explanation.topics
    ]
    kept = kept_language_parts(explanation, explanation.language, view)
    return [facts, *note_parts(explanation.notes), *kept, *_learned_parts(explanation), *topics]


def csv_table(explanation: Explanation, view: View) -> TableData:
    """Return one row for each claim, with the check and the line where it does not hold."""
    names = (
        "topic", "title", "text", "measured", "holds", "key", "check", "file", "line", "source", "cell",
    )  # fmt: skip
    rows = [
        (
            topic.topic,
            topic.title,
            claim.text,
            claim.measured,
            claim.holds,
            claim.key,
            claim.check,
            *_line(claim),
        )
        for topic in explanation.topics
        for claim in topic.claims
    ]
    return TableData.plain(names, rows)


def _line(claim: Claim) -> tuple[object, object, object, object]:
    source = claim.source
    return ("", "", "", None) if source is None else (source.file, source.line, source.text, source.cell)


def _learned_parts(explanation: Explanation) -> list[Part]:
    """Return a note that names the topics whose figures are noise with random weights."""
    weights = explanation.model.weights or {}
    names = [topic.topic for topic in explanation.topics if topic.topic in _NEED_TRAINING]
    # Where it is the trained model without its weights, the header says how to get them.
    if not names or weights.get("source") != "random" or explanation.model.name == TRAINED_MODEL:
        return []
    text = words("these topics show more with trained weights (-m small): {}", joined(names))
    return [Lines([line(words("note: {}", text))])]


def _claim_text(claim: Claim) -> ClaimText:
    return ClaimText(*MARKS[claim.holds], claim.text, _figures(claim))


def _figures(claim: Claim) -> str:
    """Return what was measured; where a check fails as well, its line, and the command that says more."""
    if not claim.check:
        return claim.measured
    if claim.source is None:
        return words("{}; {} says more", claim.measured, claim.check)
    place = source_place(claim.source.file, claim.source.line, claim.source.cell)
    return words(
        "{}; the line is {}: {}; {} says more", claim.measured, place, claim.source.text, claim.check
    )
