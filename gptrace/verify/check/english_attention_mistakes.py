"""The likely mistakes of masks, axes, scales and positions in English, as in `english_mistakes`."""

from __future__ import annotations

ATTENTION = {
    "no-mask": (
        "the scores reach the softmax without a causal mask",
        (
            "scores = scores.masked_fill(mask, -torch.inf), where mask is True for keys after the "
            "query, as in torch.ones(T, T, dtype=torch.bool).triu(1); is_causal=True in fused "
            "attention"
        ),
    ),
    "mask-wrong": (
        "the mask does not hide exactly the keys after each query",
        "the rows of these scores are keys: torch.ones(T, T, dtype=torch.bool).triu(1){transpose} is "
        "True for the keys to hide",
        "torch.ones(T, T, dtype=torch.bool).triu(diagonal=1) is True for the keys to hide",
    ),
    "mask-uniform": (
        "the mask is the same for every query and key, so it hides nothing",
        (
            "torch.ones(T, T, dtype=torch.bool).triu(diagonal=1) is True for the keys to hide; rows "
            "and columns both begin at 0"
        ),
    ),
    "mask-inverted": (
        "the mask is used the wrong way round: it hides earlier keys and shows later ones",
        (
            "fill where the key comes after the query: with a triu(1) mask where it is True, with a "
            "tril mask where it is 0"
        ),
    ),
    "mask-weak": (
        "the fill value is too close to the other scores, so hidden keys keep some weight",
        "fill with -torch.inf, or torch.finfo(scores.dtype).min",
    ),
    "mask-late": (
        "the mask comes after the softmax, whose sums contain the hidden keys already",
        "mask the scores with -torch.inf before the softmax",
    ),
    "mask-discarded": (
        "masked_fill returns a new tensor, and the result is not used",
        "assign the result, as in scores = scores.masked_fill(…), or call masked_fill_",
    ),
    "softmax-axis": (
        "the softmax runs over another axis than the keys",
        "torch.softmax(scores, dim={axis}): that is the axis of the keys in these scores",
        "torch.softmax(scores, dim=-1): keys are the last axis of scores",
    ),
    "softmax-twice": (
        "a softmax runs over weights that another one made: keys that the mask hides have a weight of 0, and "
        "get some again",
        "one softmax alone, of the masked scores",
    ),
    "mixes-keys": (
        "later keys get weight after the mask",
        "apply the mask last, right before the softmax",
    ),
    "pooled": (
        "it mixes all tokens into one value, which each position then gets",
        "compute it over the features, dim=-1, or over earlier positions only",
    ),
    "other-lanes": (
        (
            "from here on there is no longer one row of numbers for each token, but slices or frequencies, "
            "for example; this or a later operation lets later tokens in"
        ),
        "use only positions up to t for position t",
    ),
    "scrambled": (
        "{operation} cuts the memory in another order, so that heads or features end up among the tokens",
        (
            "split with x.view({B}, {T}, {n_heads}, {head_dim}).transpose(1, 2), and merge with "
            "x.transpose(1, 2).reshape({B}, {T}, -1)"
        ),
        (
            "split heads off the last axis, and then transpose(1, 2); to merge, transpose(1, 2) first, and "
            "then reshape to [batch, seq_len, width]"
        ),
    ),
    "moved": (
        "it brings later tokens to earlier positions",
        "shift the other way, or pad on the left",
    ),
    "mixes": (
        "it lets later tokens reach earlier positions",
        "use only positions up to t for position t, for example by padding on the left",
    ),
    "other-axis": (
        "queries and keys are multiplied over the wrong axes, for lack of a transpose(1, 2)",
        "bring tokens to the second last axis: x.view({B}, {T}, {n_heads}, {head_dim}).transpose(1, 2)",
        "bring tokens to the second last axis: split heads off the last axis, and then transpose(1, 2)",
    ),
    "batch-scrambled": (
        "{operation} cuts the memory across prompts",
        "keep batch as the first axis, and use transpose to change the order of axes",
    ),
    "batch-mixed": (
        "it computes across the prompts of the batch",
        "keep the batch axis apart: reduce over features or tokens only",
    ),
    "one-prompt": (
        "the line is written for a single prompt, and here are several",
        (
            "take the batch from the input, as in B, T = ids.shape, and keep it as the first axis: "
            "x.view(B, T, {n_heads}, {head_dim}), not x.view(T, …) or x.view(1, T, …)"
        ),
        (
            "take the batch from the input, as in B, T = ids.shape, and keep it as the first axis: "
            "x.view(B, T, …), not x.view(T, …) or x.view(1, T, …)"
        ),
    ),
    "positions-of-prompts": (
        "there are as many positions as prompts, in place of one for each token",
        "count the tokens of the input: torch.arange(ids.shape[1])",
    ),
    "prompts-lost": (
        "from here on the prompts of a batch are no longer the first axis",
        "keep batch as the first axis: neither ids[0] nor x.view(1, -1, D)",
    ),
    "padding-seen": (
        "the attention mask of the padding is not applied here",
        "add the mask to the scores of every query, on the axis of the keys",
    ),
    "length-matters": (
        "what it gives for earlier tokens depends on how many tokens there are",
        "use sizes that do not change with the length, such as head_dim; split heads before tokens are mixed",
    ),
    "no-softmax": (
        "the weights do not go through a softmax over the keys",
        "torch.softmax(scores, dim=-1)",
    ),
    "rescaled": (
        "the weights are changed after the softmax",
        "scale the scores before the softmax, and leave the weights as they are",
    ),
    "unscaled": (
        "the scores are not scaled",
        "divide them by {head_dim_factor}**0.5",
        "divide them by the square root of head_dim, the size of the last axis of queries and keys",
    ),
    "multiplied": (
        "the scores are multiplied by √head_dim in place of divided by it",
        "divide them by {head_dim_factor}**0.5",
        "divide them by the square root of head_dim, the size of the last axis of queries and keys",
    ),
    "not-rooted": (
        "the scores are divided by head_dim, or twice by its root",
        "divide once, by {head_dim_factor}**0.5",
        "divide once, by the square root of head_dim, the size of the last axis of queries and keys",
    ),
    "scaled-by-dim": (
        "the scores are multiplied by head_dim",
        "divide them by {head_dim_factor}**0.5",
        "divide them by the square root of head_dim, the size of the last axis of queries and keys",
    ),
    "scaled-by-other-size": (
        "the scores are divided by the root of another size than head_dim",
        "scores / keys.shape[-1]**0.5, after the heads are split",
    ),
    "positions-equal": (
        "every position looks up the same row of the table",
        "torch.arange(T, device=ids.device)",
    ),
    "positions-not-added": (
        "the positions are looked up, and the result is not used",
        "add them to the token embeddings, as in x = tok_embeds + pos_embeds",
    ),
    "positions-unused": (
        "{name} exists and is not used",
        "add {name} of the positions, torch.arange(T), to the token embeddings",
    ),
    "no-positions": (
        "nothing tells the positions apart",
        "add a position embedding, rotate queries and keys, or bias the scores by distance",
    ),
}
