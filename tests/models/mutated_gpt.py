"""A GPT as a student writes it, and slips of the pen that make it fail: (before, after, cause)."""

from __future__ import annotations

import linecache
from typing import Any

SOURCE = """
import torch
from torch import nn

class Attention(nn.Module):
    def __init__(self, emb_dim, n_heads, context_length):
        super().__init__()
        self.n_heads, self.head_dim = n_heads, emb_dim // n_heads
        self.W_query = nn.Linear(emb_dim, emb_dim)
        self.W_key = nn.Linear(emb_dim, emb_dim)
        self.W_value = nn.Linear(emb_dim, emb_dim)
        self.out_proj = nn.Linear(emb_dim, emb_dim)
        self.register_buffer("mask", torch.ones(context_length, context_length).triu(1).bool())

    def forward(self, x):
        b, t, d = x.shape
        queries = self.W_query(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)
        keys = self.W_key(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)
        values = self.W_value(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)
        scores = queries @ keys.transpose(2, 3) / self.head_dim**0.5
        scores = scores.masked_fill(self.mask[:t, :t], float("-inf"))
        weights = scores.softmax(dim=-1)
        context = (weights @ values).transpose(1, 2).contiguous().view(b, t, d)
        return self.out_proj(context)

class FeedForward(nn.Module):
    def __init__(self, emb_dim):
        super().__init__()
        self.up = nn.Linear(emb_dim, 4 * emb_dim)
        self.down = nn.Linear(4 * emb_dim, emb_dim)

    def forward(self, x):
        return self.down(nn.functional.gelu(self.up(x)))

class Norm(nn.Module):
    def __init__(self, emb_dim):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(emb_dim))
        self.shift = nn.Parameter(torch.zeros(emb_dim))

    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        var = x.var(dim=-1, keepdim=True)
        return self.scale * (x - mean) / torch.sqrt(var + 1e-5) + self.shift

class Block(nn.Module):
    def __init__(self, emb_dim, n_heads, context_length):
        super().__init__()
        self.norm1, self.norm2 = Norm(emb_dim), nn.LayerNorm(emb_dim)
        self.att = Attention(emb_dim, n_heads, context_length)
        self.ff = FeedForward(emb_dim)

    def forward(self, x):
        x = x + self.att(self.norm1(x))
        return x + self.ff(self.norm2(x))

class GPT(nn.Module):
    def __init__(self, vocab_size=97, context_length=16, emb_dim=48, n_heads=4, n_layers=2):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.pos_emb = nn.Embedding(context_length, emb_dim)
        self.blocks = nn.ModuleList([Block(emb_dim, n_heads, context_length) for _ in range(n_layers)])
        self.final_norm = nn.LayerNorm(emb_dim)
        self.out_head = nn.Linear(emb_dim, vocab_size, bias=False)

    def forward(self, ids):
        b, t = ids.shape
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(t))
        for block in self.blocks:
            x = block(x)
        return self.out_head(self.final_norm(x))
"""
_QUERIES = "queries = self.W_query(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)"
_ADD = "x = self.tok_emb(ids) + self.pos_emb(torch.arange(t))"

MUTATIONS: list[tuple[str, str, str | None]] = [
    ("out_head = nn.Linear(emb_dim,", "out_head = nn.Linear(2 * emb_dim,", "inner_dimensions"),
    (
        "out_head = nn.Linear(emb_dim, vocab_size",
        "out_head = nn.Linear(vocab_size, emb_dim",
        "inner_dimensions",
    ),
    ("down = nn.Linear(4 * emb_dim, emb_dim)", "down = nn.Linear(emb_dim, emb_dim)", "inner_dimensions"),
    ("down = nn.Linear(4 * emb_dim, emb_dim)", "down = nn.Linear(4 * emb_dim, 4 * emb_dim)", "unequal_axes"),
    ("up = nn.Linear(emb_dim, 4 * emb_dim)", "up = nn.Linear(4 * emb_dim, emb_dim)", "inner_dimensions"),
    ("up = nn.Linear(emb_dim, 4 * emb_dim)", "up = nn.Linear(emb_dim, 2 * emb_dim)", "inner_dimensions"),
    ("W_query = nn.Linear(emb_dim,", "W_query = nn.Linear(self.head_dim,", "inner_dimensions"),
    (
        "W_key = nn.Linear(emb_dim, emb_dim)",
        "W_key = nn.Linear(emb_dim, self.head_dim)",
        "view_of_wrong_size",
    ),
    (
        "W_value = nn.Linear(emb_dim, emb_dim)",
        "W_value = nn.Linear(emb_dim, 2 * emb_dim)",
        "view_of_wrong_size",
    ),
    (
        "out_proj = nn.Linear(emb_dim, emb_dim)",
        "out_proj = nn.Linear(emb_dim // 2, emb_dim)",
        "inner_dimensions",
    ),
    ("out_proj = nn.Linear(emb_dim, emb_dim)", "out_proj = nn.Linear(emb_dim, emb_dim // 2)", "unequal_axes"),
    (
        "pos_emb = nn.Embedding(context_length, emb_dim)",
        "pos_emb = nn.Embedding(context_length, emb_dim // 2)",
        "unequal_axes",
    ),
    (
        "pos_emb = nn.Embedding(context_length, emb_dim)",
        "pos_emb = nn.Embedding(emb_dim, context_length)",
        "unequal_axes",
    ),
    (
        "tok_emb = nn.Embedding(vocab_size, emb_dim)",
        "tok_emb = nn.Embedding(emb_dim, vocab_size)",
        "unequal_axes",
    ),
    ("final_norm = nn.LayerNorm(emb_dim)", "final_norm = nn.LayerNorm(vocab_size)", "inner_dimensions"),
    (
        "nn.LayerNorm(emb_dim)\n        self.att",
        "nn.LayerNorm(n_heads)\n        self.att",
        "inner_dimensions",
    ),
    (
        "scale = nn.Parameter(torch.ones(emb_dim))",
        "scale = nn.Parameter(torch.ones(4 * emb_dim))",
        "unequal_axes",
    ),
    ("shift = nn.Parameter(torch.zeros(emb_dim))", "shift = nn.Parameter(torch.zeros(5))", "unequal_axes"),
    ("keys.transpose(2, 3)", "keys", "inner_dimensions"),
    ("keys.transpose(2, 3)", "keys.transpose(1, 2)", "unequal_axes"),
    ("keys.transpose(2, 3)", "keys.transpose(1, 3)", "unequal_axes"),
    ("keys.transpose(2, 3)", "keys.transpose(3, 4)", None),
    (_QUERIES, "queries = self.W_query(x).view(b, t, self.n_heads, self.head_dim)", "unequal_axes"),
    (_QUERIES, "queries = self.W_query(x)", "inner_dimensions"),
    (
        _QUERIES,
        "queries = self.W_query(x).view(b, t, self.head_dim, self.n_heads).transpose(1, 2)",
        "unequal_axes",
    ),
    (
        _QUERIES,
        "queries = self.W_query(x).view(b, self.n_heads, self.head_dim).transpose(1, 2)",
        "view_of_wrong_size",
    ),
    (
        _QUERIES,
        "queries = self.W_query(x).view(t, b, self.n_heads, self.head_dim).transpose(1, 2)",
        "view_of_wrong_size",
    ),
    (
        _QUERIES,
        "queries = self.W_query(x).view(b, t, self.n_heads, 64).transpose(1, 2)",
        "view_of_wrong_size",
    ),
    ("emb_dim // n_heads\n", "emb_dim // 5\n", "view_of_wrong_size"),
    ("emb_dim=48", "emb_dim=50", "heads_do_not_divide"),
    ("n_heads=4", "n_heads=5", "heads_do_not_divide"),
    ("mask[:t, :t]", "mask", "unequal_axes"),
    ("mask[:t, :t]", "mask[:t]", "unequal_axes"),
    ("mask[:t, :t]", "mask[:d, :d]", "unequal_axes"),
    ("triu(1).bool()", "triu(1)", "mask_dtype"),
    ("torch.ones(context_length, context_length)", "torch.ones(n_heads, n_heads)", "unequal_axes"),
    ("weights @ values", "values @ weights", "inner_dimensions"),
    ("(weights @ values)", "(weights @ values.transpose(2, 3))", "inner_dimensions"),
    (".contiguous()", "", "view_of_wrong_size"),
    (".transpose(1, 2).contiguous().view(b, t, d)", ".transpose(1, 2)", "inner_dimensions"),
    (".contiguous().view(b, t, d)", ".contiguous().view(b, d, t)", "inner_dimensions"),
    (".contiguous().view(b, t, d)", ".contiguous().view(b, t, t)", "view_of_wrong_size"),
    (".contiguous().view(b, t, d)", ".flatten(1)", "inner_dimensions"),
    (_QUERIES, _QUERIES + ".bfloat16()", "dtype_mismatch"),
    ("weights = scores.softmax(dim=-1)", "weights = scores.softmax(dim=-1).half()", "dtype_mismatch"),
    (
        "self.tok_emb = nn.Embedding(vocab_size, emb_dim)",
        "self.tok_emb = nn.Embedding(vocab_size, emb_dim).double()",
        "dtype_mismatch",
    ),
    (
        "self.final_norm = nn.LayerNorm(emb_dim)",
        "self.final_norm = nn.LayerNorm(emb_dim).half()",
        "dtype_mismatch",
    ),
    ("bias=False)", "bias=False).bfloat16()", "dtype_mismatch"),
    ("self.tok_emb(ids)", "self.tok_emb(ids.float())", "float_ids"),
    ("self.tok_emb(ids)", "self.tok_emb(ids.short())", "ids_dtype"),
    ("self.tok_emb(ids)", "self.tok_emb(ids / 2)", "float_ids"),
    ("torch.arange(t)", "torch.arange(t) / 2", "float_ids"),
    ("torch.arange(t)", "torch.arange(1, t + 20)", "id_outside_vocabulary"),
    ("torch.arange(t)", "torch.arange(t) - 1", "id_outside_vocabulary"),
    ("torch.arange(t)", "torch.arange(d)", None),
    ("context_length=16", "context_length=4", "prompt_too_long"),
    ("vocab_size=97", "vocab_size=5", "id_outside_vocabulary"),
    ("self.tok_emb(ids)", "self.tok_emb(ids + 97)", "id_outside_vocabulary"),
    (_ADD, _ADD + "\n        x = x.squeeze(0)", "lost_axis"),
    (_ADD, _ADD + "[:, -1]", "unequal_axes"),
    (_ADD, _ADD + "\n        x = x.transpose(1, 2)", "unequal_axes"),
    (_ADD, "x = torch.cat([self.tok_emb(ids), self.pos_emb(torch.arange(t))[None]], -1)", "unequal_axes"),
    (_ADD, "x = torch.cat([self.tok_emb(ids), self.pos_emb(torch.arange(t))], -1)", "unequal_axes"),
    (_ADD, "x = torch.stack([self.tok_emb(ids), self.pos_emb(torch.arange(t))])", "unequal_axes"),
    ("b, t = ids.shape", "b, t, d = ids.shape", None),
    ("b, t, d = x.shape", "b, t = x.shape", None),
    ("self.out_head(self", "self.out_haed(self", "attribute_name"),
    ("self.W_query(x)", "self.W_querry(x)", "attribute_name"),
    ("block(x)\n", "block.att.W_q(x)\n", None),
    (".transpose(1, 2).contiguous()", ".tranpose(1, 2).contiguous()", "attribute_name"),
    ("def forward(self, ids)", "def foward(self, ids)", "attribute_name"),
    (
        "def forward(self, x):\n        return self.down",
        "def froward(self, x):\n        return self.down",
        "attribute_name",
    ),
    ("self.n_heads, self.head_dim = n_heads,", "self.num_heads, self.head_dim = n_heads,", "attribute_name"),
    (
        "def forward(self, x):\n        x = x + self.att",
        "def forward(self, x, mask):\n        x = x + self.att",
        None,
    ),
    (
        "return self.down(nn.functional.gelu(self.up(x)))",
        "self.down(nn.functional.gelu(self.up(x)))",
        "returned_none",
    ),
    (
        "        return self.out_proj(context)",
        "        return self.out_proj(context), weights",
        "returned_tuple",
    ),
    ("return x + self.ff(self.norm2(x))", "return x + self.ff(self.norm2(x)), x", "returned_tuple"),
    ("self.mask[:t, :t]", "~self.mask.float()[:t, :t]", "mask_dtype"),
    ("softmax(dim=-1)", "softmax(dim=4)", None),
    ("x.mean(dim=-1, keepdim=True)", "x.mean(dim=-1)", "unequal_axes"),
    ("x.var(dim=-1, keepdim=True)", "x.var(dim=-1)", "unequal_axes"),
]

# Of some of them, what is said of the sizes that have names.
NAMED = {
    "down = nn.Linear(emb_dim, emb_dim)": "got [1, 6, 192]; its last axis is 4*emb_dim, and emb_dim is 48",
    "out_head = nn.Linear(vocab_size, emb_dim": "its last axis is emb_dim, and vocab_size is 97",
    "mask": "axis 3 is 16 in one and 6 in the other; the sizes must be equal, or one of them 1; "
    "context_length is 16; seq_len is 6; a mask or a table for the whole context is cut to the text, as in "
    "mask[:seq_len, :seq_len]",
    "queries = self.W_query(x)": "emb_dim is 48; head_dim is 12",
    "        return self.out_proj(context), weights": "blocks.0.att returned a tuple with "
    "[1, 6, 48], [1, 4, 6, 6], where one tensor is needed; take it out, as in att(x)[0]",
    "triu(1)": "masked_fill in blocks.0.att needs a mask of bool and got float32; mask.bool() makes one",
}


def mutated(before: str, after: str) -> Any:
    """Return the class of the GPT with one place of its source replaced, wherever it stands."""
    assert SOURCE.count(before), before
    space: dict[str, Any] = {}
    source = SOURCE.replace(before, after)
    linecache.cache["student.py"] = (len(source), None, source.splitlines(keepends=True), "student.py")
    exec(compile(source, "student.py", "exec"), space)
    return space["GPT"]
