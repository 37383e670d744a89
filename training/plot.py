"""A plot of the losses in a log, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from training.log import Row

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 150, 20, 50
# From Okabe and Ito's palette, which colour-blind readers can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
Scale = Callable[[float], float]


def losses_svg(rows: Sequence[Row]) -> str:
    """Return an SVG image with a line for the training loss and one for each held-out text.

    The tokens are on a linear axis. The loss axis covers the losses after the first tenth of the rows, so
    that the steep start does not flatten the rest. Raises ValueError for fewer than two rows.
    """
    if len(rows) < 2:
        raise ValueError(f"a plot needs two rows; the log has {len(rows)}")
    lines = {"training": [row.training_loss for row in rows]}
    lines |= {name: [row.held_out[name] for row in rows] for name in rows[0].held_out}
    settled = [loss for line in lines.values() for loss in line[len(rows) // 10 :]]
    low, high = math.floor(min(settled) * 4) / 4, math.ceil(max(settled) * 4) / 4
    high = max(high, low + 0.25)
    most = rows[-1].tokens

    def x(tokens: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * tokens / most

    def y(loss: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - loss) / (high - low)

    curves, labels = [], []
    for (name, losses), colour in zip(lines.items(), _COLOURS, strict=False):
        shown = [(x(row.tokens), y(loss)) for row, loss in zip(rows, losses, strict=True) if loss <= high]
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in shown)
        curves.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        labels.append((y(losses[-1]) + 4, f"{escape(name)} {losses[-1]:.2f}", colour))
    grid = _grid(low, high, most, x, y)
    return "\n".join([*grid, *curves, *_labels(x(most) + 6, labels), "</svg>", ""])


def _grid(low: float, high: float, most: float, x: Scale, y: Scale) -> Iterator[str]:
    """Yield the begin of the image, the titles of the axes and their ticks."""
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        f' font-size="13">'
    )
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    yield f'<text x="{_LEFT}" y="{_TOP - 6}">cross-entropy, nats for each token</text>'
    yield f'<text x="{x(most)}" y="{_HEIGHT - 12}" text-anchor="end">million tokens</text>'
    for loss in _ticks(low, high):
        yield f'<path d="M{_LEFT} {y(loss):.1f}H{x(most)}" stroke="#ddd"/>'
        yield f'<text x="{_LEFT - 8}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:g}</text>'
    for tokens in _ticks(0, most / 1e6):
        place = f'x="{x(tokens * 1e6):.1f}" y="{_HEIGHT - _BOTTOM + 18}"'
        yield f'<text {place} text-anchor="middle">{tokens:g}</text>'


def _labels(left: float, labels: Sequence[tuple[float, str, str]]) -> Iterator[str]:
    """Yield labels (y, text, colour) at the ends of their lines, apart from each other."""
    floor = -math.inf
    for place, text, colour in sorted(labels):
        floor = max(place, floor + 16)
        yield f'<text x="{left}" y="{floor:.1f}" fill="{colour}">{text}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Return five to ten round numbers from `low` to `high`.

    >>> _ticks(3.5, 5)
    [3.6, 3.8, 4.0, 4.2, 4.4, 4.6, 4.8, 5.0]
    """
    power = 10 ** math.floor(math.log10((high - low) / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= 10)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 6) for number in range(first, math.floor(high / step + 1e-9) + 1)]
