"""Mistakes about sizes of numbers: the scale of scores, and weights that are too large at the start."""

from __future__ import annotations

from tests.models.experiments.attention import scores_grow_by
from tests.models.experiments.dependence import length_matters
from tests.models.experiments.numbers import starts_away_from_uniform
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="scores_are_not_scaled",
        base="nano_gpt",
        edits=edit("(q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))", "q @ k.transpose(-2, -1)"),
        check="attention-sums",
        guilty=("att = q @ k.transpose(-2, -1)", "att = F.softmax(att"),
        belief="Softmax normalises the scores anyway.",
        shown_by=scores_grow_by(8**0.5),
    ),
    Mistake(
        name="scores_are_scaled_by_the_whole_width",
        base="course_gpt",
        edits=edit("attn_scores / keys.shape[-1] ** 0.5", "attn_scores / self.d_out**0.5"),
        check="attention-sums",
        guilty=("attn_weights = torch.softmax(attn_scores / self.d_out**0.5",),
        belief="d_k in the formula is the width of the keys of all heads together.",
        shown_by=scores_grow_by(0.5),
    ),
    Mistake(
        name="scores_are_multiplied_by_the_root",
        base="llama_like",
        edits=edit("k.transpose(2, 3)) / self.head_dim**0.5", "k.transpose(2, 3)) * self.head_dim**0.5"),
        check="attention-sums",
        guilty=("scores = torch.matmul(q, k.transpose(2, 3)) *",),
        belief="Scaling means to multiply.",
        shown_by=scores_grow_by(8),
    ),
    Mistake(
        name="scores_are_scaled_twice",
        base="reshape_permute",
        edits=edit(
            "attn = (q * self.scale) @ k.transpose(-2, -1)",
            "attn = (q * self.scale) @ k.transpose(-2, -1) * self.scale",
        ),
        check="attention-sums",
        guilty=("attn = (q * self.scale) @",),
        belief="The queries are scaled for numerical reasons, and the scores because the paper says so.",
        shown_by=scores_grow_by(8**-0.5),
    ),
    Mistake(
        name="weights_are_scaled_instead_of_scores",
        base="course_gpt",
        edits=edit(
            "torch.softmax(attn_scores / keys.shape[-1] ** 0.5, dim=-1)",
            "torch.softmax(attn_scores, dim=-1) / keys.shape[-1] ** 0.5",
        ),
        check="attention-sums",
        guilty=("attn_weights = torch.softmax(attn_scores, dim=-1)",),
        belief="Before or after softmax, a factor is a factor.",
        shown_by=scores_grow_by(8**0.5),
    ),
    Mistake(
        name="scores_are_scaled_by_the_number_of_tokens",
        base="nano_gpt",
        edits=edit("math.sqrt(k.size(-1))", "math.sqrt(k.size(-2))"),
        check="attention-sums",
        guilty=("att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-2)))",),
        belief="-2 is the size of the features, since k was transposed.",
        shown_by=length_matters,
        also=("padding", "causal", "tokens-stay-apart"),
    ),
    Mistake(
        name="head_is_tied_to_large_embeddings",
        base="course_gpt",
        edits=edit(
            '        self.out_head = nn.Linear(cfg["emb_dim"], cfg["vocab_size"], bias=False)\n',
            '        self.out_head = nn.Linear(cfg["emb_dim"], cfg["vocab_size"], bias=False)\n'
            "        self.out_head.weight = self.tok_emb.weight\n",
        ),
        check="start-loss",
        guilty=(
            "self.out_head.weight = self.tok_emb.weight",
            "logits = self.out_head(x)",
            "self.tok_emb = nn.Embedding(",
        ),
        belief="To tie the head saves parameters and changes nothing else; "
        "nn.Embedding starts with a spread of 1.",
        shown_by=starts_away_from_uniform,
    ),
    Mistake(
        name="head_starts_with_a_spread_of_one",
        base="nano_gpt",
        edits=edit(
            "        if isinstance(module, nn.Linear):\n"
            "            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)\n",
            "        if isinstance(module, nn.Linear):\n            torch.nn.init.normal_(module.weight)\n",
        ),
        check="start-loss",
        guilty=("torch.nn.init.normal_(module.weight)", "logits = self.lm_head(x)"),
        belief="normal_ has a sensible default for the spread.",
        shown_by=starts_away_from_uniform,
    ),
    Mistake(
        name="logits_are_scaled_as_the_embeddings",
        base="gemma_like",
        edits=edit(
            "logits = h @ self.embedder.weight.t()", "logits = h @ self.embedder.weight.t() * self.normalizer"
        ),
        check="start-loss",
        guilty=("logits = h @ self.embedder.weight.t() * self.normalizer",),
        belief="What was multiplied at the entrance has to be multiplied at the exit.",
        shown_by=starts_away_from_uniform,
    ),
    Mistake(
        name="bias_of_the_head_starts_large",
        base="sdpa_causal",
        edits=edit(
            "        self.head = nn.Linear(dim, vocab_size)\n",
            "        self.head = nn.Linear(dim, vocab_size)\n"
            "        nn.init.normal_(self.head.bias, std=3.0)\n",
        ),
        check="start-loss",
        guilty=("nn.init.normal_(self.head.bias", "return self.head(self.norm(x))"),
        belief="Random biases break the symmetry.",
        shown_by=starts_away_from_uniform,
    ),
)
