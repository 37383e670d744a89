"""The colours of documents and pictures can be told from what is behind them, in both themes."""

from __future__ import annotations

import pytest

from gptrace.report.palette import COLORS, LOOKS, color_of
from gptrace.report.rich_tables import TERMINAL_LOOKS


def luminance(color: str) -> float:
    """The relative luminance of WCAG 2, section "relative luminance"."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_the_contrast_of_level_aa(theme: str) -> None:
    for role, look in LOOKS.items():
        behind = [look.background] if look.background else ["paper", "surface"]
        for background in behind:
            figure = contrast(color_of(look.color, theme), color_of(background, theme))
            assert figure >= 4.5, f"{role!r} on {background}, {theme}: {figure:.2f}"
    # What is no text: the frame of what has the focus, and bars.
    assert contrast(color_of("focus", theme), color_of("paper", theme)) >= 3
    assert contrast(color_of("pink", theme), color_of("paper", theme)) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("roles", [
    ("likely", "fairly likely", "possible", "unlikely", "very unlikely"),
    ("quiet", "rank 100", "rank 10", "rank 1"),
])  # fmt: skip
def test_tints_grow_stronger_step_by_step_and_are_told_by_more_than_colour(
    roles: tuple[str, ...], theme: str
) -> None:
    looks = [LOOKS[role] for role in roles]
    paper = color_of("paper", theme)
    strengths = [contrast(color_of(look.background or "paper", theme), paper) for look in looks]
    assert strengths == sorted(set(strengths))
    strongest = looks[-1]
    assert all((look.bold, look.underline) != (strongest.bold, strongest.underline) for look in looks[:-1])


def test_documents_and_terminals_know_the_same_roles() -> None:
    assert set(LOOKS) == set(TERMINAL_LOOKS)
    assert {color for look in LOOKS.values() for color in (look.color, look.background) if color} <= set(
        COLORS
    )
