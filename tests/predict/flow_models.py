"""Right and wrong ways from the ids to the head: tables, blocks side by side, modules called norms."""

from __future__ import annotations

from typing import Any

from gptrace.model.quiet_torch import torch
from tests.models.small_gpt import Block, SmallGPT

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


class Branch(Block):
    """A block that leaves its residual connection to the model."""

    def forward(self, x: Any) -> Any:
        return torch.relu(self.linear(x.cumsum(dim=1)))


class Residual(SmallGPT):
    """The model adds what its blocks return, times a factor."""

    factor = 1.0

    def __init__(self, *, zero_blocks: bool = False, zero_head: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Branch("") for _ in range(2))
        if zero_blocks:
            for parameter in self.blocks.parameters():
                nn.init.zeros_(parameter)
        if zero_head:
            nn.init.zeros_(self.head.weight)

    def run_blocks(self, x: Any) -> Any:
        for block in self.blocks:
            x = x + self.factor * block(x)
        return x

    def forward(self, ids: Any) -> Any:
        x = self.run_blocks(self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1])))
        return self.head(self.norm(x))


class ReZero(Residual):
    factor = 0.0


class SideBySide(Residual):
    def run_blocks(self, x: Any) -> Any:
        return x + sum(block(x) for block in self.blocks)


class SideBySideInABuffer(Residual):
    """The results wait in a tensor of their own, times zero."""

    def run_blocks(self, x: Any) -> Any:
        results = torch.zeros(2, *x.shape)
        for number, block in enumerate(self.blocks):
            results[number] = block(x)
        return x + 0 * results.sum(dim=0)


class InPlace(SmallGPT):
    """A block writes into the vectors that enter it, so nothing has to be assigned."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Writing("") for _ in range(2))

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        for block in self.blocks:
            block(x)
        return self.head(self.norm(x))


class Writing(Branch):
    def forward(self, x: Any) -> Any:
        return 1 * x.add_(super().forward(x))


class Forgotten(Residual):
    """Nothing is assigned."""

    def run_blocks(self, x: Any) -> Any:
        for block in self.blocks:
            functional.dropout(block(x), training=self.training)
        return x


class ForgottenSum(Residual):
    """Each block adds to the same vectors, so that only what the last one adds is used."""

    def run_blocks(self, x: Any) -> Any:
        for block in self.blocks:
            result = x + block(x)
        return result


class RandomForgotten(Forgotten):
    """The logits are others in each run, whatever the blocks return."""

    def run_blocks(self, x: Any) -> Any:
        return super().run_blocks(functional.dropout(x))


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
