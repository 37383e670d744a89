"""Mistakes that make NaN or Inf of ordinary numbers."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from tests.models.experiments.numbers import makes_nan, makes_nan_of
from tests.models.mistakes.mistake import Mistake, edit

# NaN differs from everything, itself included.
_ANY = (
    "causal", "tokens-stay-apart", "batch", "padding", "attention-sums", "positions-matter", "deterministic",
    "vocabulary", "logits", "start-loss", "loss-labels", "gradients",
)  # fmt: skip

MISTAKES = (
    Mistake(
        name="mask_hides_the_token_itself",
        base="course_gpt",
        edits=edit("context_length), diagonal=1)", "context_length), diagonal=0)"),
        check="finite",
        guilty=("attn_weights = torch.softmax(", "context_length), diagonal=0)", "attn_scores.masked_fill_("),
        belief="A token must not see itself; the first one then sees nothing, and softmax of nothing is NaN.",
        shown_by=makes_nan,
        also=_ANY,
    ),
    Mistake(
        name="mask_is_cropped_at_two_ends",
        base="nano_gpt",
        edits=edit("self.bias[:, :, :T, :T] == 0", "self.bias[:, :, :T, -T:] == 0"),
        check="finite",
        guilty=("att = F.softmax(att, dim=-1)", "att = att.masked_fill("),
        belief="The last T columns are the T keys.",
        shown_by=makes_nan,
        also=_ANY,
    ),
    Mistake(
        name="true_means_seen_in_multihead_attention",
        base="torch_attention",
        edits=edit(
            "attn_mask = torch.triu(torch.ones(seq_len, seq_len, "
            "dtype=torch.bool, device=x.device), diagonal=1)",
            "attn_mask = torch.tril(torch.ones(seq_len, seq_len, dtype=torch.bool, device=x.device))",
        ),
        check="finite",
        guilty=("attn_out, _ = self.mha(", "attn_mask = torch.tril("),
        belief="True shows a key, as in scaled_dot_product_attention; "
        "for nn.MultiheadAttention it hides one.",
        shown_by=makes_nan,
        also=_ANY,
    ),
    Mistake(
        name="zero_times_infinity",
        base="post_norm",
        edits=edit("w = w * b + -1e9 * (1 - b)", 'w = w * b + float("-inf") * (1 - b)'),
        check="finite",
        guilty=('w = w * b + float("-inf")',),
        belief="-inf is a safer number than -1e9; times 0 it is NaN.",
        shown_by=makes_nan,
        also=_ANY,
    ),
    Mistake(
        name="features_may_all_be_zero",
        base="linear_attention",
        edits=edit("q, k = F.elu(q) + 1, F.elu(k) + 1", "q, k = F.relu(q), F.relu(k)"),
        check="finite",
        guilty=('out = torch.einsum("bhtd,bhtde->bhte", q, kv) / normaliser', "q, k = F.relu(q), F.relu(k)"),
        belief="Any feature map without negative numbers will do; the sum that is divided by may be 0.",
        shown_by=makes_nan,
        also=_ANY,
    ),
    Mistake(
        name="nothing_came_before_the_first_token",
        base="token_shift",
        edits=edit("(numerator + now * v[:, t]) / (denominator + now)", "numerator / denominator"),
        check="finite",
        guilty=("steps.append(numerator / denominator)",),
        belief="The average is over the tokens before this one; the first one has none.",
        shown_by=makes_nan,
        also=_ANY,
    ),
    Mistake(
        name="norm_of_a_row_of_zeros",
        base="relative_bias",
        edits=edit(
            "torch.rsqrt(variance + self.eps)",
            "torch.rsqrt(variance)",
            "self.shared = nn.Embedding(vocab_size, d_model)",
            "self.shared = nn.Embedding(vocab_size, d_model, padding_idx=0)",
        ),
        check="finite",
        guilty=("torch.rsqrt(variance)", "self.shared = nn.Embedding(vocab_size, d_model, padding_idx=0)"),
        belief="eps is for looks; the row of the padding token is zeros, and its variance 0.",
        shown_by=makes_nan_of(torch.tensor([[0, 5, 3]])),
        also=_ANY,
    ),
    Mistake(
        name="softmax_over_the_heads_of_masked_scores",
        base="rotary_functional",
        edits=edit("p = w.softmax(-1)", "p = w.softmax(1)"),
        check="finite",
        guilty=("p = w.softmax(1)",),
        belief="The keys come after the batch.",
        shown_by=makes_nan,
        also=_ANY,
    ),
)
