"""What the English explanation says of attention. `topics.attention` makes the keys."""

from __future__ import annotations

from gptrace.predict.explain.catalog import Sentence

_EXCHANGE = "In attention, tokens exchange information: each one looks at others and collects what they hold."
_AXES = "batch is how many texts run side by side, seq_len how many tokens each of them has"
_FOUND = "found {count:time|times}, first in `{place}`"
_THREE = (
    "Each token's vector becomes three others: a query (what this token looks for), a key (what it "
    "offers) and a value (what it passes on). "
)
_HEADS = (
    _THREE + "There are {heads:head|heads}, counted from 0, which do this side by side, each in its own way."
)
_QUERIES = {
    "": _HEADS,
    "_one": _THREE + "There is one head, which does this.",
    "_one_by_one": _THREE + "Attention is computed one head at a time here.",
    "_shared": _HEADS + " Several heads share keys and values, which saves memory: there are keys for "
    "{key_heads:head|heads} only.",
    "_shared_apart": _HEADS + " Several heads share keys or values, which saves memory: there are keys for "
    "{key_heads:head|heads} and values for {value_heads:head|heads}.",
}
_THREE_FIGURES = (
    "[batch, n_heads, seq_len, head_dim]: queries {queries:shape}, keys {keys:shape}, values {values:shape}"
)
_STABLE = "; with another last token, those of the others differ by {difference:small}"
_SCORE = (
    "A score says how well a key fits a query: their dot product, {factor}. Each head has a score for every "
    "pair of tokens: a row for each query, a column for each key."
)
_USUAL = "divided by √head_dim so that it does not grow with head_dim"
_SCORE_FIGURES = (
    "[batch, n_heads, seq_len, seq_len] = {score_shape:shape}; head 0, query of {query:token}, key of "
    "{key:token}: "
)
_PRODUCT = "{dot:.4f} × {factor:.4g} = {by_hand:.4f}"
_SCORED = _SCORE_FIGURES + _PRODUCT + ", the model has {score:.4f}"
_MASK = "A token must not look at later ones, which it learns to predict. "
_MASKED = _MASK + "The mask sets their scores to −∞ (or far below 0) before softmax, so their weights are 0."
_LATER = "the greatest weight of a later token, over {head_total:head|heads}, is {later:small}"
_SOFTMAX = (
    "Softmax over the keys turns each row of scores into weights: how much a query takes from each token."
)
_SUMS = "head 0, the query of the last token takes most from {looks:each}"
_SHARE = "{token:token} {share:percent}"
_COLLECT = (
    "Each token collects the sum of the values, times its weights: most from the tokens that it looks at."
)
_MIXED = (
    "weights {score_shape:shape} × values {values:shape} → {output:shape}; by hand, they differ by "
    "{difference:small}"
)
_JOINED = (
    "Each head worked by itself; now the results stand side by side again in one vector for each token: "
    "{heads} × {each} = {total} numbers."
)
_LOOKED = (
    "{share:percent} on average over {looked:query|queries} of this text; shared evenly: {look.even:percent}"
)
_TRY = "to see it: gptrace explain --topic attention --model small"

ATTENTION = {
    # attention
    "attention": Sentence(
        f"{_EXCHANGE} It takes a vector for each token, [batch, seq_len, {{width}}]: {_AXES}, {{width}} "
        f"how many numbers stand for a token.",
        "{vectors:shape}: 1 text, {tokens:token|tokens}, {numbers:number|numbers} for each; " + _FOUND,
    ),
    "attention_ids": Sentence(
        f"{_EXCHANGE} The model starts from ids [batch, seq_len]: {_AXES}.",
        "{ids:shape}: 1 text, {tokens:token|tokens}; " + _FOUND,
    ),
    "no_attention": Sentence(
        "No attention was found in this model: softmax over products of queries and keys, then a product "
        "with values. Some models do this in other ways, or let tokens exchange information without "
        "attention, as convolutions and state spaces do.",
        "none",
    ),
    "attention_of_others": Sentence(
        "This model attends, but its weights could not be read as one query and one key for each token "
        "of the text: it may cut the text into chunks, put heads and tokens on one axis, join scores or "
        "weights that it computes head by head, or attend to more than the text.",
        "{count:place|places}",
    ),
    **{f"attention_queries{kind}": Sentence(text, _THREE_FIGURES) for kind, text in _QUERIES.items()},
    **{
        f"attention_queries{kind}_measured": Sentence(text, _THREE_FIGURES + _STABLE)
        for kind, text in _QUERIES.items()
    },
    "attention_queries_mixed": Sentence(
        _HEADS,
        _THREE_FIGURES + "; with another last token, those of the others change by {difference:small}",
    ),
    "attention_scores": Sentence(_SCORE.format(factor=_USUAL), _SCORED),
    "attention_scores_fused": Sentence(
        _SCORE.format(factor=_USUAL)
        + " Here one fused function does it all and shows no scores, so they are "
        "computed again.",
        _SCORE_FIGURES + _PRODUCT,
    ),
    "attention_scores_own_factor": Sentence(
        _SCORE.format(factor="times a number of this model's own"), _SCORED + "; 1/√head_dim is {usual:.4g}"
    ),
    "attention_scores_distance": Sentence(
        _SCORE.format(factor="times a number")
        + " Then this model adds something that depends on the distance "
        "between the two tokens alone: so it knows the order of the tokens.",
        _SCORED,
    ),
    "attention_scores_bent": Sentence(
        _SCORE.format(factor="times a number")
        + " Then this model bends the scores, as a cap does: a greater "
        "product still has no smaller score.",
        _SCORED,
    ),
    "attention_scores_zero": Sentence(
        _SCORE.format(factor="times a number")
        + " All products are 0 here, as where the weights of queries or keys start at 0, so this number "
        "cannot be found.",
        _SCORE_FIGURES + "the dot product is 0",
    ),
    "attention_scores_changed": Sentence(
        _SCORE.format(factor="mostly divided by √head_dim")
        + " How this model makes its scores was not found: "
        "something else comes in.",
        _SCORED,
    ),
    "attention_scores_unmeasured": Sentence(
        _SCORE.format(factor="mostly divided by √head_dim"),
        "not measured: the scores of this model stand for more than pairs of tokens, or cannot be seen",
    ),
    "attention_mask": Sentence(_MASKED, _LATER),
    "attention_mask_after": Sentence(
        _MASK + "Softmax gives them weights here, which this model sets to 0 afterwards.", _LATER
    ),
    "attention_mask_unknown": Sentence(_MASK + "Their weights are 0.", _LATER),
    "attention_mask_unmeasured": Sentence(_MASKED, "not measured: the text has one token, and none is later"),
    "attention_window": Sentence(
        "A sliding window hides tokens far back: a query looks at the last ones alone, its own included.",
        "{sizes:each}",
        "the last {window:token|tokens} in {places} of {count:place|places}",
        ", ",
    ),
    "attention_holes": Sentence(
        "Some queries give no weight to some earlier tokens: these are masked as well, or their scores are "
        "far below the others.",
        "the query of the last token looks at {seen:each} of {tokens:token|tokens}; in {places} of "
        "{count:place|places}",
        "{number}",
        " to ",
    ),
    "attention_mask_elsewhere": Sentence(
        "Some queries look at later tokens here. Whether this is right depends on the model: an encoder "
        "may, and a GPT may not.",
        "the greatest weight of a later token is {later:percent}, in {looking} of {count:place|places}; "
        "nothing shows that it reaches the logits of earlier tokens",
    ),
    "attention_weights": Sentence(
        _SOFTMAX + " They sum to 1.",
        "{head_total:head|heads} × {rows:query|queries}: the sums differ from 1 by {sums:small}; " + _SUMS,
        _SHARE,
        ", ",
    ),
    "attention_weights_sink": Sentence(
        _SOFTMAX
        + " They sum to 1 together with the weights of keys that belong to no token: a query that finds "
        "nothing can look there.",
        "{more:such key|such keys}; " + _SUMS,
        _SHARE,
        ", ",
    ),
    "attention_weights_changed": Sentence(
        _SOFTMAX + " These sum to 1, and then this model changes them before it uses them.",
        "the sums of those in use differ from 1 by up to {sums:.3g}; " + _SUMS,
        _SHARE,
        ", ",
    ),
    "attention_weights_unmeasured": Sentence(
        _SOFTMAX,
        "the sums of the weights differ from 1 by up to {sums:.3g}; why was not found; " + _SUMS,
        _SHARE,
        ", ",
    ),
    "attention_values": Sentence(_COLLECT, _MIXED),
    "attention_values_fused": Sentence(
        _COLLECT + " The fused function does just this.",
        "weights {score_shape:shape} × values {values:shape} → {output:shape}; what it returns and the "
        "sums by hand differ by {difference:small}",
    ),
    "attention_values_unmeasured": Sentence(
        _COLLECT, "not measured: what this model makes of the values was not found"
    ),
    "attention_joined": Sentence(_JOINED, "[batch, seq_len, {total}] = {joined:shape}"),
    "attention_projected": Sentence(
        _JOINED + " One more layer mixes what the heads found, and the result has {width} numbers again.",
        "{joined:shape} → {projected:shape}",
    ),
    "attention_joined_unmeasured": Sentence(
        "After that, the results of the heads are joined to one vector for each token.",
        "not measured: the layer that takes all heads as they are was not found",
    ),
    "attention_previous": Sentence(
        "Of all {head_total:head|heads}, head {look.number} of `{look.path}` looks at the token just "
        "before the query the most.",
        _LOOKED,
    ),
    "attention_previous_weak": Sentence(
        "No head looks much at the token just before the query, in this text. Head {look.number} of "
        "`{look.path}` comes first.",
        _LOOKED,
    ),
    "attention_first": Sentence(
        "Head {look.number} of `{look.path}` looks at the first token of the text the most. Heads often "
        "do so when they find nothing that they look for.",
        _LOOKED,
    ),
    "attention_first_weak": Sentence(
        "No head looks much at the first token, in this text. Head {look.number} of `{look.path}` comes "
        "first.",
        _LOOKED,
    ),
    "attention_noise": Sentence(
        "What a head looks at is learned. These weights are random, so here it is noise. In a trained "
        "model, one head looks at the token before, for example, and another one at the first token.",
        "not measured; " + _TRY,
    ),
    "attention_noise_unknown": Sentence(
        "What a head looks at is learned. Whether this model is trained is not known; where its weights are "
        "random, the next two sentences are noise.",
        "for a trained model: gptrace explain --topic attention --model small",
    ),
    "attention_looks_unmeasured": Sentence(
        "What a head looks at is learned: one looks at the token before, for example, and another one at the "
        "first token.",
        "not measured: this takes a text of three tokens or more",
    ),
}
ATTENTION_FAILURES = {
    "attention_queries_mixed": "Each token should have its own query, key and value, but here those of a "
    "token change with later tokens, before it looks at any: tokens are mixed up. A missing transpose does "
    "that, or a view in its place, or a norm or a mean over the tokens.",
    "attention_scores": "Scores are dot products of queries and keys, but not divided by √head_dim: this "
    "model multiplies by {factor:.4g}, and 1/√head_dim is {usual:.4g}. So softmax gets scores that are too "
    "large or too small.",
    "attention_mask": "Tokens look at later ones here, and the logits depend on them: there is no mask, or "
    "it hides too little. This model is not causal.",
    "attention_weights": "Softmax runs over the queries here, and not over the keys: so the weights of a "
    "query do not sum to 1.",
    "attention_weights because late": "The mask comes after softmax here. It takes weights away, and "
    "those that remain do not sum to 1.",
    "attention_joined": "The results of the heads are not joined token by token: the vector of a token holds "
    "numbers of others. Was a view taken where a transpose was needed?",
}
ATTENTION_FAILURES["attention_projected"] = ATTENTION_FAILURES["attention_joined"]
