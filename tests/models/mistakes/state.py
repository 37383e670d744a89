"""Mistakes that make two runs differ: noise, dropout that stays on, and what is kept or changed."""

from __future__ import annotations

from tests.models.experiments.dependence import changes_its_input, changes_itself, is_random, remembers
from tests.models.mistakes.mistake import Mistake, edit

_RANDOM = (
    "causal", "batch", "padding", "cache", "tokens-stay-apart", "attention-sums", "gradients", "loss-labels",
)  # fmt: skip

MISTAKES = (
    Mistake(
        name="functional_dropout_is_always_on",
        base="functional_dropout",
        edits=edit(
            "attention = F.dropout(attention, p=self.p, training=self.training)",
            "attention = F.dropout(attention, p=self.p)",
        ),
        check="deterministic",
        guilty=("attention = F.dropout(attention, p=self.p)",),
        belief="F.dropout knows whether the model trains; its default is training=True.",
        shown_by=is_random,
        also=_RANDOM,
    ),
    Mistake(
        name="fused_attention_always_drops",
        base="sdpa_causal",
        edits=edit("p = self.dropout if self.training else 0.0", "p = self.dropout"),
        check="deterministic",
        guilty=("out = F.scaled_dot_product_attention(", "        p = self.dropout\n"),
        belief="scaled_dot_product_attention is silent in evaluation mode, as nn.Dropout is.",
        shown_by=is_random,
        also=_RANDOM,
    ),
    Mistake(
        name="dropout_is_made_in_forward",
        base="course_gpt",
        edits=edit("        x = self.drop_emb(x)\n", "        x = nn.Dropout(0.1)(x)\n"),
        check="deterministic",
        guilty=("x = nn.Dropout(0.1)(x)",),
        belief="A layer without weights can be made where it is needed; a new module is in training mode.",
        shown_by=is_random,
        also=(*_RANDOM, "all-used"),
    ),
    Mistake(
        name="router_is_noisy_in_evaluation",
        base="mixture_of_experts",
        edits=edit(
            "router_logits = self.router(flat)\n",
            "router_logits = self.router(flat)\n"
            "        router_logits = router_logits + torch.randn_like(router_logits)\n",
        ),
        check="deterministic",
        guilty=("router_logits = router_logits + torch.randn_like(router_logits)",),
        belief="Noise spreads the tokens over the experts; in training, that is.",
        shown_by=is_random,
        also=_RANDOM,
    ),
    Mistake(
        name="head_is_made_in_forward",
        base="llama_like",
        edits=edit(
            "        return self.lm_head(h)\n",
            "        lm_head = nn.Linear(h.shape[-1], "
            "self.config.vocab_size, bias=False)\n        return lm_head(h)\n",
        ),
        check="deterministic",
        guilty=("lm_head = nn.Linear(h.shape[-1]", "return lm_head(h)"),
        belief="A layer may be made when its size is known; it has new weights in each call.",
        shown_by=is_random,
        also=(*_RANDOM, "all-used"),
    ),
    Mistake(
        name="hidden_state_is_carried_over",
        base="gru_model",
        edits=edit(
            "        output, hidden = self.rnn(emb)\n",
            '        hidden = getattr(self, "hidden", None)\n'
            "        if hidden is not None and hidden.shape[1] != len(input):\n"
            "            hidden = None\n"
            "        output, hidden = self.rnn(emb, hidden)\n"
            "        self.hidden = hidden.detach()\n",
        ),
        check="deterministic",
        guilty=(
            "self.hidden = hidden.detach()",
            "output, hidden = self.rnn(emb, hidden)",
            'hidden = getattr(self, "hidden", None)',
        ),
        belief="A recurrent network goes on where it stopped; the next text is another one.",
        shown_by=remembers,
        also=_RANDOM,
    ),
    Mistake(
        name="cache_is_on_by_default",
        base="gpt_with_kv_cache",
        edits=edit(
            "def forward(self, in_idx, use_cache=False):", "def forward(self, in_idx, use_cache=True):"
        ),
        check="deterministic",
        guilty=(
            "def forward(self, in_idx, use_cache=True):",
            "self.current_pos += seq_len",
            "self.cache_k = torch.cat(",
        ),
        belief="A cache is only faster.",
        shown_by=remembers,
        also=(*_RANDOM, "context", "finite", "positions-matter", "vocabulary"),
    ),
    Mistake(
        name="running_mean_in_evaluation",
        base="alibi",
        edits=edit(
            "        x = self.embed(tokens)\n",
            "        x = self.embed(tokens)\n"
            '        mean = getattr(self, "mean", torch.zeros(x.shape[-1]))\n'
            "        self.mean = 0.9 * mean + 0.1 * x.detach().mean((0, 1))\n"
            "        x = x - self.mean\n",
        ),
        check="deterministic",
        guilty=("self.mean = 0.9 * mean + 0.1", "x = x - self.mean"),
        belief="A running mean settles; it also runs when the model answers.",
        shown_by=remembers,
        also=_RANDOM,
    ),
    Mistake(
        name="embeddings_are_renormalised",
        base="alibi",
        edits=edit(
            "self.embed = nn.Embedding(vocab_size, dim)",
            "self.embed = nn.Embedding(vocab_size, dim, max_norm=1.0)",
        ),
        check="deterministic",
        guilty=("x = self.embed(tokens)", "self.embed = nn.Embedding(vocab_size, dim, max_norm=1.0)"),
        belief="max_norm limits what comes out; it rewrites the weights.",
        shown_by=changes_itself,
        also=("gradients",),
    ),
    Mistake(
        name="weights_are_normalised_in_forward",
        base="multi_query",
        edits=edit(
            "        return self.lm_head(self.ln_f(hidden))\n",
            "        self.lm_head.weight.data = nn.functional.normalize(self.lm_head.weight.data, dim=-1)\n"
            "        return self.lm_head(self.ln_f(hidden))\n",
        ),
        check="deterministic",
        guilty=("self.lm_head.weight.data = ",),
        belief="To set .data is no change that matters to autograd.",
        shown_by=changes_itself,
        also=("gradients",),
    ),
    Mistake(
        name="start_token_is_written_into_the_input",
        base="seq2seq_decoder",
        edits=edit(
            "        length = tgt.shape[1]\n", "        tgt[:, 0] = 1\n        length = tgt.shape[1]\n"
        ),
        check="deterministic",
        guilty=("tgt[:, 0] = 1",),
        belief="The ids belong to forward.",
        shown_by=changes_its_input,
        also=("causal", "vocabulary", "batch"),
    ),
    Mistake(
        name="angles_depend_on_the_longest_text_so_far",
        base="lazy_tables",
        edits=edit(
            "            inv_freq = 1.0 / self.base ** (torch.arange(0, "
            "self.dim, 2, device=device).float() / self.dim)\n",
            "            base = self.base * max(1.0, length / 8)\n"
            "            inv_freq = 1.0 / base ** (torch.arange(0, "
            "self.dim, 2, device=device).float() / self.dim)\n",
        ),
        check="deterministic",
        guilty=(
            "base = self.base * max(",
            "inv_freq = 1.0 / base",
            "if self.cos_cached is None or length",
            "self.cos_cached, self.sin_cached = ",
        ),
        belief="A longer text needs slower angles, and the table can be kept for the next text.",
        shown_by=remembers,
        also=_RANDOM,
    ),
)
