"""Output projections and the head start at zero, so an untrained model is the same for every text."""

import torch
import torch.nn.functional as F
from torch import nn


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


class Rotary(nn.Module):
    def __init__(self, dim, max_seq_len, base=10000):
        super().__init__()
        inv_freq = (1 / base) ** (torch.arange(0, dim, 2) / dim)
        theta = torch.outer(torch.arange(max_seq_len).float(), inv_freq)
        self.register_buffer("cos", theta.cos()[None, :, None, :], persistent=False)
        self.register_buffer("sin", theta.sin()[None, :, None, :], persistent=False)

    def forward(self, x):
        cos, sin = self.cos[:, : x.size(1)], self.sin[:, : x.size(1)]
        x1, x2 = x.chunk(2, dim=3)
        return torch.cat((x1 * cos + x2 * sin, x1 * (-sin) + x2 * cos), 3)


class CausalSelfAttention(nn.Module):
    def __init__(self, dim, n_head, max_seq_len):
        super().__init__()
        self.n_head = n_head
        self.c_q = nn.Linear(dim, dim, bias=False)
        self.c_k = nn.Linear(dim, dim, bias=False)
        self.c_v = nn.Linear(dim, dim, bias=False)
        self.c_proj = nn.Linear(dim, dim, bias=False)
        self.c_proj.weight.data.zero_()
        self.rotary = Rotary(dim // n_head, max_seq_len)

    def forward(self, x):
        B, T, C = x.size()
        q = self.c_q(x).view(B, T, self.n_head, -1)
        k = self.c_k(x).view(B, T, self.n_head, -1)
        v = self.c_v(x).view(B, T, self.n_head, -1)
        q, k = norm(self.rotary(q)), norm(self.rotary(k))
        y = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True
        )
        return self.c_proj(y.transpose(1, 2).contiguous().view_as(x))


class MLP(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.c_fc = nn.Linear(dim, 4 * dim, bias=False)
        self.c_proj = nn.Linear(4 * dim, dim, bias=False)
        self.c_proj.weight.data.zero_()

    def forward(self, x):
        return self.c_proj(F.relu(self.c_fc(x)).square())


class Block(nn.Module):
    def __init__(self, dim, n_head, max_seq_len):
        super().__init__()
        self.attn = CausalSelfAttention(dim, n_head, max_seq_len)
        self.mlp = MLP(dim)

    def forward(self, x):
        x = x + self.attn(norm(x))
        x = x + self.mlp(norm(x))
        return x


class SpeedrunGPT(nn.Module):
    def __init__(self, vocab_size=50257, n_layer=2, n_head=4, n_embd=32, block_size=32):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, n_embd)
        self.blocks = nn.ModuleList([Block(n_embd, n_head, block_size) for _ in range(n_layer)])
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.lm_head.weight.data.zero_()

    def forward(self, idx, targets=None):
        x = norm(self.embed(idx))
        for block in self.blocks:
            x = block(x)
        logits = self.lm_head(norm(x)).float()
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
