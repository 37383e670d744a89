# The course, appendix E: a frozen GPT whose linear layers get small matrices that are trained (LoRA).
import math

import torch
import torch.nn as nn


class LoRALayer(nn.Module):
    def __init__(self, in_dim, out_dim, rank, alpha):
        super().__init__()
        self.A = nn.Parameter(torch.empty(in_dim, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.B = nn.Parameter(torch.zeros(rank, out_dim))
        self.alpha = alpha

    def forward(self, x):
        return self.alpha * (x @ self.A @ self.B)


class LinearWithLoRA(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear
        self.lora = LoRALayer(linear.in_features, linear.out_features, rank, alpha)

    def forward(self, x):
        return self.linear(x) + self.lora(x)


def replace_linear_with_lora(model, rank, alpha):
    for name, module in model.named_children():
        if isinstance(module, nn.Linear):
            setattr(model, name, LinearWithLoRA(module, rank, alpha))
        else:
            replace_linear_with_lora(module, rank, alpha)


class Attention(nn.Module):
    def __init__(self, emb_dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.W_query = nn.Linear(emb_dim, emb_dim, bias=False)
        self.W_key = nn.Linear(emb_dim, emb_dim, bias=False)
        self.W_value = nn.Linear(emb_dim, emb_dim, bias=False)
        self.out_proj = nn.Linear(emb_dim, emb_dim)

    def forward(self, x):
        b, num_tokens, emb_dim = x.shape
        head_dim = emb_dim // self.n_heads
        queries = self.W_query(x).view(b, num_tokens, self.n_heads, head_dim).transpose(1, 2)
        keys = self.W_key(x).view(b, num_tokens, self.n_heads, head_dim).transpose(1, 2)
        values = self.W_value(x).view(b, num_tokens, self.n_heads, head_dim).transpose(1, 2)
        scores = queries @ keys.transpose(2, 3) / head_dim**0.5
        mask = torch.triu(torch.ones(num_tokens, num_tokens, device=x.device), diagonal=1).bool()
        weights = torch.softmax(scores.masked_fill(mask, -torch.inf), dim=-1)
        return self.out_proj((weights @ values).transpose(1, 2).reshape(b, num_tokens, emb_dim))


class Block(nn.Module):
    def __init__(self, emb_dim, n_heads):
        super().__init__()
        self.att = Attention(emb_dim, n_heads)
        self.ff = nn.Sequential(nn.Linear(emb_dim, 4 * emb_dim), nn.GELU(), nn.Linear(4 * emb_dim, emb_dim))
        self.norm1 = nn.LayerNorm(emb_dim)
        self.norm2 = nn.LayerNorm(emb_dim)

    def forward(self, x):
        x = x + self.att(self.norm1(x))
        return x + self.ff(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, vocab_size, context_length, emb_dim, n_heads, n_layers):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.pos_emb = nn.Embedding(context_length, emb_dim)
        self.trf_blocks = nn.Sequential(*[Block(emb_dim, n_heads) for _ in range(n_layers)])
        self.final_norm = nn.LayerNorm(emb_dim)
        self.out_head = nn.Linear(emb_dim, vocab_size, bias=False)

    def forward(self, in_idx):
        x = self.tok_emb(in_idx) + self.pos_emb(torch.arange(in_idx.shape[1], device=in_idx.device))
        return self.out_head(self.final_norm(self.trf_blocks(x)))


def gpt_with_lora(vocab_size=50257, context_length=32, emb_dim=32, n_heads=4, n_layers=2, rank=4, alpha=8):
    model = GPT(vocab_size, context_length, emb_dim, n_heads, n_layers)
    for param in model.parameters():
        param.requires_grad = False
    replace_linear_with_lora(model, rank, alpha)
    return model
