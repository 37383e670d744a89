"""Mistakes about axes: heads are split or merged so that lanes are no longer tokens."""

from __future__ import annotations

from tests.models.experiments.dependence import leaks, length_matters
from tests.models.mistakes.mistake import Mistake, edit

_ALSO = ("causal", "padding", "attention-sums")

MISTAKES = (
    Mistake(
        name="view_of_heads_without_transpose",
        base="min_gpt",
        edits=edit(
            "k = self.key(x).view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
            "k = self.key(x).view(B, self.n_head, T, C // self.n_head)",
            "q = self.query(x).view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
            "q = self.query(x).view(B, self.n_head, T, C // self.n_head)",
            "v = self.value(x).view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
            "v = self.value(x).view(B, self.n_head, T, C // self.n_head)",
        ),
        check="tokens-stay-apart",
        guilty=(
            "k = self.key(x).view(B, self.n_head",
            "q = self.query(x).view(B, self.n_head",
            "v = self.value(x).view(",
        ),
        belief="view puts the axes into the order that it is given.",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="view_of_course_heads_without_transpose",
        base="course_gpt",
        edits=edit(
            "keys = keys.view(b, num_tokens, self.num_heads, self.head_dim)",
            "keys = keys.view(b, self.num_heads, num_tokens, self.head_dim)",
            "values = values.view(b, num_tokens, self.num_heads, self.head_dim)",
            "values = values.view(b, self.num_heads, num_tokens, self.head_dim)",
            "queries = queries.view(b, num_tokens, self.num_heads, self.head_dim)",
            "queries = queries.view(b, self.num_heads, num_tokens, self.head_dim)",
            "        keys = keys.transpose(1, 2)\n        queries = queries.transpose(1, 2)\n"
            "        values = values.transpose(1, 2)\n\n",
            "",
        ),
        check="tokens-stay-apart",
        guilty=("keys = keys.view(", "values = values.view(", "queries = queries.view("),
        belief="The transposes are not needed, since view can write (b, "
        "num_heads, num_tokens, head_dim) at once.",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="values_alone_are_viewed_wrongly",
        base="llama_like",
        edits=edit(
            "v = self.v_proj(x).view(bsz, seqlen, self.n_kv_heads, self.head_dim).transpose(1, 2)",
            "v = self.v_proj(x).view(bsz, self.n_kv_heads, seqlen, self.head_dim)",
        ),
        check="tokens-stay-apart",
        guilty=("v = self.v_proj(x).view(",),
        belief="Values are not compared with anything, so the order of their axes does not matter.",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="heads_are_merged_without_transpose",
        base="nano_gpt",
        edits=edit("y = y.transpose(1, 2).contiguous().view(B, T, C)", "y = y.contiguous().view(B, T, C)"),
        check="tokens-stay-apart",
        guilty=("y = y.contiguous().view(B, T, C)",),
        belief="(B, nh, T, hs) has as many numbers as (B, T, C), so view merges the heads.",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="course_heads_are_merged_without_transpose",
        base="gpt_with_kv_cache",
        edits=edit(
            "context_vec = (attn_weights @ values).transpose(1, 2)", "context_vec = attn_weights @ values"
        ),
        check="tokens-stay-apart",
        guilty=(
            "context_vec = context_vec.reshape(b, num_tokens, self.d_out)",
            "context_vec = attn_weights @ values",
        ),
        belief="reshape finds the heads by itself.",
        shown_by=leaks,
        also=(*_ALSO, "cache"),
    ),
    Mistake(
        name="split_and_merged_without_transpose",
        base="min_gpt",
        edits=edit(
            "k = self.key(x).view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
            "k = self.key(x).view(B, self.n_head, T, C // self.n_head)",
            "q = self.query(x).view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
            "q = self.query(x).view(B, self.n_head, T, C // self.n_head)",
            "v = self.value(x).view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
            "v = self.value(x).view(B, self.n_head, T, C // self.n_head)",
            "y = y.transpose(1, 2).contiguous().view(B, T, C)",
            "y = y.view(B, T, C)",
        ),
        check="tokens-stay-apart",
        guilty=(
            "k = self.key(x).view(B, self.n_head",
            "q = self.query(x).view(B, self.n_head",
            "v = self.value(x).view(",
        ),
        belief="Split and merged the same way, it must come out right; a head is then a piece of the text.",
        shown_by=length_matters,
        also=(*_ALSO, "positions-matter"),
    ),
    Mistake(
        name="fused_projection_is_reshaped_wrongly",
        base="reshape_permute",
        edits=edit(
            "reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)",
            "reshape(B, 3, self.num_heads, N, C // self.num_heads).permute(1, 0, 2, 3, 4)",
        ),
        check="tokens-stay-apart",
        guilty=("qkv = self.qkv(x).reshape(",),
        belief="reshape to the axes that are wanted saves a part of the permute.",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="heads_are_merged_into_the_batch_wrongly",
        base="batch_second",
        edits=edit(
            "v = v.contiguous().view(tgt_len, bsz * self.num_heads, self.head_dim).transpose(0, 1)",
            "v = v.contiguous().view(bsz * self.num_heads, tgt_len, self.head_dim)",
        ),
        check="tokens-stay-apart",
        guilty=("v = v.contiguous().view(bsz",),
        belief="With contiguous() before it, view may name the axes in any order.",
        shown_by=leaks,
        also=(*_ALSO, "batch"),
    ),
    Mistake(
        name="scores_of_shared_keys_are_viewed_by_heads",
        base="multi_query",
        edits=edit(
            "scores = scores.view(batch, steps, self.heads, steps)",
            "scores = scores.view(batch, self.heads, steps, steps)",
            "allowed = allowed.view(1, steps, 1, steps)",
            "allowed = allowed.view(1, 1, steps, steps)",
        ),
        check="tokens-stay-apart",
        guilty=("scores = scores.view(batch, self.heads",),
        belief="Scores are always [batch, heads, queries, keys].",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="heads_of_a_list_are_joined_along_time",
        base="sliding_crop",
        edits=edit(
            "torch.cat([h(y) for h in self.heads], dim=-1)",
            "torch.cat([h(y) for h in self.heads], dim=1).view(x.shape)",
        ),
        check="tokens-stay-apart",
        guilty=("x = x + self.proj(torch.cat(",),
        belief="cat along dim=1 puts the heads side by side, and view restores the shape.",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="context_is_flattened_in_the_wrong_order",
        base="sdpa_causal",
        edits=edit("out = out.transpose(1, 2).flatten(2)", "out = out.reshape(b, n, d)"),
        check="tokens-stay-apart",
        guilty=("out = out.reshape(b, n, d)",),
        belief="reshape to [b, n, d] is what flatten does after the transpose.",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="all_three_are_viewed_wrongly_in_one_line",
        base="last_logits",
        edits=edit(
            "(y.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for y in (q, k, v))",
            "(y.reshape(B, self.n_head, T, C // self.n_head) for y in (q, k, v))",
        ),
        check="tokens-stay-apart",
        guilty=("q, k, v = (y.reshape(B, self.n_head",),
        belief="reshape turns axes around, where view only looks.",
        shown_by=leaks,
        also=_ALSO,
    ),
    Mistake(
        name="heads_are_merged_into_the_batch_without_transpose",
        base="positive_slopes",
        edits=edit(
            "query = query.transpose(1, 2).reshape(batch * self.n_head, length, self.head_dim)",
            "query = query.reshape(batch * self.n_head, length, self.head_dim)",
            "key = key.permute(0, 2, 3, 1).reshape(batch * self.n_head, self.head_dim, length)",
            "key = key.reshape(batch * self.n_head, length, self.head_dim).transpose(1, 2)",
            "value = value.transpose(1, 2).reshape(batch * self.n_head, length, self.head_dim)",
            "value = value.reshape(batch * self.n_head, length, self.head_dim)",
        ),
        check="tokens-stay-apart",
        guilty=("query = query.reshape(batch", "key = key.reshape(batch", "value = value.reshape(batch"),
        belief="batch * n_head in front makes each head a batch entry of its own.",
        shown_by=leaks,
        also=_ALSO,
    ),
)
