"""Notes and errors name a line of a notebook by its cell, in the language of the reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.notebooks import write_notebook
from tests.support import Cli

MODELS = """import torch
class Scrambled(torch.nn.Module):
    def __init__(self, vocab_size=50257, emb_dim=16, n_heads=2):
        super().__init__()
        self.n_heads = n_heads
        self.emb, self.head = torch.nn.Embedding(vocab_size, emb_dim), torch.nn.Linear(emb_dim, vocab_size)
    def forward(self, ids):
        x = self.emb(ids)
        B, T, D = x.shape
        heads = x.view(B, self.n_heads, T, D // self.n_heads)
        return self.head(x + heads.transpose(1, 2).reshape(B, T, D))
class Undefined(Scrambled):
    def forward(self, ids):
        return self.head(torch.log(self.emb(ids)))"""


@pytest.mark.parametrize(
    ("model", "language", "message"),
    [
        ("Scrambled", "en", "note: view at {}, cell 1, line 10 mixes the numbers of several tokens"),
        ("Scrambled", "zh", "注意：{} 单元格 1 第 10 行的 view 把几个 token 的数混在一起"),
        (
            "Undefined",
            "en",
            "log at {}, cell 1, line 14 in the model itself (Undefined) is the first",
        ),
        ("Undefined", "zh", "{} 单元格 1 第 14 行的 log（在模型本身（Undefined）中）最先算出 NaN"),
    ],
)
def test_a_line_of_a_cell_is_named(cli: Cli, tmp_path: Path, model: str, language: str, message: str) -> None:
    path = write_notebook(tmp_path / "ch.ipynb", MODELS)
    outcome = cli("run", "Hello, I am", "-m", f"{path}:{model}", "--lang", language, "--width", "300")
    assert message.format(path) in outcome.out + outcome.err
