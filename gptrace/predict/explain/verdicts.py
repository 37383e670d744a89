"""Which claims hold: the one place where figures are judged, for every language.

Each function returns a verdict for each claim of its topic, in order; None where a claim does not apply.
"""

from __future__ import annotations

import math

from gptrace.predict.explain.facts import Facts

Verdict = bool | None
_SUM = 1e-6
# So many standard deviations may a count be from what is expected.
_DEVIATIONS = 6


def _small(difference: float | None, allowed: float) -> Verdict:
    return None if difference is None else difference <= allowed


def flow(facts: Facts) -> list[Verdict]:
    """Ids, token embedding, position embedding, blocks, final norm, head."""
    one = facts.flow
    allowed = facts.tolerance * one.embedding_scale
    sizes = [one.embedded, one.block, one.head_input]
    widths = {shape[-1] for shape in sizes if shape is not None}
    return [
        one.round_trip if one.text is not None else None,
        _small(one.lookup_difference, allowed * max(1.0, abs(one.lookup_factor))),
        _small(one.sum_difference, allowed)
        if one.sum_difference is not None
        else (True if (one.entered_difference or 0.0) > allowed else None),
        one.blocks_that_keep_the_shape == one.blocks if one.blocks else None,
        one.norm_keeps_the_shape if one.norm_spread is not None else None,
        None if one.head_input is None else len(widths) == 1 and one.logits[:-1] == one.head_input[:-1],
    ]


def last_dim(facts: Facts) -> list[Verdict]:
    """A score for every token, at every position, and what a row is."""
    one = facts.last_dim
    return [
        None if one.tokens is None else one.vocab_size - one.padding_rows >= one.tokens,
        _small(one.causal_difference, facts.tolerance * one.scale),
        one.shift_difference <= _SUM,
    ]


def projection(facts: Facts) -> list[Verdict]:
    """One product, dot products by hand, linear, and what half the numbers would come to."""
    one = facts.projection
    if one is None:
        return [None] * 4
    allowed = facts.tolerance * one.scale
    return [
        len(one.weight) == 2,
        all(abs(by_hand.product - by_hand.logit) <= allowed for by_hand in one.by_hand),
        max(one.doubling_difference, one.adding_difference) <= 4 * allowed,
        None if one.half_correlation is None else one.half_correlation < 1 - _SUM,
    ]


def probabilities(facts: Facts) -> list[Verdict]:
    """Sums, order, ratios, temperature."""
    one = facts.probabilities
    of_best = [chance for _, chance in one.at_temperature]
    return [
        abs(one.lowest_sum - 1) <= _SUM and abs(one.highest_sum - 1) <= _SUM and one.smallest >= 0,
        one.same_order,
        math.isclose(one.logits[0] - one.logits[1], one.log_ratio, rel_tol=1e-5, abs_tol=1e-5),
        of_best == sorted(of_best, reverse=True),
    ]


def training(facts: Facts) -> list[Verdict]:
    """The cross-entropy, that of knowing nothing, and one step."""
    one = facts.training
    if one is None:
        return [None] * 3
    return [
        math.isclose(one.cross_entropy, one.by_hand, rel_tol=1e-6),
        math.isclose(one.uniform, one.uniform_measured, rel_tol=1e-6),
        one.gradient_difference <= _SUM
        and one.logits[1] >= one.logits[0]
        and one.others <= 0
        and one.losses[1] <= one.losses[0],
    ]


def inference(facts: Facts) -> list[Verdict]:
    """The last row alone, greedy, sampled, and on to the next."""
    one = facts.inference
    expected = one.draws * one.greedy_probability
    deviation = math.sqrt(expected * (1 - one.greedy_probability))
    return [
        _small(one.row_difference, facts.tolerance * one.scale),
        one.greedy_again,
        abs(one.greedy_drawn - expected) <= _DEVIATIONS * deviation + 1,
        None if one.longer is None else one.longer[1] in (one.rows + 1, 1),
    ]


def tying(facts: Facts) -> list[Verdict]:
    """The same shape, and one or two."""
    one = facts.tying
    if one is None:
        return [None] * 2
    numbers = math.prod(one.head)
    return [one.embedding == one.head, one.separate - one.shared == numbers]
