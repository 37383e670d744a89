"""Findings → mistakes: what is wrong, and what differs from what is known of an architecture."""

from __future__ import annotations

from tests.zoo.checks import Findings
from tests.zoo.known import DENIED, REFUSED


def mistakes(findings: Findings) -> list[str]:
    """Return what is wrong, each in words; an empty list where all is as it should be."""
    found = list(findings.wrong)
    expected = REFUSED.get(findings.name, {})
    for question in sorted({*expected, *findings.refused}):
        words, actual = expected.get(question), findings.refused.get(question)
        if words is None:
            found.append(f"{question} is refused: {actual}")
        elif actual is None or words not in actual:
            found.append(f"{question} is not refused with {words!r}: {actual}")
    denied = DENIED.get(findings.name, [])
    if findings.denied != denied:
        found.append(f"claims that do not hold: {findings.denied}, not {denied}")
    return found
