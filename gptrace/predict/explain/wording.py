"""What both languages need to put figures into words."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.predict.explain.facts import Shape
from gptrace.record import Token

_MOST_TOKENS = 12


def shape(sizes: Shape | None) -> str:
    """Write a shape.

    >>> shape((1, 4, 768))
    '[1, 4, 768]'
    """
    return "–" if sizes is None else f"[{', '.join(map(str, sizes))}]"


def token(one: Token) -> str:
    """Write a token as it can be read; its bytes or its id where it has no text."""
    if one.text is not None:
        return f'"{one.text}"'
    return f"<{one.bytes.hex(' ')}>" if one.bytes is not None else f"id {one.id}"


def tokens(several: Sequence[Token]) -> str:
    """Write tokens with their ids, the middle of many left out."""
    shown = [f"{token(one)} {one.id}" for one in several]
    if len(shown) > _MOST_TOKENS:
        half = _MOST_TOKENS // 2
        shown = [*shown[:half], "…", *shown[-half:]]
    return " · ".join(shown)


def small(difference: float) -> str:
    """Write a difference that should be next to nothing.

    >>> small(0.0), small(1.2e-6)
    ('0', '1.2e-06')
    """
    return "0" if difference == 0 else f"{difference:.1e}"


def percent(probability: float) -> str:
    """Write a probability.

    >>> percent(0.0001819)
    '0.01819 %'
    """
    return f"{100 * probability:.4g} %"


def mebibytes(numbers: int, bytes_each: int) -> str:
    """Write the memory that numbers take."""
    return f"{numbers * bytes_each / 2**20:,.1f} MiB"
