"""Small GPTs of which each fails in one of the usual ways."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from gptrace.model.quiet_torch import torch

nn = torch.nn
V = 97


class WorkingGPT(nn.Module):
    """A small GPT that is right; each model below breaks one thing of it."""

    heads = 3
    length = 8

    def __init__(self, emb_dim: int = 12, vocab_size: int = V) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.pos_emb = nn.Embedding(self.length, emb_dim)
        self.query = nn.Linear(emb_dim, emb_dim)
        self.norm = nn.LayerNorm(emb_dim)
        self.out_head = nn.Linear(emb_dim, vocab_size)

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[-1]))

    def attend(self, x: Any) -> Any:
        B, T, D = x.shape
        split = self.query(x).view(B, T, self.heads, D // self.heads).transpose(1, 2)
        return (split @ split.transpose(2, 3)).softmax(-1) @ split

    def forward(self, ids: Any) -> Any:
        x = self.embed(ids)
        return self.out_head(self.norm(x + self.attend(x).transpose(1, 2).reshape(x.shape)))


class AddedPositions(WorkingGPT):
    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(1, 8, 12))

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) + self.positions[:, : ids.shape[1]]


class WrongWidth(WorkingGPT):
    def __init__(self) -> None:
        super().__init__()
        self.out_head = nn.Linear(16, V)


class TurnedAround(WorkingGPT):
    def forward(self, ids: Any) -> Any:
        return self.out_head(self.embed(ids).transpose(1, 2))


class NotTransposed(WorkingGPT):
    def attend(self, x: Any) -> Any:
        x = self.query(x)[0]
        return x @ x


class FiveHeads(WorkingGPT):
    heads = 5

    def attend(self, x: Any) -> Any:
        return self.query(x).view(*x.shape[:2], self.heads, -1)


class FiveHeadsByHand(FiveHeads):
    def attend(self, x: Any) -> Any:
        B, T, D = x.shape
        return self.query(x).view(B, T, self.heads, D // self.heads)


class RefusesFiveHeads(FiveHeads):
    def attend(self, x: Any) -> Any:
        assert x.shape[-1] > 1
        D = x.shape[-1]
        if D % self.heads != 0:
            raise ValueError("no such heads")
        return super().attend(x)


class WrongView(WorkingGPT):
    def attend(self, x: Any) -> Any:
        return self.query(x).view(x.shape[0], 7, -1)


class NotContiguous(WorkingGPT):
    def attend(self, x: Any) -> Any:
        return self.query(x).transpose(0, 1).transpose(1, 2).view(-1)


class MaskElsewhere(WorkingGPT):
    def attend(self, x: Any) -> Any:
        return x + torch.zeros(x.shape, device="meta")


class HalfWeights(WorkingGPT):
    def __init__(self) -> None:
        super().__init__()
        self.out_head.half()


class FloatIds(WorkingGPT):
    def forward(self, ids: Any) -> Any:
        return super().forward(ids.float())


class Unsqueezed(WorkingGPT):
    def forward(self, ids: Any) -> Any:
        _batch, _seq_len = ids.shape
        return super().forward(ids)


class UnequalAxes(WorkingGPT):
    def attend(self, x: Any) -> Any:
        return x + self.query(x)[..., :5]


class TooMuch(WorkingGPT):
    def attend(self, x: Any) -> Any:
        return torch.zeros(1 << 50)


class Recovers(WorkingGPT):
    def attend(self, x: Any) -> Any:
        with suppress(RuntimeError):
            self.out_head(x[..., :5])
        raise KeyError("rope_theta")


class Misleads(WorkingGPT):
    """Messages and shapes that look like one of the usual causes, and are none."""

    def attend(self, x: Any) -> Any:
        raise RuntimeError("KV cache pool out of memory blocks; all tables must have the same dtype setting")


class MisleadsByShape(WorkingGPT):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def attend(self, x: Any) -> Any:
        return x.transpose(1, 2)[:, :4] * self.scale


class OwnLinear(nn.Linear):
    def forward(self, x: Any) -> Any:
        raise RuntimeError("elsewhere")


class MisleadsByClass(WorkingGPT):
    def __init__(self) -> None:
        super().__init__()
        self.out_head = OwnLinear(16, V)


class Odd(WorkingGPT):
    def attend(self, x: Any) -> Any:
        raise LookupError("nobody\nknows\x1b[31m")
