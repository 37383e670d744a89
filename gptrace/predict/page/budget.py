"""The limit on the size of a page: digits and parts of later prompts go first, then heads of attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gptrace.predict.page.left_out import ViewsLeftOut
from gptrace.record import AttentionMap, HeadWeights, Page, PagePrompt
from gptrace.record.base import Record
from gptrace.record.page import ViewName
from gptrace.record.writing import deflated

# Deflated bytes of the data. In base64, with the script and the styles, they are a page of about 1 MB.
MOST_BYTES = 500_000
# The parts of a prompt in the order in which they are left out, and the views that they are for.
_PARTS: tuple[tuple[str, ViewName], ...] = (
    ("projection", "why"), ("lens", "lens"), ("stream", "stream"), ("loss", "loss"),
)  # fmt: skip


def fitted(page: Page, left_out: ViewsLeftOut, most_bytes: int = MOST_BYTES) -> Page:
    """Return the page without the parts beyond its limit; `left_out` names these in a sentence."""
    bare = [PagePrompt(projection=each.projection, lens=each.lens, stream=each.stream, loss=each.loss)
            for each in page.prompts]  # fmt: skip
    size = _size(replace(page, prompts=tuple(bare)))
    if size + _size(*(PagePrompt(attention=each.attention) for each in page.prompts)) > most_bytes:
        bare = [replace(each, lens=_rounded(each.lens), stream=_rounded(each.stream)) for each in bare]
        size = _size(replace(page, prompts=tuple(bare)))
    for part, view in _PARTS:
        holders = [number for number, prompt in enumerate(bare) if getattr(prompt, part)]
        kept = len(holders)
        while kept and size > most_bytes:
            kept -= 1
            prompt = bare[holders[kept]]
            without = PagePrompt(
                **{name: getattr(prompt, name) for name, _ in _PARTS if name != part}
            )  # fmt: skip
            size -= _size(prompt) - _size(without)
            bare[holders[kept]] = without
        if kept < len(holders):
            left_out.add(view, f"the page has room for {kept} of {len(holders)} prompts in this view")
    maps = _fitting_maps([prompt.attention for prompt in page.prompts], most_bytes - size, left_out)
    prompts = [replace(prompt, attention=attention) for prompt, attention in zip(bare, maps, strict=True)]
    return replace(page, prompts=tuple(prompts))


def _size(*records: Page | PagePrompt) -> int:
    return sum(len(deflated(record, level=6)) for record in records)


def _rounded(value: Any) -> Any:
    """Return a record or its values with floats of as many digits as the page shows, at most."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, tuple):
        return tuple(map(_rounded, value))
    if isinstance(value, Record):
        return replace(value, **{name: _rounded(getattr(value, name)) for name in value.__struct_fields__})
    return value


def _fitting_maps(
    maps: Sequence[tuple[AttentionMap, ...]], room: int, left_out: ViewsLeftOut
) -> list[tuple[AttentionMap, ...]]:
    """Choose heads of the maps of each prompt until they fit."""
    size = _size(*(PagePrompt(attention=each) for each in maps))
    share, chosen = 1.0, list(maps)
    while any(chosen) and size > room:
        share = min(0.9 * share, share * room / size) if room > 0 else 0.0
        chosen = [_chosen(each, share) for each in maps]
        size = _size(*(PagePrompt(attention=each) for each in chosen))
    heads, all_heads = (sum(len(each.heads) for row in rows for each in row) for rows in (chosen, maps))
    if all_heads and not heads:
        left_out.add("attention", "the page has no room for the attention of a text of this length")
    elif heads < all_heads:
        places, all_places = (sum(map(len, rows)) for rows in (chosen, maps))
        left_out.add(
            "attention",
            f"the page has room for {heads} of {all_heads} heads, in {places} of {all_places} places: those "
            "that attend most sharply to a token other than the first",
        )
    return chosen


def _chosen(maps: tuple[AttentionMap, ...], share: float) -> tuple[AttentionMap, ...]:
    """Return about this share of all heads, those that attend most sharply, where they are in the model."""
    heads = [(place, at) for place, each in enumerate(maps) for at in range(len(each.heads))]
    count = math.floor(share * len(heads))

    def sharpness(head: tuple[int, int]) -> float:
        place, at = head
        return _sharpness(maps[place].heads[at], maps[place].is_causal)

    kept = set(sorted(heads, key=sharpness, reverse=True)[:count])
    chosen = []
    for place, each in enumerate(maps):
        if numbers := [at for at in range(len(each.heads)) if (place, at) in kept]:
            chosen.append(
                replace(
                    each,
                    numbers=tuple(each.numbers[at] for at in numbers),
                    heads=tuple(each.heads[at] for at in numbers),
                )
            )
    return tuple(chosen)


def _sharpness(head: HeadWeights, is_causal: bool) -> float:
    """Return the mean over the queries of the greatest weight on a token other than the first."""
    weights = head.weights
    size = len(weights)
    length = round((math.sqrt(8 * size + 1) - 1) / 2) if is_causal else math.isqrt(size)
    starts = [row * (row + 1) // 2 if is_causal else row * length for row in range(length)]
    greatest = [max(weights[a + 1 : b], default=0) for a, b in zip(starts, [*starts[1:], size], strict=True)]
    return sum(greatest) / max(1, length)
