"""Mistakes about positions: the model cannot tell where a token stands."""

from __future__ import annotations

from tests.models.experiments.dependence import far_and_near_look_the_same, order_is_lost
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="position_ids_are_all_zero",
        base="course_gpt",
        edits=edit(
            "self.pos_emb(torch.arange(seq_len, device=in_idx.device))",
            "self.pos_emb(torch.zeros(seq_len, dtype=torch.long, device=in_idx.device))",
        ),
        check="positions-matter",
        guilty=("pos_embeds = self.pos_emb(torch.zeros(",),
        belief="The embedding layer counts the positions by itself.",
        shown_by=order_is_lost,
        also=("context",),
    ),
    Mistake(
        name="positions_are_looked_up_and_not_added",
        base="course_gpt",
        edits=edit("        x = tok_embeds + pos_embeds\n", "        x = tok_embeds\n"),
        check="positions-matter",
        guilty=("        x = tok_embeds\n", "pos_embeds = self.pos_emb("),
        belief="To call the position embedding is enough.",
        shown_by=order_is_lost,
        also=("gradients", "all-used", "context"),
    ),
    Mistake(
        name="positions_are_added_after_the_blocks",
        base="nano_gpt",
        edits=edit(
            "x = self.transformer.drop(tok_emb + pos_emb)",
            "x = self.transformer.drop(tok_emb)",
            "x = self.transformer.ln_f(x)",
            "x = self.transformer.ln_f(x + pos_emb)",
        ),
        check="positions-matter",
        guilty=("x = self.transformer.drop(tok_emb)", "x = self.transformer.ln_f(x + pos_emb)"),
        belief="Positions may be added anywhere before the head.",
        shown_by=order_is_lost,
    ),
    Mistake(
        name="position_of_the_prompt_in_the_batch",
        base="batch_second",
        edits=edit(
            "torch.arange(prev_output_tokens.size(1), device",
            "torch.arange(prev_output_tokens.size(0), device",
            "        x = self.embed_tokens(prev_output_tokens) + positions\n"
            "        x = x.transpose(0, 1)  # B x T x C -> T x B x C\n",
            "        x = self.embed_tokens(prev_output_tokens)\n"
            "        x = x.transpose(0, 1) + positions  # B x T x C -> T x B x C\n",
        ),
        check="positions-matter",
        guilty=("positions = self.embed_positions(", "x = x.transpose(0, 1) + positions"),
        belief="size(0) is the length, since everything is [T, B, C]; the ids are [B, T].",
        shown_by=order_is_lost,
        also=("batch", "context"),
    ),
    Mistake(
        name="only_queries_are_rotated",
        base="llama_like",
        edits=edit("        k = apply_rope(k, cos, sin)\n", ""),
        check="positions-matter",
        guilty=("q = apply_rope(q, cos, sin)", "scores = torch.matmul(q, k.transpose(2, 3))"),
        belief="One of the two has to carry the position.",
        shown_by=order_is_lost,
    ),
    Mistake(
        name="rotated_queries_and_keys_are_dropped",
        base="rotary_complex",
        edits=edit(
            "        xq, xk = apply_rotary_emb(xq, xk, freqs_cis)\n",
            "        apply_rotary_emb(xq, xk, freqs_cis)\n",
        ),
        check="positions-matter",
        guilty=("        apply_rotary_emb(xq, xk, freqs_cis)", "output = F.scaled_dot_product_attention("),
        belief="The function rotates in place.",
        shown_by=order_is_lost,
    ),
    Mistake(
        name="every_token_is_rotated_by_the_same_angle",
        base="gemma_like",
        edits=edit("radians = positions[:, None] / timescale", "radians = positions.max() / timescale"),
        check="positions-matter",
        guilty=("radians = positions.max()",),
        belief="The angle depends on the length of the text.",
        shown_by=order_is_lost,
    ),
    Mistake(
        name="distances_have_the_wrong_sign",
        base="relative_bias",
        edits=edit(
            "distance = (positions[:, None] - positions[None, :]).clamp(min=0)",
            "distance = (positions[None, :] - positions[:, None]).clamp(min=0)",
        ),
        check="positions-matter",
        guilty=("distance = (positions[None, :] - positions[:, None])",),
        belief="A relative position is key minus query; of earlier keys all distances are then 0.",
        shown_by=order_is_lost,
        also=("gradients",),
    ),
    Mistake(
        name="bias_depends_on_the_query_alone",
        base="alibi",
        edits=edit("bias = -self.slopes * distance.clamp(min=0)", "bias = -self.slopes * pos[:, None]"),
        check="positions-matter",
        guilty=("bias = -self.slopes * pos[:, None]",),
        belief="A bias by position is enough; one that is the same for all keys cancels in softmax.",
        shown_by=order_is_lost,
    ),
    Mistake(
        name="distant_positions_are_one",
        base="min_gpt",
        edits=edit(
            "position_embeddings = self.pos_emb[:, :t, :]",
            "position_embeddings = self.pos_emb[:, torch.arange(t).clamp(max=5), :]",
        ),
        check="positions-matter",
        guilty=("position_embeddings = self.pos_emb[:, torch.arange(t)",),
        belief="Beyond a few tokens the position does not matter.",
        shown_by=far_and_near_look_the_same(6, 9),
    ),
    Mistake(
        name="positions_repeat",
        base="torch_attention",
        edits=edit(
            "positions = torch.arange(seq_len, device=x.device).unsqueeze(0).expand(batch_size, -1)",
            "positions = torch.arange(seq_len, device=x.device).unsqueeze(0).expand(batch_size, -1) % 4",
        ),
        check="positions-matter",
        guilty=("positions = torch.arange(",),
        belief="A small table of positions can be used again and again.",
        shown_by=far_and_near_look_the_same(2, 6),
    ),
)
