"""Mistakes about modules: ones that torch does not see, and ones that are never called."""

from __future__ import annotations

from tests.models.experiments.training import some_module_is_not_called, some_module_is_not_registered
from tests.models.mistakes.mistake import Mistake, edit

MISTAKES = (
    Mistake(
        name="blocks_in_a_list",
        base="course_gpt",
        edits=edit(
            'self.trf_blocks = nn.Sequential(*[TransformerBlock(cfg) for _ in range(cfg["n_layers"])])',
            'self.trf_blocks = [TransformerBlock(cfg) for _ in range(cfg["n_layers"])]',
            "        x = self.trf_blocks(x)\n",
            "        for block in self.trf_blocks:\n            x = block(x)\n",
        ),
        check="all-used",
        guilty=("self.trf_blocks = [TransformerBlock(cfg)", "for block in self.trf_blocks:", "x = block(x)"),
        belief="A list of modules is registered as one module is.",
        shown_by=some_module_is_not_registered,
        # Modules that torch does not see stay in training mode, with their dropout.
        also=(
            "causal",
            "padding",
            "batch",
            "tokens-stay-apart",
            "attention-sums",
            "deterministic",
            "gradients",
        ),
    ),
    Mistake(
        name="layers_in_a_plain_list",
        base="batch_second",
        edits=edit(
            "        self.layers = nn.ModuleList(\n"
            "            TransformerDecoderLayer(embed_dim, "
            "ffn_embed_dim, num_heads) for _ in range(num_layers)\n"
            "        )\n",
            "        self.layers = []\n"
            "        for _ in range(num_layers):\n"
            "            self.layers.append(TransformerDecoderLayer(embed_dim, ffn_embed_dim, num_heads))\n",
        ),
        check="all-used",
        guilty=("self.layers = []", "self.layers.append(", "for layer in self.layers:", "x = layer(x, mask)"),
        belief="append tells torch about the layer.",
        shown_by=some_module_is_not_registered,
        also=("gradients",),
    ),
    Mistake(
        name="embeddings_in_a_dict",
        base="shared_layers",
        edits=edit(
            "self.embedding = nn.ModuleDict(\n"
            '            {"token": nn.Embedding(vocab_size, dim), '
            '"position": nn.Embedding(context_length, dim)}\n'
            "        )\n",
            "self.embedding = {\n"
            '            "token": nn.Embedding(vocab_size, dim),\n'
            '            "position": nn.Embedding(context_length, dim),\n'
            "        }\n",
        ),
        check="all-used",
        guilty=(
            "self.embedding = {",
            '"token": nn.Embedding(',
            '"position": nn.Embedding(',
            'x = self.embedding["token"](',
        ),
        belief="A dict of modules is a ModuleDict.",
        shown_by=some_module_is_not_registered,
        also=("gradients",),
    ),
    Mistake(
        name="last_block_is_not_called",
        base="course_gpt",
        edits=edit("x = self.trf_blocks(x)", "x = self.trf_blocks[:-1](x)"),
        check="all-used",
        guilty=("x = self.trf_blocks[:-1](x)", "self.trf_blocks = nn.Sequential("),
        belief="The last block is the output, which final_norm stands for.",
        shown_by=some_module_is_not_called,
        also=("gradients",),
    ),
    Mistake(
        name="every_turn_calls_the_first_block",
        base="nano_gpt",
        edits=edit("            x = block(x)\n", "            x = self.transformer.h[0](x)\n"),
        check="all-used",
        guilty=(
            "x = self.transformer.h[0](x)",
            "for block in self.transformer.h:",
            "h=nn.ModuleList([Block(config)",
        ),
        belief="h[0] was there to try one block, and stays right in the loop.",
        shown_by=some_module_is_not_called,
        also=("gradients",),
    ),
    Mistake(
        name="final_norm_is_not_called",
        base="course_gpt",
        edits=edit("        x = self.final_norm(x)\n", ""),
        check="all-used",
        guilty=('self.final_norm = LayerNorm(cfg["emb_dim"])', "logits = self.out_head(x)"),
        belief="Each block normalises already.",
        shown_by=some_module_is_not_called,
        also=("gradients", "start-loss"),
    ),
    Mistake(
        name="feed_forward_is_not_called",
        base="nano_gpt",
        edits=edit("        x = x + self.mlp(self.ln_2(x))\n", ""),
        check="all-used",
        guilty=(
            "self.mlp = MLP(config)",
            "self.ln_2 = nn.LayerNorm(config.n_embd)",
            "x = x + self.attn(self.ln_1(x))",
        ),
        belief="Attention is all you need.",
        shown_by=some_module_is_not_called,
        also=("gradients",),
    ),
    Mistake(
        name="first_norm_is_used_twice",
        base="course_gpt",
        edits=edit(
            "        x = self.norm2(x)\n        x = self.ff(x)\n",
            "        x = self.norm1(x)\n        x = self.ff(x)\n",
        ),
        check="all-used",
        guilty=(
            "        x = self.norm1(x)\n        x = self.ff(x)",
            'self.norm2 = LayerNorm(cfg["emb_dim"])',
        ),
        belief="A line that was copied is changed everywhere.",
        shown_by=some_module_is_not_called,
        also=("gradients",),
    ),
    Mistake(
        name="values_are_keys",
        base="course_gpt",
        edits=edit("values = self.W_value(x)", "values = self.W_key(x)"),
        check="all-used",
        guilty=("values = self.W_key(x)", "self.W_value = nn.Linear("),
        belief="A line that was copied is changed everywhere.",
        shown_by=some_module_is_not_called,
        also=("gradients",),
    ),
    Mistake(
        name="feed_forward_is_left_out_of_the_sum",
        base="parallel_block",
        edits=edit(
            "return self.attn(hidden_states) + self.mlp(hidden_states) + residual",
            "return self.attn(hidden_states) + residual",
        ),
        check="all-used",
        guilty=("self.mlp = nn.Sequential(", "return self.attn(hidden_states) + residual"),
        belief="Attention and feed-forward run in parallel by themselves.",
        shown_by=some_module_is_not_called,
        also=("gradients",),
    ),
)
