"""`gptrace explain`: topics of claims, each with its mark and its figures."""

from __future__ import annotations

from gptrace.record import Claim, Explanation
from gptrace.report.common_parts import MARKS, kept_language_parts, model_facts, note_parts, prompt_fact
from gptrace.report.parts import Claims, ClaimText, Facts, Part
from gptrace.report.table_data import TableData
from gptrace.report.view import View
from gptrace.translation import words


def parts(explanation: Explanation, view: View) -> list[Part]:
    """Return the header, and the claims topic by topic."""
    facts = Facts([*model_facts(explanation.model), prompt_fact(words("prompt"), explanation.tokens)])
    topics = [
        Claims(topic.title, [_claim_text(claim) for claim in topic.claims]) for topic in explanation.topics
    ]
    kept = kept_language_parts(explanation, explanation.language, view)
    return [facts, *note_parts(explanation.notes), *kept, *topics]


def csv_table(explanation: Explanation, view: View) -> TableData:
    """Return one row for each claim."""
    rows = [
        (topic.topic, topic.title, claim.text, claim.measured, claim.holds)
        for topic in explanation.topics
        for claim in topic.claims
    ]
    return TableData.plain(("topic", "title", "text", "measured", "holds"), rows)


def _claim_text(claim: Claim) -> ClaimText:
    return ClaimText(*MARKS[claim.holds], claim.text, claim.measured)
