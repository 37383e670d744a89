"""Models that claims of `gptrace explain` are measured on."""

from __future__ import annotations

from typing import Any

from gptrace.model.quiet_torch import torch
from tests.models.small_gpt import SmallGPT

nn = torch.nn


class ScaledTable(nn.Embedding):
    def forward(self, ids: Any) -> Any:
        return 4 * super().forward(ids)


class DoubledTable(nn.Embedding):
    """Each row is returned twice, side by side."""

    def forward(self, ids: Any) -> Any:
        return super().forward(ids).repeat(1, 1, 2)


class NormOfTwo(nn.LayerNorm):
    def forward(self, x: Any, residual: Any = None) -> Any:
        return super().forward(x + residual)


class FixedNorm(nn.LayerNorm):
    """A norm by its name alone."""

    def forward(self, x: Any) -> Any:
        return 0.1 * x


class SuppressingHead(nn.Linear):
    """It never predicts the ids of `suppressed`."""

    suppressed = (11, 50256)

    def forward(self, x: Any) -> Any:
        logits = super().forward(x)
        logits[..., self.suppressed] = -torch.inf
        return logits


class Adapted(SmallGPT):
    """SmallGPT, with some parts replaced."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class WithoutPositions(SmallGPT):
    """SmallGPT, without a table of positions."""

    shift = 0.0

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) + self.shift
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class ShiftedVectors(WithoutPositions):
    shift = 1.0


class ScaledTokens(SmallGPT):
    """The token embedding is multiplied by √D, as in the first Transformer."""

    def forward(self, ids: Any) -> Any:
        x = 4 * self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Normalized(nn.Embedding):
    """The vectors have one length."""

    def forward(self, ids: Any) -> Any:
        return nn.functional.normalize(super().forward(ids), dim=-1)


class Capped(SmallGPT):
    """Logits stay within a range, as in Gemma 2."""

    def forward(self, ids: Any) -> Any:
        return 2 * torch.tanh(super().forward(ids) / 2)


class Saturated(SmallGPT):
    """The cap is so low that it makes the greatest logits equal."""

    def forward(self, ids: Any) -> Any:
        return 0.01 * torch.tanh(super().forward(ids) / 0.01)


class TwoInputNorm(SmallGPT):
    def __init__(self) -> None:
        super().__init__()
        self.norm = NormOfTwo(16)

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x, x))


class Unassigned(SmallGPT):
    """What the last block and the norm return is lost."""

    def forward(self, ids: Any) -> Any:
        x = self.blocks[0](self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1])))
        self.blocks[1](x)
        self.norm(x)
        return self.head(x)


class AlwaysDropped(SmallGPT):
    """Dropout by a function, which no evaluation mode turns off."""

    def forward(self, ids: Any) -> Any:
        x = nn.functional.dropout(self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1])))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Bare(nn.Module):
    """A table of scores: no blocks, no norm, no head."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.randn(50257, 4))

    def forward(self, ids: Any) -> Any:
        return self.scores[ids].cumsum(dim=1) @ self.scores.T


class LastRow(SmallGPT):
    def forward(self, ids: Any) -> Any:
        return super().forward(ids)[:, -1:]


class Converted(SmallGPT):
    """It computes in bfloat16, and returns float32."""

    def __init__(self) -> None:
        super().__init__()
        self.bfloat16()

    def forward(self, ids: Any) -> Any:
        return super().forward(ids).float()


class Autocast(SmallGPT):
    """The same, with parameters in float32."""

    def forward(self, ids: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(ids).float()


class NormedSum(SmallGPT):
    """The sum of both embeddings goes through a norm before the first block."""

    def __init__(self) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(16)

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))

    def forward(self, ids: Any) -> Any:
        x = 3 * self.first_norm(self.embed(ids))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class TypedEmbedding(NormedSum):
    """A third table is added, as in BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.type_emb = nn.Embedding(2, 16)

    def embed(self, ids: Any) -> Any:
        return super().embed(ids) + self.type_emb(torch.zeros_like(ids))


class RotatedPositions(NormedSum):
    """The rows of positions are factors."""

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) * self.pos_emb(torch.arange(ids.shape[1]))


class OnlyTypes(TypedEmbedding):
    """The second table is not of positions."""

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) + self.type_emb(ids % 2)


class BlocksInAPythonList(NormedSum):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = self.blocks
        del self.blocks

    def forward(self, ids: Any) -> Any:
        x = self.embed(ids)
        for block in [self.first, self.second]:
            x = block(x)
        return self.head(self.norm(x))


class WithoutBlocks(NormedSum):
    """A model that is not finished."""

    def forward(self, ids: Any) -> Any:
        return self.head(self.embed(ids))


class Probabilities(SmallGPT):
    def forward(self, ids: Any) -> Any:
        return super().forward(ids).softmax(dim=-1)


class Factorized(nn.Module):
    """The table has another width than the head."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(50257, 4)
        self.up = nn.Linear(4, 6)
        self.lm_head = nn.Linear(6, 50257, bias=False)

    def forward(self, ids: Any) -> Any:
        return self.lm_head(self.up(self.wte(ids)).cumsum(dim=1))


class TiedInPart(SmallGPT):
    """The head's weight is the beginning of the token table."""

    def __init__(self) -> None:
        super().__init__()
        self.head.weight = nn.Parameter(self.tok_emb.weight.data[:97])


class SharedMemory(nn.Module):
    """Two parameters that share their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(50257, 4)
        self.lm_head = nn.Linear(4, 50257, bias=False)
        self.lm_head.weight.data = self.wte.weight.data

    def forward(self, ids: Any) -> Any:
        return self.lm_head(self.wte(ids).cumsum(dim=1))


class RectifiedHead(nn.Linear):
    def forward(self, x: Any) -> Any:
        return super().forward(x).relu()


class MixingHead(nn.Linear):
    """Its last row depends on the rows before it."""

    def forward(self, x: Any) -> Any:
        return super().forward(x.cumsum(dim=1))


class IgnoresPadding(SmallGPT):
    """Each token sees all others but those with id 0, as in BERT and XLM."""

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) * (ids != 0)[..., None]
        return self.head(self.norm(x + x.sum(dim=1, keepdim=True)))


class WrappedNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(16)

    def forward(self, x: Any) -> Any:
        return self.layer_norm(x)


class ListsOfLists(NormedSum):
    """A block is a list of a norm and a layer, as in x-transformers: it is not called itself."""

    def __init__(self) -> None:
        super().__init__()
        blocks = (nn.ModuleList([nn.ModuleList([WrappedNorm()]), nn.Linear(16, 16)]) for _ in range(2))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, ids: Any) -> Any:
        x = self.embed(ids)
        blocks: Any = self.blocks
        for (norm,), layer in blocks:
            x = x + layer(norm(x)).cumsum(dim=1)
        return self.head(self.norm(x))


class Recurrent(SmallGPT):
    """One block runs again and again, as in ALBERT and Universal Transformers."""

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        for _ in range(3):
            x = self.blocks[0](x)
        return self.head(self.norm(x))


class WideHead(SmallGPT):
    """The head has another width than the model, as in OPT-350m, and so have the vectors of the table."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb, self.head = nn.Embedding(50257, 12), nn.Linear(20, 50257, bias=False)
        self.widen, self.project = nn.Linear(12, 16), nn.Linear(16, 20)

    def forward(self, ids: Any) -> Any:
        x = self.widen(self.tok_emb(ids)) + self.pos_emb(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.project(self.norm(x)))
