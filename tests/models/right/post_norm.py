"""The norms after the sums, as in the first Transformer and the first GPT."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Conv1D(nn.Module):
    """A linear layer whose weight is (in, out)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        w = torch.empty(nx, nf)
        nn.init.normal_(w, std=0.1)
        self.w = nn.Parameter(w)
        self.b = nn.Parameter(torch.zeros(nf))

    def forward(self, x):
        size_out = x.size()[:-1] + (self.nf,)
        x = torch.addmm(self.b, x.view(-1, x.size(-1)), self.w)
        return x.view(*size_out)


class Attention(nn.Module):
    def __init__(self, nx, n_ctx, n_head, pdrop):
        super().__init__()
        self.register_buffer("b", torch.tril(torch.ones(n_ctx, n_ctx)).view(1, 1, n_ctx, n_ctx))
        self.n_head = n_head
        self.split_size = nx
        self.c_attn = Conv1D(nx * 3, nx)
        self.c_proj = Conv1D(nx, nx)
        self.attn_dropout = nn.Dropout(pdrop)
        self.resid_dropout = nn.Dropout(pdrop)

    def _attn(self, q, k, v):
        w = torch.matmul(q, k)
        w = w / v.size(-1) ** 0.5
        b = self.b[:, :, : w.size(-2), : w.size(-1)]
        w = w * b + -1e9 * (1 - b)
        w = F.softmax(w, dim=-1)
        w = self.attn_dropout(w)
        return torch.matmul(w, v)

    def merge_heads(self, x):
        x = x.permute(0, 2, 1, 3).contiguous()
        return x.view(*x.size()[:-2], x.size(-2) * x.size(-1))

    def split_heads(self, x, k=False):
        x = x.view(*x.size()[:-1], self.n_head, x.size(-1) // self.n_head)
        return x.permute(0, 2, 3, 1) if k else x.permute(0, 2, 1, 3)

    def forward(self, x):
        x = self.c_attn(x)
        query, key, value = x.split(self.split_size, dim=2)
        a = self._attn(self.split_heads(query), self.split_heads(key, k=True), self.split_heads(value))
        return self.resid_dropout(self.c_proj(self.merge_heads(a)))


class Block(nn.Module):
    def __init__(self, nx, n_ctx, n_head, pdrop):
        super().__init__()
        self.attn = Attention(nx, n_ctx, n_head, pdrop)
        self.ln_1 = nn.LayerNorm(nx)
        self.c_fc = Conv1D(4 * nx, nx)
        self.c_proj = Conv1D(nx, 4 * nx)
        self.ln_2 = nn.LayerNorm(nx)

    def forward(self, x):
        n = self.ln_1(x + self.attn(x))
        m = self.c_proj(F.gelu(self.c_fc(n)))
        return self.ln_2(n + m)


class OpenAIGPT(nn.Module):
    def __init__(self, vocab_size=50257, n_ctx=32, n_embd=32, n_head=4, n_layer=2, pdrop=0.1):
        super().__init__()
        self.tokens_embed = nn.Embedding(vocab_size, n_embd)
        self.positions_embed = nn.Embedding(n_ctx, n_embd)
        self.drop = nn.Dropout(pdrop)
        self.h = nn.ModuleList([Block(n_embd, n_ctx, n_head, pdrop) for _ in range(n_layer)])
        self.decoder = nn.Linear(n_embd, vocab_size, bias=False)

    def forward(self, input_ids):
        position_ids = torch.arange(input_ids.size(1), device=input_ids.device)[None, :]
        x = self.drop(self.tokens_embed(input_ids) + self.positions_embed(position_ids))
        for block in self.h:
            x = block(x)
        return self.decoder(x)
