"""What the English explanation says where a claim does not hold: the sentence that says what is."""

from __future__ import annotations

PROBABILITIES_RETURNED = (
    "A row of the output is a probability distribution already: the model applies softmax itself. So "
    "these are no logits, and probabilities made of them by another softmax are far too flat."
)
UNUSED_BLOCKS = (
    "What {named:each} returns is not used: what comes next takes the vectors that entered it. Is the "
    "result assigned, as in x = block(x)?"
)
UNUSED_NORM = (
    "`{norm}` runs before the output head, but `{head}` takes the vectors that entered this norm, and not "
    "those that it returns. Is the result assigned, as in x = norm(x)?"
)
_NOT_THE_SCORES = (
    "So each row of W is one token's direction, but the logits of this model are not the dot products of the "
    "vector x with these rows: the model changes the scores of the head before it returns them."
)
_NOT_A_PRODUCT = (
    "`{head}` has a matrix W, but does more than multiply by it: its scores are not those of x·Wᵀ."
)
_NOT_LINEAR = "The map is not linear: doubling or adding vectors does not double or add their scores."
_NOT_EVERY_POSITION = "`{head}`, the output head, does not score every position that the model returns."
_TOO_FEW_SCORES = "The last dimension holds fewer scores than the tokenizer has tokens."
FAILURES = {
    "tokens": "The tokenizer cuts the text into tokens. Joined together, they do not give the text again.",
    "token_embedding": "`{table}` is a table with a row for every token of the vocabulary, but the vectors "
    "that leave this layer are not its rows, nor a multiple of them.",
    "position_embedding": "`{table}` has a row for every position, but the rows are not used: with others, "
    "the logits are the same.",
    "blocks": "The vectors pass through {count:block|blocks}, and not all of these keep their shape.",
    "unused_blocks": UNUSED_BLOCKS,
    "unused_norm": UNUSED_NORM,
    "final_norm": "`{norm}` stands where the final norm does, but does not bring vectors to a common scale: "
    "twice the vector gives another result.",
    "output_head": _NOT_EVERY_POSITION,
    "output_head_of_other_width": _NOT_EVERY_POSITION,
    "vocabulary": _TOO_FEW_SCORES,
    "vocabulary_padded": _TOO_FEW_SCORES,
    "causal": "The rows change when the text goes on: they depend on tokens after their own, so this model "
    "is not causal.",
    "causal because random": "The rows change from run to run, even while the text stays the same: this "
    "model draws random numbers, or keeps something from one run to the next.",
    "probabilities_returned": PROBABILITIES_RETURNED,
    "matrix_product": _NOT_A_PRODUCT,
    "matrix_product_with_bias": _NOT_A_PRODUCT,
    "dot_product": _NOT_THE_SCORES,
    "dot_product_with_bias": _NOT_THE_SCORES,
    "linear": _NOT_LINEAR,
    "linear_with_bias": _NOT_LINEAR,
    "bottleneck": "All {vocab_size:,} scores come from {numbers} numbers, but the second half of the numbers "
    "in this vector changes next to nothing.",
    "last_row": "The last row depends on more than the last vector: the output head gives it other scores "
    "when it runs alone.",
    "greedy": "Greedy: take the likeliest token. A second run gave another one, so this model draws random "
    "numbers.",
    "next_step": "The token is appended to the text, but the model returns as many rows as before.",
}
