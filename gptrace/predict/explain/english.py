"""The explanation in English. `topics` makes the keys; `catalog` says what a template may hold."""

from __future__ import annotations

from gptrace.predict.explain.catalog import Catalog, Sentence
from gptrace.predict.explain.english_attention import ATTENTION, ATTENTION_FAILURES
from gptrace.predict.explain.english_failures import (
    FAILURES,
    PROBABILITIES_RETURNED,
    UNUSED_BLOCKS,
    UNUSED_NORM,
)
from gptrace.predict.explain.english_tokens import TOKENS
from gptrace.predict.explain.english_training import TRAINING

_TABLE = "`{table}` is a table with a row for every token of the vocabulary. Each id selects its row"
_NORM_FIGURES = "root mean square of the last vector: {before:.4g} → {after:.4g}"
_HEAD = (
    "`{head}`, the output head, gives every vector one score for each token of the vocabulary: the logits."
)
_VOCABULARY = (
    "A GPT is autoregressive: its one task is to predict the next token. Any token of the vocabulary could "
    "come next, so each needs a score of its own. The last dimension holds these scores, one for every token."
)
_MATRIX = "W has a row for each token and a column for each of the {width} numbers."
_MATRIX_FIGURES = "W [{vocabulary}, {width}] = {weight:shape}, {numbers:,} numbers"
_LARGE = (
    "large where x and the row point the same way. Computing the dot products by hand gives the same scores "
    "for the most likely tokens."
)
_DIRECTION = (
    "So each row of W is one token's direction, and a logit is the dot product of the vector x with that row"
)
_SCORE_DIRECTION = (
    "So each row of W is one token's direction, and its score is the dot product of the vector x with that "
    "row"
)
_BY_HAND = "{token:token} {product:.4f}, the model says {logit:.4f}"
_CHANGED = (
    "large where x and the row point the same way. This model changes the scores before it returns them, "
    "by a cap or a factor for example; the same tokens stay ahead."
)
_CHANGED_BY_HAND = "{token:token} {product:.4f}, `{head}` says {score:.4f}, the model {logit:.4f}"
_LINEAR = (
    "twice the vector gives twice the scores, and the scores of a sum are the sum of the scores. The head "
    "cannot do anything nonlinear; that is left to the rest of the model."
)
_LINEAR_FIGURES = "W(2x) and 2·Wx differ by {doubling:small}, W(x+z) and Wx + Wz by {adding:small}"
_BOTTLENECK = (
    "All {vocab_size:,} scores come from {numbers} numbers, which limits the combinations of scores that the "
    "model can produce."
)
_LAST_ROW = (
    "To continue a text, only the last row matters: it scores the token that follows the whole text. The "
    "output head can leave out all other rows."
)
_SHAPES = "`{table}` {weights:shape}, `{head}` {head_weight:shape}"
_PARAMETERS = "{parameters:,} parameters, {size:memory}"
_PARAMETERS_OTHERWISE = "{otherwise:,} parameters, {size_otherwise:memory}"

_TITLES = {
    "flow": "The path of a text through the model",
    "attention": "How tokens exchange information",
    "last-dim": "Why the last dimension is the size of the vocabulary",
    "projection": "How emb_dim becomes vocab_size",
    "probabilities": "From scores to probabilities",
    "training": "What training compares",
    "inference": "What happens when the model writes",
    "tying": "One table or two",
}
_SENTENCES = {
    # flow
    "token_embedding": Sentence(
        _TABLE + ": a vector of {width} numbers that stands for the token.",
        "{ids:shape} → {embedded:shape}; the rows of the table and the layer's output differ by "
        "{difference:small}",
    ),
    "token_embedding_scaled": Sentence(
        _TABLE + ", and the row is multiplied by a constant: a vector of {width} numbers that stands for the "
        "token.",
        "{ids:shape} → {embedded:shape}; the rows of the table, times {factor:.4g}, and the layer's output "
        "differ by {difference:small}",
    ),
    "token_embedding_changed": Sentence(
        _TABLE
        + ", and the layer changes the row, in the same way wherever the token stands: a vector of {width} "
        "numbers that stands for the token.",
        "{ids:shape} → {embedded:shape}; the rows of the table and the layer's output differ by "
        "{difference:.3g}; for the tokens in reverse order it returns the same vectors, to {reordered:small}",
    ),
    "token_embedding_unmeasured": Sentence(
        "`{table}` is the table of token embeddings. How its rows become the vectors was not found.",
        "not measured: the layer's output cannot be compared with the rows of the table",
    ),
    "no_token_embedding": Sentence("No table of token embeddings was found in this model.", "none"),
    "position_embedding": Sentence(
        "`{table}` has a row for every position. The row is added, so each vector now says which token it is "
        "and where it stands.",
        "{embedded:shape} + {positions:shape}; the input of `{block}` differs from this sum by "
        "{difference:small}",
    ),
    "position_embedding_among_others": Sentence(
        "`{table}` has a row for every position. The row is added, together with rows of {others:each}, so "
        "each vector now says which token it is and where it stands.",
        "{embedded:shape} + {positions:shape} + the others; the input of `{block}` differs from this sum by "
        "{difference:small}",
        "`{name}`",
        " and ",
    ),
    "position_embedding_weighted": Sentence(
        "`{table}` has a row for every position. The token embedding times {factors[0]:.4g} and the row "
        "times {factors[1]:.4g} are added, so each vector now says which token it is and where it stands.",
        "{embedded:shape}, {positions:shape}; the input of `{block}` differs from this sum by "
        "{difference:small}",
    ),
    "position_embedding_unmeasured": Sentence(
        "`{table}` has a row for every position. How its rows come into the model was not found: it may add "
        "something else as well, rescale them, or use them in attention alone.",
        "{positions:shape}; no module takes the sum of both embeddings alone",
    ),
    "no_position_embedding": Sentence(
        "No table of positions was found before the first block: the token embedding enters it unchanged. "
        "The order of the tokens has to come in later; most such models rotate queries and keys in attention "
        "(rotary positions).",
        "the input of `{block}` differs from the token embedding by {difference:small}",
    ),
    "block_input_changed": Sentence(
        "Before the first block, this model changes the vectors. How was not found: it may add positions "
        "that are in no table of this kind, or rescale or normalize the vectors.",
        "the input of `{block}` differs from the token embedding by {difference:.3g}",
    ),
    "block_input_unmeasured": Sentence(
        "Whether this model adds positions to the token embedding could not be measured.",
        "not measured: the token embedding and the first block's input were not found, or differ in shape",
    ),
    "blocks": Sentence(
        "The vectors pass through {count:block|blocks}. In a GPT, each block lets every position gather "
        "information from itself and the positions before it (attention), then transforms each position on "
        "its own (feed-forward). The result of each step is added to the step's input (residual connection). "
        "The shape stays the same.",
        "{kept} of {count:block|blocks}: {shape:shape} → {shape:shape}",
    ),
    "blocks_side_by_side": Sentence(
        "The model has {count:block|blocks}, and not all of them run one after the other: what comes after "
        "{named:each} takes the vectors that entered it as well, and its result is used later.",
        "{count:block|blocks}; with other numbers for the result of {named:each}, the logits change",
        "`{block}`",
        ", ",
    ),
    "blocks_without_effect": Sentence(
        "The model has {count:block|blocks}. What comes after {named:each} takes the vectors that entered "
        "it. Its result may be used elsewhere, but no effect on the logits was seen: it may be multiplied by "
        "a factor that is still zero, as in ReZero when training begins.",
        "{count:block|blocks}; without a visible effect: {named:each}",
        "`{block}`",
        ", ",
    ),
    "unused_blocks": Sentence(
        UNUSED_BLOCKS, "{count:block|blocks}; not used: {named:each}", "`{block}`", ", "
    ),
    "unused_norm": Sentence(UNUSED_NORM, _NORM_FIGURES),
    "no_blocks": Sentence("No list of blocks was found in this model.", "none"),
    "final_norm": Sentence(
        "`{norm}` brings every vector to a common scale: twice the vector gives the same result. The shape "
        "stays the same.",
        _NORM_FIGURES + "; the results for doubled vectors differ by {difference:small}",
    ),
    "final_norm_unmeasured": Sentence(
        "`{norm}` is the norm between the blocks and the output head. A norm brings every vector to a common "
        "scale.",
        _NORM_FIGURES + "; the norm could not be run on its own",
    ),
    "no_final_norm": Sentence("No norm was found between the blocks and the output head.", "none"),
    "output_head": Sentence(
        _HEAD + " Between the blocks the last dimension is always {width}; here it becomes {vocabulary}.",
        "{head_input:shape} → {logits:shape}",
    ),
    "output_head_of_other_width": Sentence(
        _HEAD + " In this model the last dimension changes before that, too.",
        "{head_input:shape} → {logits:shape}; widths before: {widths:shape}",
    ),
    "no_output_head": Sentence(
        "The layer that computes the scores was not found in this model, or is not a plain matrix. If the "
        "model has one, name it with --head PATH.",
        "{logits:shape}",
    ),
    # last-dim
    "vocabulary": Sentence(_VOCABULARY, "{vocab_size:,} scores; {tokens:,} tokens in {tokenizer}"),
    "vocabulary_padded": Sentence(
        _VOCABULARY,
        "{vocab_size:,} scores; {tokens:,} tokens in {tokenizer}; {others:score belongs|scores belong} to no "
        "token",
    ),
    "vocabulary_without_tokenizer": Sentence(
        _VOCABULARY, "{vocab_size:,} scores; no tokenizer of this model to compare with"
    ),
    "causal": Sentence(
        "The model computes such a row at every position at once. Each scores the next token, and depends "
        "only on its own token and those before it, so the rows stay the same when the text goes on.",
        "{rows:row|rows}; in a longer or shorter text they differ by {difference:small}",
    ),
    "causal_unmeasured": Sentence(
        "The model computes such a row at every position at once. In a causal model each row depends only on "
        "its own token and those before it, so the rows stay the same when the text goes on.",
        "not measured: no room for one more token, or no token that is not in the text already",
    ),
    "last_row_alone": Sentence(
        "A GPT computes such a row at every position at once. This model returns the last one alone.",
        "logits {logits:shape} for {tokens:token|tokens}",
    ),
    "logits": Sentence(
        "A row of logits is not a probability distribution yet. The numbers can be negative, and only the "
        "differences between them count: adding {added:g} to each changes no probability.",
        "the last row goes from {lowest:.4g} to {highest:.4g}, the greatest for {best:token}; with {added:g} "
        "added to each, probabilities differ by {difference:small}",
    ),
    "probabilities_returned": Sentence(
        PROBABILITIES_RETURNED,
        "the last row goes from {lowest:.4g} to {highest:.4g}, the greatest for {best:token}, and sums to "
        "{total:.6f}",
    ),
    # projection
    "matrix_product": Sentence(
        "`{head}` is one matrix product: y = x·Wᵀ, without a bias. " + _MATRIX,
        _MATRIX_FIGURES + "; x·Wᵀ gives {equal:,} of {scores:score|scores}",
    ),
    "matrix_product_with_bias": Sentence(
        "`{head}` is one matrix product: y = x·Wᵀ + b, with a bias b for each token. " + _MATRIX,
        _MATRIX_FIGURES + "; x·Wᵀ + b gives {equal:,} of {scores:score|scores}",
    ),
    "dot_product": Sentence(_DIRECTION + ": " + _LARGE, "{by_hand:each}", _BY_HAND, "; "),
    "dot_product_with_bias": Sentence(
        _DIRECTION + ", plus the token's bias: " + _LARGE, "{by_hand:each}", _BY_HAND, "; "
    ),
    "dot_product_changed": Sentence(
        _SCORE_DIRECTION + ": " + _CHANGED, "{by_hand:each}", _CHANGED_BY_HAND, "; "
    ),
    "dot_product_changed_with_bias": Sentence(
        _SCORE_DIRECTION + ", plus the token's bias: " + _CHANGED, "{by_hand:each}", _CHANGED_BY_HAND, "; "
    ),
    "linear": Sentence("The map is linear: " + _LINEAR, _LINEAR_FIGURES),
    "linear_with_bias": Sentence("Apart from the bias, the map is linear: " + _LINEAR, _LINEAR_FIGURES),
    "bottleneck": Sentence(
        _BOTTLENECK + " With only the first half of its numbers, this vector would give other scores.",
        "{half} of {numbers} numbers: correlation with the real scores {correlation:.3f}; likeliest then "
        "{best_of_half:token}, really {best:token}",
    ),
    "bottleneck_unmeasured": Sentence(
        _BOTTLENECK, "not measured: there are too few different scores to compare"
    ),
    # probabilities
    "softmax": Sentence(
        "Softmax over the last dimension turns a row of logits into probabilities, pᵢ = exp(yᵢ) / Σ exp(yⱼ). "
        "None is negative, and at every position they sum to 1.",
        "{rows:row|rows}, whose sums differ by {deviation:small} from 1 at most; the smallest "
        "probability is {smallest:percent}",
    ),
    "ranking": Sentence(
        "Softmax keeps the ranking of the logits, since exp is an increasing function. To find the likeliest "
        "token, softmax is not needed.",
        "the {count} likeliest are in the same order, {first:token} first",
    ),
    "log_ratio": Sentence(
        "The difference of two logits is the logarithm of the ratio of their probabilities.",
        "{first.token:token} and {second.token:token}: {first.logit:.4f} − {second.logit:.4f} = "
        "{difference:.5f}, ln(p₁/p₂) = {log_ratio:.5f}",
    ),
    "temperature": Sentence(
        "Dividing the logits by a temperature T before softmax makes the distribution sharper (T below 1) "
        "or flatter (T above 1). The ranking stays the same.",
        "{first:token} at {at_temperatures:each}",
        "T = {temperature:g}: {probability:percent}",
        ", ",
    ),
    # inference
    "last_row": Sentence(
        _LAST_ROW, "the head on the last vector alone and row {rows} of {rows} differ by {difference:small}"
    ),
    "last_row_unmeasured": Sentence(
        _LAST_ROW, "not measured: the output head was not found, or is not a plain matrix"
    ),
    "greedy": Sentence(
        "Greedy: take the likeliest token. The same text gives the same token every time.",
        "{token:token}, id {token.id}, {probability:percent}; a second run gives {second:token}",
    ),
    "sampled": Sentence(
        "Sampled: draw a token at random, according to the probabilities. In many draws, a token comes up "
        "about as often as its probability says.",
        "seed {seed} draws {token:token} ({probability:percent}); of {draws:,} draws {greedy_draws:,} are "
        "{greedy:token}, {expected:,.1f} expected",
    ),
    "next_step": Sentence(
        "The token is appended to the text, seq_len grows by one, and everything starts again.",
        "{token:token} added: logits {logits:shape}; next comes {following:token}",
    ),
    "context_full": Sentence(
        "The token is appended to the text, and everything starts again. Here the context is full: the first "
        "token of the text has to go before another one fits.",
        "not measured: no room for {token:token}",
    ),
    # tying
    "same_shape": Sentence(
        "The token embedding table and the weight matrix of the output head both have one row of {width} "
        "numbers for every token, so one tensor could serve as both (weight tying).",
        _SHAPES,
    ),
    "different_shapes": Sentence(
        "The token embedding table and the weight matrix of the output head have different shapes, so one "
        "tensor cannot serve as both (weight tying).",
        _SHAPES,
    ),
    "tied_in_part": Sentence(
        "The token embedding table and the weight matrix of the output head have different shapes, but share "
        "their memory: one is the beginning of the other (weight tying in part).",
        _SHAPES,
    ),
    "tied": Sentence(
        "In this model they are the same tensor.",
        _PARAMETERS + "; as two they would be " + _PARAMETERS_OTHERWISE,
    ),
    "untied": Sentence(
        "In this model they are two tensors.", _PARAMETERS + "; as one they would be " + _PARAMETERS_OTHERWISE
    ),
    "no_tables": Sentence(
        "The token embedding table or the matrix of the output head was not found: nothing to compare.",
        "none",
    ),
}
ENGLISH = Catalog(
    _TITLES,
    TOKENS | _SENTENCES | TRAINING | ATTENTION,
    FAILURES | ATTENTION_FAILURES,
    denial="This does not hold here: ",
)
