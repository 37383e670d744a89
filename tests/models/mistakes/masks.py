"""Mistakes about the causal mask: a query sees keys after it, or not even itself."""

from __future__ import annotations

from tests.models.experiments.attention import masked_keys_have_weight, weights_do_not_sum_to_one
from tests.models.experiments.dependence import leaks
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="mask_is_built_and_not_applied",
        base="course_gpt",
        edits=edit("        attn_scores.masked_fill_(mask_bool, -torch.inf)\n", ""),
        check="causal",
        guilty=(
            "attn_weights = torch.softmax(",
            "mask_bool = self.mask",
            "context_vec = (attn_weights @ values)",
        ),
        belief="A mask that is registered as a buffer takes effect by itself.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="masked_fill_returns_what_nobody_keeps",
        base="course_gpt",
        edits=edit("attn_scores.masked_fill_(mask_bool", "attn_scores.masked_fill(mask_bool"),
        check="causal",
        guilty=("attn_scores.masked_fill(mask_bool", "attn_weights = torch.softmax("),
        belief="masked_fill without an underscore changes the scores in place.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="mask_is_tril",
        base="course_gpt",
        edits=edit(
            "torch.triu(torch.ones(context_length, context_length), diagonal=1)",
            "torch.tril(torch.ones(context_length, context_length), diagonal=-1)",
        ),
        check="causal",
        guilty=(
            "torch.tril(torch.ones(",
            "attn_scores.masked_fill_(mask_bool",
            "attn_weights = torch.softmax(",
        ),
        belief="The lower triangle is what is filled with -inf, since it is what a causal mask looks like.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="mask_starts_two_above_the_diagonal",
        base="course_gpt",
        edits=edit("context_length), diagonal=1)", "context_length), diagonal=2)"),
        check="causal",
        guilty=(
            "context_length), diagonal=2)",
            "attn_scores.masked_fill_(mask_bool",
            "attn_weights = torch.softmax(",
        ),
        belief="diagonal=1 would hide the token itself.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="mask_is_filled_with_zero",
        base="nano_gpt",
        edits=edit('self.bias[:, :, :T, :T] == 0, float("-inf")', "self.bias[:, :, :T, :T] == 0, 0.0"),
        check="causal",
        guilty=("att = att.masked_fill(", "att = F.softmax(att"),
        belief="A score of 0 means no attention.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="mask_is_applied_after_softmax",
        base="nano_gpt",
        edits=edit(
            '        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))\n'
            "        att = F.softmax(att, dim=-1)\n",
            "        att = F.softmax(att, dim=-1)\n"
            "        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, 0.0)\n",
        ),
        check="attention-sums",
        guilty=("att = att.masked_fill(", "att = F.softmax(att"),
        belief="Weights that are set to 0 do no harm, so the order does not matter.",
        shown_by=masked_keys_have_weight,
        also=("causal", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="softmax_runs_over_the_queries",
        base="nano_gpt",
        edits=edit("att = F.softmax(att, dim=-1)", "att = F.softmax(att, dim=-2)"),
        check="attention-sums",
        guilty=("att = F.softmax(att, dim=-2)",),
        belief="Either of the two last axes is the keys.",
        shown_by=weights_do_not_sum_to_one,
        also=("causal", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="softmax_runs_over_the_heads",
        base="course_gpt",
        edits=edit("keys.shape[-1] ** 0.5, dim=-1)", "keys.shape[-1] ** 0.5, dim=1)"),
        check="attention-sums",
        guilty=("attn_weights = torch.softmax(",),
        belief="dim=1 is the axis of the tokens, as it is in x.",
        shown_by=weights_do_not_sum_to_one,
        also=("finite", "causal", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="additive_mask_has_ones",
        base="llama_like",
        edits=edit(
            'torch.full((seqlen, seqlen), float("-inf"), device', "torch.full((seqlen, seqlen), 1.0, device"
        ),
        check="causal",
        guilty=("mask = torch.full(", "scores = scores + mask", "weights = torch.softmax("),
        belief="A mask of ones can be added as it is.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="additive_mask_has_the_wrong_sign",
        base="llama_like",
        edits=edit("scores = scores + mask", "scores = scores - mask.clamp(min=-1e4)"),
        check="causal",
        guilty=("scores = scores - mask", "weights = torch.softmax("),
        belief="A mask is what is subtracted.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="is_causal_is_forgotten",
        base="sdpa_causal",
        edits=edit("dropout_p=p, is_causal=True)", "dropout_p=p)"),
        check="causal",
        guilty=("out = F.scaled_dot_product_attention(",),
        belief="scaled_dot_product_attention of a decoder is causal by default.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="boolean_mask_means_the_opposite",
        base="einsum_style",
        edits=edit("masked_fill(~causal.to(x.device), -1e9)", "masked_fill(causal.to(x.device), -1e9)"),
        check="causal",
        guilty=("scores = scores.masked_fill(causal", "pattern = scores.softmax("),
        belief="True in a mask means that a score is kept.",
        shown_by=leaks,
        also=("attention-sums", "tokens-stay-apart", "padding"),
    ),
)
