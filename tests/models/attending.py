"""A small GPT whose attention is written in one of several styles, right or wrong."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from tests.models.small_gpt import SmallGPT

nn = torch.nn
functional = torch.nn.functional
Tensor = torch.Tensor
_WIDTH, _HEADS, _HEAD_DIM = 16, 2, 8


class Attention(nn.Module):
    """Causal self-attention with two heads; `style` is what is special about it, "" for nothing.

    Where there is a window, a query sees the last `window` tokens.
    """

    def __init__(self, style: str, window: int = 2) -> None:
        super().__init__()
        self.style, self.window = style, window
        self.head_count = 1 if style == "one head" else _HEADS
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.proj = nn.Linear(_WIDTH, 24 if style == "wide" else _WIDTH)
        self.back = nn.Linear(24, _WIDTH)
        self.sink = nn.Parameter(torch.zeros(_HEADS, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        T = x.shape[1]
        queries, keys, values = (self.heads(part) for part in self.qkv(x).chunk(3, dim=-1))
        if self.style == "untransposed":
            values = values.transpose(1, 2)  # back to (1, T, H, d), which fits where T is H
        if self.style == "zero queries":
            queries = torch.zeros_like(queries)
        if self.style in ("shared", "shared keys"):
            keys = keys[:, :1].expand(1, _HEADS, T, _HEAD_DIM)
        if self.style == "shared":
            values = values[:, :1].expand(1, _HEADS, T, _HEAD_DIM)
        if self.style in ("fused", "fused dropout"):
            dropout = 0.5 if self.style == "fused dropout" else 0.0
            out = functional.scaled_dot_product_attention(queries, keys, values, None, dropout, True)
        elif self.style == "chunks":
            out = torch.cat(
                [
                    self.weights(queries[:, :, [t]] @ keys[:, :, : t + 1].mT) @ values[:, :, : t + 1]
                    for t in range(T)
                ],
                dim=2,
            )
        elif self.style.startswith("rows are keys"):
            scores = keys @ queries.mT * _HEAD_DIM**-0.5
            scores = scores.masked_fill(torch.ones(T, T).tril(-1) == 1, -torch.inf)
            out = scores.softmax(dim=-1 if "over queries" in self.style else -2).mT @ values
        elif self.style.startswith("queries by heads"):
            out = self.shared_by_heads(queries.transpose(1, 2), keys[:, 0], values[:, 0]).transpose(1, 2)
        elif self.style.startswith("joined"):
            made = self.weights if self.style == "joined weights" else torch.clone
            heads = zip(torch.split(queries, 1, dim=1), torch.split(keys, 1, dim=1), strict=True)
            joined = torch.cat([made(self.scores(q, k)) for q, k in heads], dim=1)
            out = (joined if self.style == "joined weights" else self.weights(joined)) @ values
        elif self.style == "head by head":
            parts = (torch.split(tensor, 1, dim=1) for tensor in (queries, keys, values))
            out = torch.cat(
                [self.weights(self.scores(q, k)) @ v for q, k, v in zip(*parts, strict=True)], dim=1
            )
        else:
            out = self.weights(self.scores(queries, keys)) @ values
        if self.style == "gate":
            out = out * torch.sigmoid(queries)
        merged = (out if self.style == "merged" else out.transpose(1, 2)).reshape(1, T, _WIDTH)
        result: Tensor = self.proj(merged)
        return x + (self.back(result) if self.style == "wide" else result)

    def heads(self, x: Tensor) -> Tensor:
        """(1, T, D) → (1, H, T, d)."""
        T = x.shape[1]
        if self.style == "viewed":
            return x.reshape(1, _HEADS, T, _HEAD_DIM)
        return x.view(1, T, self.head_count, -1).transpose(1, 2)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return masked scores (1, H, T, T)."""
        T = queries.shape[2]
        factors = {
            "own factor": 0.777, "scaled by width": _WIDTH**-0.5, "scaled by tokens": T**-0.5,
            "own factor of 5": 5**-0.5, "own factor of 7": 7**-0.5,
        }  # fmt: skip
        scores: Tensor = queries @ keys.mT * factors.get(self.style, queries.shape[-1] ** -0.5)
        distance = torch.arange(T)[:, None] - torch.arange(T)
        if self.style == "distance":
            scores = scores - 0.5 * distance
        if self.style == "previous":
            scores = scores + 20.0 * (distance == 1)
        if self.style == "first":
            scores[..., 0] += 20.0
        if self.style == "bent":
            scores = 0.5 * torch.tanh(scores / 0.5)
        if self.style == "changed":
            scores = scores + queries.mean(dim=-1, keepdim=True) - keys.square().mean(dim=-1)[:, :, None]
        hidden = distance < 0
        if self.style in ("window", "sink mask"):
            hidden = hidden | (distance >= self.window)
        if self.style == "sink mask":
            hidden[:, 0] = False
        if self.style in ("unmasked", "unmasked last row", "late mask", "divided mask"):
            return scores
        return scores.masked_fill(hidden, -torch.inf if self.style != "over heads" else -1e9)

    def shared_by_heads(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(1, T, H, d), and (1, T, d) of keys and values that all heads share → (1, T, H, d)."""
        T = queries.shape[1]
        hidden = torch.ones(T, T).triu(1)[:, None] == 1
        if "matmul" in self.style:
            scores = queries @ keys[:, None].mT * _HEAD_DIM**-0.5
            mixed: Tensor = scores.masked_fill(hidden, -torch.inf).softmax(dim=-1) @ values[:, None]
            return mixed
        equations = {
            "queries by heads": ("bqhd,bkd->bqhk", "bqhk,bkd->bqhd"),
            "queries by heads, last": ("bqhd,bkd->bqkh", "bqkh,bkd->bqhd"),
        }
        of_scores, of_output = equations[self.style]
        scores = torch.einsum(of_scores, queries, keys) * _HEAD_DIM**-0.5
        if self.style.endswith("last"):
            hidden = hidden.mT
        weights = scores.masked_fill(hidden, -torch.inf).softmax(dim=of_scores[-4:].index("k"))
        return torch.einsum(of_output, weights, values)

    def weights(self, scores: Tensor) -> Tensor:
        """Return the weights (1, H, T, T) of masked scores."""
        if self.style == "sink":
            sink = self.sink.expand(1, _HEADS, scores.shape[2], 1)
            with_sink: Tensor = torch.cat([scores, sink], dim=-1).softmax(dim=-1)
            return with_sink[..., :-1]
        axis = {"over queries": -2, "over heads": 1}.get(self.style, -1)
        weights = scores.softmax(dim=axis)
        if self.style in ("late mask", "divided mask"):
            weights = weights.masked_fill(torch.ones(scores.shape[-2:]).triu(1) == 1, 0.0)
        if self.style == "divided mask":
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return 1.5 * weights if self.style == "changed weights" else weights


class AttendingGPT(SmallGPT):
    """SmallGPT with attention in its blocks; a flaw or a peculiarity on request."""

    def __init__(self, style: str = "") -> None:
        torch.manual_seed(4)
        super().__init__()
        self.style = style
        self.blocks = nn.ModuleList([Attention(style), Attention(style)])
        if style == "two windows":
            self.blocks = nn.ModuleList([Attention("window", 2), Attention("window", 4)])
        if style == "two masks":
            self.blocks = nn.ModuleList([Attention(""), Attention("divided mask")])
        if style == "no list":
            self.only = self.blocks[0]
            del self.blocks

    def forward(self, ids: Tensor) -> Tensor:
        """(1, T) → (1, T, V)."""
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        for block in [self.only] if self.style == "no list" else self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits[:, -1:] if self.style == "unmasked last row" else logits
