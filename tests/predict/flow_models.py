"""Right and wrong ways from the ids to the head: tables, and modules called norms."""

from __future__ import annotations

from typing import Any

from gptrace.model.quiet_torch import torch
from tests.models.small_gpt import SmallGPT

nn = torch.nn
functional = torch.nn.functional


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


class WeightNormLinear(nn.Linear):
    """A linear layer, named after the norm of its weight."""

    def forward(self, x: Any) -> Any:
        return functional.linear(x, functional.normalize(self.weight, dim=-1), self.bias)


class UndividedNormalization(nn.Module):
    """It forgets to divide."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16))

    def forward(self, x: Any) -> Any:
        return self.scale * (x - x.mean(dim=-1, keepdim=True))


class FlatNorm(nn.LayerNorm):
    """Its vectors are one long list."""

    def forward(self, x: Any) -> Any:
        return super().forward(x.flatten(0, 1)).view_as(x)


class Projected(SmallGPT):
    """A linear layer follows the norm."""

    def __init__(self, projection: nn.Module) -> None:
        super().__init__()
        self.projection = projection

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.projection(self.norm(x)))
