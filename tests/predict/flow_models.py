"""Right and wrong ways from the ids to the head: tables of tokens, of positions, of kinds."""

from __future__ import annotations

from typing import Any

from gptrace.model.quiet_torch import torch
from tests.models.small_gpt import SmallGPT

nn = torch.nn


class PositionsFirst(SmallGPT):
    """Of bytes: as many positions as tokens, and the positions are looked up first."""

    def __init__(self, tokens: int = 256) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(tokens, 16), nn.Embedding(256, 16)
        self.head = nn.Linear(16, 256, bias=False)

    def forward(self, ids: Any) -> Any:
        x = self.pos_emb(torch.arange(ids.shape[1]).expand_as(ids)) + self.tok_emb(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class ZeroPositions(PositionsFirst):
    """All rows of the table of positions are equal until training has changed them."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.pos_emb.weight)


class OneKind(SmallGPT):
    """The second table is of kinds of tokens, and all are of one kind."""

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) + self.pos_emb(torch.zeros_like(ids))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
