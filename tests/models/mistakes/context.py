"""Mistakes about the vocabulary and the context length: what is beyond is answered, and wrongly."""

from __future__ import annotations

from tests.models.experiments.limits import (
    accepts_an_id_beyond,
    answers_beyond_its_context,
    has_another_vocabulary,
    ignores_the_newest_token,
    refuses_the_last_id,
)
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="head_is_one_token_short",
        base="course_gpt",
        edits=edit(
            'self.out_head = nn.Linear(cfg["emb_dim"], cfg["vocab_size"], bias=False)',
            'self.out_head = nn.Linear(cfg["emb_dim"], cfg["vocab_size"] - 1, bias=False)',
        ),
        check="vocabulary",
        guilty=("self.out_head = nn.Linear(", "logits = self.out_head(x)"),
        belief="The end of the text is never predicted, so it needs no score.",
        shown_by=has_another_vocabulary,
        also=("start-loss", "gradients"),
    ),
    Mistake(
        name="table_is_one_row_short",
        base="nano_gpt",
        edits=edit(
            "wte=nn.Embedding(config.vocab_size, config.n_embd)",
            "wte=nn.Embedding(config.vocab_size - 1, config.n_embd)",
            "        self.transformer.wte.weight = self.lm_head.weight\n",
            "",
        ),
        check="vocabulary",
        guilty=("wte=nn.Embedding(config.vocab_size - 1", "tok_emb = self.transformer.wte(idx)"),
        belief="The greatest id is the number of rows.",
        shown_by=refuses_the_last_id,
        also=("start-loss",),
    ),
    Mistake(
        name="ids_are_clamped",
        base="llama_like",
        edits=edit(
            "h = self.embed_tokens(input_ids)",
            "h = self.embed_tokens(input_ids.clamp(max=self.config.vocab_size - 1))",
        ),
        check="vocabulary",
        guilty=("h = self.embed_tokens(input_ids.clamp(",),
        belief="An IndexError is worse than a wrong token.",
        shown_by=accepts_an_id_beyond,
    ),
    Mistake(
        name="ids_wrap_around",
        base="einsum_style",
        edits=edit("resid = self.W_E[tokens] +", "resid = self.W_E[tokens % self.W_E.shape[0]] +"),
        check="vocabulary",
        guilty=("resid = self.W_E[tokens % self.W_E.shape[0]]",),
        belief="The remainder keeps every id inside.",
        shown_by=accepts_an_id_beyond,
    ),
    Mistake(
        name="unknown_ids_become_the_first",
        base="gru_model",
        edits=edit(
            "        emb = self.drop(self.encoder(input))\n",
            "        known = input < self.encoder.num_embeddings\n"
            "        emb = self.drop(self.encoder(input * known))\n",
        ),
        check="vocabulary",
        guilty=(
            "emb = self.drop(self.encoder(input * known))",
            "known = input < self.encoder.num_embeddings",
        ),
        belief="Unknown tokens are all the same.",
        shown_by=accepts_an_id_beyond,
    ),
    Mistake(
        name="positions_wrap_around",
        base="course_gpt",
        edits=edit(
            "self.pos_emb(torch.arange(seq_len, device=in_idx.device))",
            "self.pos_emb(torch.arange(seq_len, device=in_idx.device) % self.pos_emb.num_embeddings)",
            "        mask_bool = self.mask.bool()[:num_tokens, :num_tokens]\n",
            "        mask_bool = torch.ones(num_tokens, num_tokens, "
            "dtype=torch.bool, device=x.device).triu(1)\n",
        ),
        check="context",
        guilty=("pos_embeds = self.pos_emb(",),
        belief="Positions can start over, so that a text of any length fits.",
        shown_by=answers_beyond_its_context,
    ),
    Mistake(
        name="positions_stop_at_the_last",
        base="torch_attention",
        edits=edit(
            "        if seq_len > self.max_seq_len:\n"
            '            raise ValueError(f"sequence of {seq_len} tokens, '
            'but the model takes {self.max_seq_len}")\n',
            "",
            "positions = torch.arange(seq_len, device=x.device).unsqueeze(0).expand(batch_size, -1)",
            "positions = torch.arange(seq_len, "
            "device=x.device).clamp(max=self.max_seq_len - 1).expand(batch_size, -1)",
        ),
        check="context",
        guilty=("positions = torch.arange(seq_len, device=x.device).clamp(",),
        belief="Tokens beyond the context are all at its end.",
        shown_by=answers_beyond_its_context,
    ),
    Mistake(
        name="angles_stop_at_the_last",
        base="llama_like",
        edits=edit(
            "cos, sin = self.cos[:seqlen], self.sin[:seqlen]",
            "rows = torch.arange(seqlen, device=h.device).clamp(max=len(self.cos) - 1)\n"
            "        cos, sin = self.cos[rows], self.sin[rows]",
        ),
        check="context",
        guilty=("rows = torch.arange(seqlen", "cos, sin = self.cos[rows], self.sin[rows]"),
        belief="Rotary positions extend to any length.",
        shown_by=answers_beyond_its_context,
    ),
    Mistake(
        name="the_newest_tokens_are_cut_off",
        base="sliding_crop",
        edits=edit("idx = idx[:, -self.block_size :]", "idx = idx[:, : self.block_size]"),
        check="context",
        guilty=("idx = idx[:, : self.block_size]",),
        belief="A text that is too long is cut to the context length; at "
        "the end that predicts the wrong token.",
        shown_by=ignores_the_newest_token,
    ),
    Mistake(
        name="the_newest_tokens_are_cut_off_in_nano_gpt",
        base="nano_gpt",
        edits=edit(
            '        assert t <= self.config.block_size, f"{t} tokens do '
            'not fit into {self.config.block_size}"\n',
            "        idx, t = idx[:, : self.config.block_size], min(t, self.config.block_size)\n",
        ),
        check="context",
        guilty=("idx, t = idx[:, : self.config.block_size]",),
        belief="Better an answer to the beginning than an error.",
        shown_by=ignores_the_newest_token,
    ),
)
