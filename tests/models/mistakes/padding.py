"""Mistakes that padding shows: what stands before or after a text, or its length, changes its logits."""

from __future__ import annotations

from tests.models.experiments.dependence import left_padding_matters, length_matters
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="attention_mask_is_ignored",
        base="hugging_face_style",
        edits=edit(
            "allowed = causal[None, None] & attention_mask[:, None, None, :].bool()",
            "allowed = causal[None, None]",
        ),
        check="padding",
        guilty=("allowed = causal[None, None]", "scores = scores.masked_fill(~allowed", "probs = F.softmax("),
        belief="The tokenizer takes care of padding.",
        shown_by=left_padding_matters,
    ),
    Mistake(
        name="attention_mask_hides_queries",
        base="hugging_face_style",
        edits=edit(
            "attention_mask[:, None, None, :].bool()", "attention_mask[:, None, past_length:, None].bool()"
        ),
        check="padding",
        guilty=("allowed = causal[None, None] &", "scores = scores.masked_fill(", "probs = F.softmax("),
        belief="What hides the rows of the padding hides the padding.",
        shown_by=left_padding_matters,
        also=("attention-sums",),
    ),
    Mistake(
        name="positions_count_the_padding",
        base="hugging_face_style",
        edits=edit(
            "position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)[:, past_length:]",
            "position_ids = torch.arange(past_length, total, device=input_ids.device)[None, :]",
        ),
        check="padding",
        guilty=("position_ids = torch.arange(", "self.position_embeddings(position_ids)"),
        belief="With an attention mask, padding on the left is invisible.",
        shown_by=left_padding_matters,
    ),
    Mistake(
        name="positions_count_from_the_end",
        base="nano_gpt",
        edits=edit(
            "pos = torch.arange(0, t, dtype=torch.long, device=idx.device)",
            "pos = torch.arange(t - 1, -1, -1, dtype=torch.long, device=idx.device)",
        ),
        check="padding",
        guilty=(
            "pos = torch.arange(t - 1, -1, -1",
            "pos_emb = self.transformer.wpe(pos)",
            "tok_emb + pos_emb",
        ),
        belief="The newest token should be position 0, since it matters most.",
        shown_by=length_matters,
        also=("causal", "cache", "tokens-stay-apart"),
    ),
    Mistake(
        name="positions_are_the_last_rows_of_the_table",
        base="softmax_by_hand",
        edits=edit("self.wpe.weight[: ids.shape[1]]", "self.wpe.weight[-ids.shape[1] :]"),
        check="padding",
        guilty=("x = self.wte(ids) + self.wpe.weight[-ids.shape[1] :]",),
        belief="-n: is n rows, so it does not matter which.",
        shown_by=length_matters,
        also=("causal", "tokens-stay-apart"),
    ),
    Mistake(
        name="average_by_the_length_of_the_text",
        base="linear_attention",
        edits=edit(
            'out = torch.einsum("bhtd,bhtde->bhte", q, kv) / normaliser.unsqueeze(-1)',
            'out = torch.einsum("bhtd,bhtde->bhte", q, kv) / x.shape[1]',
        ),
        check="padding",
        guilty=('out = torch.einsum("bhtd,bhtde->bhte", q, kv) / x.shape[1]',),
        belief="A mean is a sum divided by the number of tokens; but each "
        "token has seen another number of them.",
        shown_by=length_matters,
        also=("causal", "tokens-stay-apart", "attention-sums", "all-used"),
    ),
    Mistake(
        name="window_is_half_of_the_text",
        base="sliding_window",
        edits=edit("(i - j < self.window)", "(i - j < x.shape[-2] // 2 + 1)"),
        check="padding",
        guilty=("visible = (j <= i) & (i - j < x.shape[-2]", "scores = scores.masked_fill("),
        belief="A window should grow with the text.",
        shown_by=length_matters,
        also=("causal", "tokens-stay-apart"),
    ),
)
