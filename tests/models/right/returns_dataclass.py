"""forward returns a dataclass that also holds the hidden states and the attention maps."""

from dataclasses import dataclass
from typing import List, Optional

import torch
from torch import Tensor, nn


@dataclass
class LMOutput:
    hidden_states: List[Tensor]
    attentions: List[Tensor]
    logits: Tensor
    loss: Optional[Tensor] = None


class Head(nn.Module):
    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.d_k = d_model // n_heads
        self.linears = nn.ModuleList([nn.Linear(d_model, d_model) for _ in range(4)])

    def forward(self, x: Tensor, mask: Tensor):
        nbatches = x.size(0)
        query, key, value = [
            lin(x).view(nbatches, -1, self.n_heads, self.d_k).transpose(1, 2) for lin in self.linears[:3]
        ]
        scores = torch.matmul(query, key.transpose(-2, -1)) / self.d_k**0.5
        scores = scores.masked_fill(mask == 0, -1e9)
        p_attn = scores.softmax(dim=-1)
        x = torch.matmul(p_attn, value)
        x = x.transpose(1, 2).contiguous().view(nbatches, -1, self.n_heads * self.d_k)
        return self.linears[-1](x), p_attn


class Layer(nn.Module):
    def __init__(self, d_model: int, n_heads: int, d_ff: int):
        super().__init__()
        self.self_attn = Head(d_model, n_heads)
        self.w_1 = nn.Linear(d_model, d_ff)
        self.w_2 = nn.Linear(d_ff, d_model)
        self.norm_1 = nn.LayerNorm(d_model)
        self.norm_2 = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, mask: Tensor):
        attended, p_attn = self.self_attn(self.norm_1(x), mask)
        x = x + attended
        x = x + self.w_2(self.w_1(self.norm_2(x)).relu())
        return x, p_attn


def subsequent_mask(size: int) -> Tensor:
    ahead = torch.triu(torch.ones(1, size, size), diagonal=1).type(torch.uint8)
    return ahead == 0


class AnnotatedDecoder(nn.Module):
    def __init__(
        self, vocab: int = 50257, N: int = 2, d_model: int = 32, d_ff: int = 64, h: int = 4, max_len: int = 32
    ):
        super().__init__()
        self.lut = nn.Embedding(vocab, d_model)
        self.positions = nn.Embedding(max_len, d_model)
        self.layers = nn.ModuleList([Layer(d_model, h, d_ff) for _ in range(N)])
        self.norm = nn.LayerNorm(d_model)
        self.generator = nn.Linear(d_model, vocab)

    def forward(self, tgt: Tensor, labels: Optional[Tensor] = None) -> LMOutput:
        mask = subsequent_mask(tgt.size(1)).to(tgt.device)
        x = self.lut(tgt) + self.positions.weight[: tgt.size(1)]
        hidden, maps = [x], []
        for layer in self.layers:
            x, p_attn = layer(x, mask)
            hidden.append(x)
            maps.append(p_attn)
        logits = self.generator(self.norm(x))
        loss = None
        if labels is not None:
            shift_logits = logits[:, :-1, :].contiguous()
            shift_labels = labels[:, 1:].contiguous()
            loss = nn.CrossEntropyLoss()(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))
        return LMOutput(hidden, maps, logits, loss)
