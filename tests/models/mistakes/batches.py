"""Mistakes that mix the prompts of a batch."""

from __future__ import annotations

from tests.models.experiments.dependence import neighbours_matter
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="recurrence_over_the_batch",
        base="gru_model",
        edits=edit("dropout=dropout, batch_first=True)", "dropout=dropout)"),
        check="batch",
        guilty=("output, hidden = self.rnn(emb)", "self.rnn = nn.GRU("),
        belief="Recurrent layers of PyTorch take [batch, time, features].",
        shown_by=neighbours_matter,
        also=("positions-matter",),
    ),
    Mistake(
        name="batch_norm_without_running_statistics",
        base="sdpa_causal",
        edits=edit(
            "        self.norm = nn.LayerNorm(dim)\n",
            "        self.norm = nn.BatchNorm1d(dim, track_running_stats=False)\n",
            "return self.head(self.norm(x))",
            "return self.head(self.norm(x.transpose(1, 2)).transpose(1, 2))",
        ),
        check="batch",
        guilty=("return self.head(self.norm(x.transpose(1, 2))", "self.norm = nn.BatchNorm1d("),
        belief="BatchNorm is a norm as LayerNorm is.",
        shown_by=neighbours_matter,
        also=("causal", "padding", "tokens-stay-apart"),
    ),
    Mistake(
        name="features_are_centred_over_the_batch",
        base="relative_bias",
        edits=edit(
            "variance = hidden_states.pow(2).mean(-1, keepdim=True)",
            "hidden_states = hidden_states - hidden_states.mean(0, keepdim=True)\n"
            "        variance = hidden_states.pow(2).mean(-1, keepdim=True)",
        ),
        check="batch",
        guilty=("hidden_states = hidden_states - hidden_states.mean(0",),
        belief="The first axis is what a mean is taken over; a single prompt becomes zeros.",
        shown_by=neighbours_matter,
        also=("positions-matter", "causal", "gradients", "vocabulary", "start-loss", "attention-sums"),
    ),
    Mistake(
        name="attention_over_the_batch",
        base="batch_second",
        edits=edit(
            "        x = x.transpose(0, 1)  # B x T x C -> T x B x C\n",
            "",
            "        x = x.transpose(0, 1)  # T x B x C -> B x T x C\n",
            "",
        ),
        check="batch",
        guilty=(
            "x = layer(x, mask)",
            "x = self.embed_tokens(prev_output_tokens) + positions",
            "attn_weights = torch.baddbmm(",
        ),
        belief="The layer takes [B, T, C], as everything else does.",
        shown_by=neighbours_matter,
        also=("tokens-stay-apart", "attention-sums", "gradients", "positions-matter"),
    ),
    Mistake(
        name="experts_are_weighted_over_all_tokens",
        base="mixture_of_experts",
        edits=edit("weights = F.softmax(weights, dim=-1)", "weights = F.softmax(weights, dim=0)"),
        check="batch",
        guilty=("weights = F.softmax(weights, dim=0)",),
        belief="dim=0 is the experts.",
        shown_by=neighbours_matter,
        also=("causal", "padding", "tokens-stay-apart"),
    ),
    Mistake(
        name="experts_take_a_share_of_the_batch",
        base="mixture_of_experts",
        edits=edit(
            "token_idx, slot = torch.where(chosen == i)",
            "token_idx, slot = (found[: max(1, len(flat) // 8)] for found in torch.where(chosen == i))",
        ),
        check="batch",
        guilty=("token_idx, slot = (found", "out.index_add_("),
        belief="A capacity only saves memory; which tokens are dropped depends on the neighbours.",
        shown_by=neighbours_matter,
        also=("causal", "padding", "tokens-stay-apart"),
    ),
    Mistake(
        name="tokens_are_flattened_time_first",
        base="mixture_of_experts",
        edits=edit("flat = x.reshape(B * T, D)", "flat = x.transpose(0, 1).reshape(B * T, D)"),
        check="batch",
        guilty=("flat = x.transpose(0, 1).reshape(", "return out.view(B, T, D)"),
        belief="Each row of the flat matrix is a token, in whatever order.",
        shown_by=neighbours_matter,
        also=("causal", "tokens-stay-apart", "padding"),
    ),
    Mistake(
        name="activations_are_scaled_by_their_greatest",
        base="alibi",
        edits=edit(
            "            x = x + mlp(norm2(x))\n",
            "            x = x + mlp(norm2(x))\n            x = x / x.abs().max()\n",
        ),
        check="batch",
        guilty=("x = x / x.abs().max()",),
        belief="One number keeps all activations in range; it is taken over all prompts and all tokens.",
        shown_by=neighbours_matter,
        also=("causal", "padding", "tokens-stay-apart"),
    ),
    Mistake(
        name="every_prompt_gets_the_first_hidden_state",
        base="seq2seq_decoder",
        edits=edit(
            "        tgt2, _ = self.self_attn(tgt, tgt, tgt, attn_mask=tgt_mask)\n",
            "        keys = tgt[:, :1].expand_as(tgt)\n"
            "        tgt2, _ = self.self_attn(tgt, keys, keys, attn_mask=tgt_mask)\n",
        ),
        check="batch",
        guilty=("keys = tgt[:, :1].expand_as(tgt)", "tgt2, _ = self.self_attn(tgt, keys, keys"),
        belief="[:, :1] is the first token of each prompt; in [T, B, C] it is the first prompt.",
        shown_by=neighbours_matter,
        also=("tokens-stay-apart",),
    ),
)
