"""A model in many styles of Python, and what `gptrace source` shows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.record import CodeLine, Source

nn = torch.nn


IDS = [15, 11, 31, 71]
COURSE = {
    "vocab_size": 101, "context_length": 16, "emb_dim": 24, "n_heads": 3, "n_layers": 2, "drop_rate": 0.1,
    "qkv_bias": False,
}  # fmt: skip
STYLES = """
import contextlib
import functools

import torch
from torch import nn


def twice(function):
    @functools.wraps(function)
    def wrapper(self, x):
        x = function(self, x)
        return function(self, x)

    return wrapper


def pieces(x):
    for part in x.split(1, dim=1):
        part = part * 2
        yield part


class Block(nn.Module):
    def __init__(self, emb_dim):
        super().__init__()
        self.up = nn.Linear(emb_dim, 4 * emb_dim)
        self.down = nn.Linear(4 * emb_dim, emb_dim)
        self.act = lambda x: x.relu()

    @twice
    def forward(self, x):
        a = self.up(x); b = self.act(a)
        if self.training:
            b = b.dropout(0.1)
            b = b * 2
        else:
            b = b + 0
        return self.down(b)


class GPT(nn.Module):
    def __init__(self, vocab_size=101, emb_dim=12, context_length=16):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.blocks = nn.ModuleList(Block(emb_dim) for _ in range(3))
        self.out_head = nn.Linear(emb_dim, vocab_size)

    def forward(self, ids):
        x = self.tok_emb(ids)
        x = torch.cat(
            list(pieces(x)), dim=1
        )
        for block in self.blocks:
            x = block(x)
        x.add_(
            torch.stack([part.mean(-1, keepdim=True) for part in pieces(x)]).sum(0).mean()
        )
        kept = [x[:, :length] for length in range(1, 4)]
        self.kept = torch.cat(kept, dim=1)
        with contextlib.nullcontext():
            text = "# gptrace: no comment"
        return self.out_head(x)  # scores
"""


def source_of(file: Path, **options: Any) -> Source:
    return gptrace.source(ids=[IDS], model=f"{file}:GPT", **options)


def line_with(source: Source, text: str) -> CodeLine:
    return next(line for file in source.files for line in file.lines if text in line.text)
