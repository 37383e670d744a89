"""The explanation in English: each function returns text and figures of each claim, as `verdicts` has them."""

from __future__ import annotations

from gptrace.predict.explain.facts import Facts
from gptrace.predict.explain.wording import mebibytes, percent, shape, small, token, tokens

Said = tuple[str, str]

TITLES = {
    "flow": "The way of a text through the model",
    "last-dim": "Why the last dimension is the size of the vocabulary",
    "projection": "How emb_dim becomes vocab_size",
    "probabilities": "From scores to probabilities",
    "training": "What training compares",
    "inference": "What happens when the model writes",
    "tying": "One table or two",
}
_NO_HEAD = (
    "The layer that makes the scores could not be found in this model, or is no plain matrix; if it has one, "
    "--head PATH names it."
)


def flow(facts: Facts) -> list[Said]:
    """From ids to logits."""
    one, parts = facts.flow, facts.parts
    width = parts.width_name
    said = [
        (
            "The tokenizer cuts the text into tokens. The model never sees letters: it gets the tokens' ids, "
            "one row for each text of the batch.",
            f"{tokens(one.tokens)}; [batch, seq_len] = {shape(one.ids)}",
        )
    ]
    if parts.token_embedding:
        said.append(
            (
                f"`{parts.token_embedding}` is a table with a row for every token of the vocabulary. Each id "
                f"picks its row: a vector of {width} numbers that stands for the token.",
                f"{shape(one.ids)} → {shape(one.embedded)}; rows of the table{_times(one.lookup_factor)} and what "
                f"came out differ by {_small_or_none(one.lookup_difference)}",
            )
        )
    else:
        said.append(("No table of token embeddings was found in this model.", "none"))
    if parts.position_embedding and one.sum_difference is not None:
        said.append(
            (
                f"`{parts.position_embedding}` has a row for every position. It is added, so each vector now "
                "says which token it is and where it stands.",
                f"{shape(one.embedded)} + {shape(one.positions)}; what enters `{parts.first_block}` differs "
                f"from that sum by {small(one.sum_difference)}",
            )
        )
    elif one.entered_difference:
        said.append(
            (
                "Before the first block this model does something to the vectors without a table of its own for "
                "it: it adds positions from elsewhere, or brings them to another scale.",
                f"what enters `{parts.first_block}` differs from the token embedding by "
                f"{one.entered_difference:.3g}",
            )
        )
    else:
        said.append(
            (
                "This model adds no table of positions at the entrance. Order comes in elsewhere, mostly by "
                "turning queries and keys inside attention (rotary positions).",
                "no second table before the blocks",
            )
        )
    said.append(
        (
            f"{one.blocks} blocks follow. In each the positions exchange what they know (attention), each "
            "position thinks for itself (feed-forward), and both results are added. The shape stays.",
            f"{one.blocks_that_keep_the_shape} of {one.blocks} blocks: {shape(one.block)} → {shape(one.block)}",
        )
        if one.blocks
        else ("No list of blocks was found in this model.", "none")
    )
    said.append(
        (
            f"`{parts.norm}` brings every vector to a common scale, so that none drowns the others. The shape "
            "stays.",
            f"size of the last vector's numbers (root mean square): {one.norm_spread[0]:.4g} → "
            f"{one.norm_spread[1]:.4g}",
        )
        if one.norm_spread is not None
        else ("No norm stands between the blocks and the output head.", "none")
    )
    said.append(
        (
            f"`{parts.head}`, the output head, gives every vector one score for each token of the vocabulary: "
            f"the logits. Only here does the last dimension change, from {width} to {parts.vocabulary_name}.",
            f"{shape(one.head_input)} → {shape(one.logits)}",
        )
        if one.head_input is not None
        else (_NO_HEAD, shape(one.logits))
    )
    return said


def last_dim(facts: Facts) -> list[Said]:
    """Why there are so many scores."""
    one = facts.last_dim
    figures = f"{one.vocab_size:,} scores"
    if one.tokens is not None:
        figures += f"; {one.tokens:,} tokens in {one.tokenizer.split(' with ')[0]}"
    if one.tokens is not None and one.vocab_size > one.tokens:
        figures += f", and {one.vocab_size - one.tokens:,} rows that only round the number up"
    return [
        (
            "The model is autoregressive: its one task is to say which token comes next. Any token of the "
            "vocabulary could, so each needs a score of its own. That is what the last dimension holds: one "
            "place for every token.",
            figures if one.tokens is not None else f"{figures}; no tokenizer to compare with",
        ),
        (
            "It does so at every position at once. Each row scores what follows its token, and sees only that "
            "token and those before it, so the rows stay as they are when the text goes on.",
            f"{one.rows} row{'s' if one.rows > 1 else ''}; with one more token at the end they differ by "
            f"{small(one.causal_difference)}"
            if one.causal_difference is not None
            else "not compared: the model gives the last row alone, or has no room for one more token",
        ),
        (
            "A row of logits is no probability yet. The numbers can be negative, and only the differences "
            "between them count: 100 more for each changes nothing.",
            f"the last row goes from {one.lowest:.4g} to {one.highest:.4g}, the greatest for "
            f"{token(one.best)}; with 100 more, probabilities differ by {small(one.shift_difference)}",
        ),
    ]


def projection(facts: Facts) -> list[Said]:
    """How the head makes scores of a vector."""
    one, parts = facts.projection, facts.parts
    if one is None:
        return [(_NO_HEAD, shape(facts.flow.logits))]
    width, size = parts.width_name, parts.vocabulary_name
    formula = "y = x·Wᵀ + b, with a bias b for each token" if one.has_bias else "y = x·Wᵀ, without a bias"
    by_hand = "; ".join(
        f"{token(each.token)} {each.product:.4f}, the model says {each.logit:.4f}" for each in one.by_hand
    )
    return [
        (
            f"`{parts.head}` is one matrix product: {formula}. W has a row for each token and a column for "
            f"each of the {width} numbers.",
            f"W [{size}, {width}] = {shape(one.weight)}, {one.weight[0] * one.weight[1]:,} numbers",
        ),
        (
            "So each row of W is one token's direction, and a logit is the dot product of the vector x with "
            "that row: large where both point the same way. Multiplied and added up by hand, the likeliest "
            "tokens get just the model's scores.",
            by_hand,
        ),
        (
            "The map is linear: twice the vector gives twice the scores, and the scores of a sum are the sum "
            "of the scores. All that is clever has happened before, in the blocks.",
            f"W(2x) and 2·Wx differ by {small(one.doubling_difference)}, W(x+z) and Wx + Wz by "
            f"{small(one.adding_difference)}",
        ),
        (
            f"All {one.weight[0]:,} scores come from {one.weight[1]} numbers, so {width} bounds how many "
            "different things a vector can say. With only the first half of its numbers, this one would say "
            "something else.",
            f"{one.half} of {one.weight[1]} numbers: correlation with the real scores "
            f"{_correlation(one.half_correlation)}; likeliest then {token(one.half_best)}, really {token(one.best)}",
        ),
    ]


def probabilities(facts: Facts) -> list[Said]:
    """Softmax."""
    one = facts.probabilities
    heats = ", ".join(f"T = {heat:g}: {percent(chance)}" for heat, chance in one.at_temperature)
    return [
        (
            "Softmax over the last dimension turns a row of logits into probabilities, pᵢ = exp(yᵢ) / "
            "Σ exp(yⱼ). None is negative, and at every position they sum to 1.",
            f"{one.rows} row{'s' if one.rows > 1 else ''}, sums from {one.lowest_sum:.9f} to "
            f"{one.highest_sum:.9f}; the smallest probability is {percent(one.smallest)}",
        ),
        (
            "The ranking stays that of the logits, since exp only grows. To find the likeliest token, softmax "
            "is not needed.",
            f"the {one.ordered} likeliest are in the same order, {token(one.first)} first",
        ),
        (
            "The difference of two logits is the logarithm of the ratio of their probabilities.",
            f"{token(one.first)} and {token(one.second)}: {one.logits[0]:.4f} − {one.logits[1]:.4f} = "
            f"{one.logits[0] - one.logits[1]:.5f}, ln(p₁/p₂) = {one.log_ratio:.5f}",
        ),
        (
            "Dividing the logits by a temperature T first makes the choice bolder (T below 1) or more even "
            "(above 1). The ranking stays.",
            f"{token(one.first)} at {heats}",
        ),
    ]


def training(facts: Facts) -> list[Said]:
    """The loss."""
    one = facts.training
    if one is None:
        return [
            (
                "Nothing can be shown of training here: that takes a text of two tokens or more, logits at every "
                "position, and an output head that makes them and can be found.",
                f"logits {shape(facts.flow.logits)}",
            )
        ]
    return [
        (
            "Every position is a question whose answer is known: the next token of the text. The logits are "
            "laid out as [batch·seq_len, vocab_size] beside the answers [batch·seq_len], and the loss is the "
            "mean of −ln p(answer), the cross-entropy. The last position has no answer yet.",
            f"[{one.pairs}, {one.vocab_size}] beside [{one.pairs}]: loss {one.cross_entropy:.6f}, by hand "
            f"{one.by_hand:.6f}",
        ),
        (
            "A model that knows nothing gives every token the same probability, and its loss is "
            "ln(vocab_size). Training starts about there, and goes down.",
            f"ln {one.vocab_size:,} = {one.uniform:.4f}, with all logits equal {one.uniform_measured:.4f}; "
            f"this model on this text: {one.cross_entropy:.4f}",
        ),
        (
            "For each token the gradient of the loss by its logit is its probability, less 1 for the answer. "
            "One step of W against it lifts the answer's logit and lowers all others.",
            f"{token(one.answer)} after {token(one.before)}, learning rate {one.learning_rate:.3g}: logit "
            f"{one.logits[0]:.4f} → {one.logits[1]:.4f}, the others {one.others:+.1e} on average, loss "
            f"{one.losses[0]:.4f} → {one.losses[1]:.4f}",
        ),
    ]


def inference(facts: Facts) -> list[Said]:
    """One step, both ways."""
    one = facts.inference
    expected = one.draws * one.greedy_probability
    return [
        (
            "To go on, only the last row counts: it scores what follows the whole text. The output head can "
            "leave out all others.",
            f"the head on the last vector alone and row {one.rows} of {one.rows} differ by "
            f"{_small_or_none(one.row_difference)}",
        ),
        (
            "Greedy: take the likeliest token. The same text gives the same token every time.",
            f"{token(one.greedy)}, id {one.greedy.id}, {percent(one.greedy_probability)}; "
            f"{'the same' if one.greedy_again else 'another one'} in a second run",
        ),
        (
            "Sampled: draw a token by the probabilities. Drawn many times, each comes about as often as its "
            "probability says.",
            f"seed {one.seed} draws {token(one.sampled)} ({percent(one.sampled_probability)}); of "
            f"{one.draws:,} draws {one.greedy_drawn:,} are {token(one.greedy)}, {expected:,.1f} expected",
        ),
        (
            "The token is put at the end of the text, seq_len grows by one, and all begins again.",
            f"{token(one.greedy)} added: logits {shape(one.longer)}; next comes {token(one.then)}"
            if one.then is not None
            else "the context is full: the model would see the last tokens only",
        ),
    ]


def tying(facts: Facts) -> list[Said]:
    """Shared or not."""
    one, parts = facts.tying, facts.parts
    if one is None:
        return [("This model has no table of tokens at its entrance and at its exit to compare.", "none")]
    separate = f"{one.separate:,} parameters, {mebibytes(one.separate, one.bytes_per_number)}"
    shared = f"{one.shared:,} parameters, {mebibytes(one.shared, one.bytes_per_number)}"
    same = (
        f"The table at the entrance and the matrix at the exit both have one row of {parts.width_name} numbers "
        "for every token, so one could serve as both (weight tying)."
    )
    return [
        (
            same,
            f"`{parts.token_embedding}` {shape(one.embedding)}, `{parts.head}` {shape(one.head)}",
        ),
        ("Here they are one and the same tensor.", f"{shared}; as two they would be {separate}")
        if one.is_tied
        else ("Here they are two.", f"{separate}; as one they would be {shared}"),
    ]


def _times(factor: float) -> str:
    return "" if factor == 1 else f", times {factor:.4g},"


def _correlation(found: float | None) -> str:
    return "none, since all scores are the same" if found is None else f"{found:.3f}"


def _small_or_none(difference: float | None) -> str:
    return "nothing that could be measured" if difference is None else small(difference)
