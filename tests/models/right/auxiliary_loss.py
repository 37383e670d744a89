"""Experts with a loss that balances them; noise and left-out layers in training alone."""

import torch
from torch import nn
from torch.nn import functional as F


class BalancedExperts(nn.Module):
    def __init__(self, n_embd, n_expert):
        super().__init__()
        self.gate = nn.Linear(n_embd, n_expert, bias=False)
        self.up = nn.Parameter(torch.randn(n_expert, n_embd, 2 * n_embd) * n_embd**-0.5)
        self.down = nn.Parameter(torch.randn(n_expert, 2 * n_embd, n_embd) * (2 * n_embd) ** -0.5)
        self.aux_loss = 0.0

    def forward(self, x):
        logits = self.gate(x)
        if self.training:
            logits = logits + 0.1 * torch.randn_like(logits)
        probs = logits.softmax(-1)
        weight, index = probs.max(-1)
        chosen = F.one_hot(index, probs.shape[-1]).to(x.dtype)
        # The share of the tokens of each expert, times its mean probability: least when they are all alike.
        self.aux_loss = probs.shape[-1] * (chosen.mean((0, 1)) * probs.mean((0, 1))).sum()
        hidden = F.gelu(torch.einsum("btd,edh->bteh", x, self.up))
        out = torch.einsum("bteh,ehd->bted", hidden, self.down)
        return (out * (chosen * weight.unsqueeze(-1)).unsqueeze(-1)).sum(2)


class Block(nn.Module):
    def __init__(self, n_embd, n_head, n_expert, layer_drop):
        super().__init__()
        self.n_head, self.layer_drop = n_head, layer_drop
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)
        self.experts = BalancedExperts(n_embd, n_expert)

    def attend(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))

    def forward(self, x):
        if self.training and torch.rand(()) < self.layer_drop:
            return x
        x = x + self.attend(self.ln_1(x))
        return x + self.experts(self.ln_2(x))


class SwitchGPT(nn.Module):
    def __init__(
        self,
        vocab_size=50257,
        block_size=32,
        n_layer=2,
        n_head=4,
        n_embd=32,
        n_expert=3,
        layer_drop=0.1,
        balance=0.01,
    ):
        super().__init__()
        self.balance = balance
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList(Block(n_embd, n_head, n_expert, layer_drop) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)

    def forward(self, idx, targets=None):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1], device=idx.device))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        if targets is None:
            return logits, None
        loss = F.cross_entropy(logits.transpose(1, 2), targets)
        return logits, loss + self.balance * sum(block.experts.aux_loss for block in self.h)
