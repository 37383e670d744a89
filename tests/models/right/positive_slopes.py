"""ALiBi with positive slopes and negative distances, dropout of 0 that is always on, and a frozen scale."""

import torch
from torch import nn
from torch.nn import functional as F


class BloomAttention(nn.Module):
    def __init__(self, hidden_size, n_head):
        super().__init__()
        self.n_head = n_head
        self.head_dim = hidden_size // n_head
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.norm_factor = nn.Parameter(torch.tensor(self.head_dim**-0.5), requires_grad=False)

    def forward(self, x, alibi, mask):
        batch, length, width = x.shape
        fused = self.query_key_value(x).view(batch, length, self.n_head, 3, self.head_dim)
        query, key, value = fused[..., 0, :], fused[..., 1, :], fused[..., 2, :]
        query = query.transpose(1, 2).reshape(batch * self.n_head, length, self.head_dim)
        key = key.permute(0, 2, 3, 1).reshape(batch * self.n_head, self.head_dim, length)
        value = value.transpose(1, 2).reshape(batch * self.n_head, length, self.head_dim)
        scores = torch.bmm(query * self.norm_factor, key).view(batch, self.n_head, length, length) + alibi
        scores = torch.where(mask, torch.finfo(scores.dtype).min, scores)
        probs = F.dropout(scores.softmax(dim=-1), p=0.0)
        context = torch.bmm(probs.view(batch * self.n_head, length, length), value)
        context = context.view(batch, self.n_head, length, self.head_dim).permute(0, 2, 1, 3)
        return self.dense(context.reshape(batch, length, width))


class Bloom(nn.Module):
    def __init__(self, vocab_size=50257, hidden_size=32, n_head=4, n_layer=2):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, hidden_size)
        self.word_embeddings_layernorm = nn.LayerNorm(hidden_size)
        self.h = nn.ModuleList([BloomAttention(hidden_size, n_head) for _ in range(n_layer)])
        self.input_layernorm = nn.ModuleList([nn.LayerNorm(hidden_size) for _ in range(n_layer)])
        self.post_layernorm = nn.ModuleList([nn.LayerNorm(hidden_size) for _ in range(n_layer)])
        self.mlp = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Linear(hidden_size, 4 * hidden_size),
                    nn.GELU(),
                    nn.Linear(4 * hidden_size, hidden_size),
                )
                for _ in range(n_layer)
            ]
        )
        self.ln_f = nn.LayerNorm(hidden_size)
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)
        self.register_buffer(
            "slopes", torch.tensor([2.0 ** -(i + 1) for i in range(n_head)]), persistent=False
        )

    def forward(self, input_ids):
        length = input_ids.shape[1]
        steps = torch.arange(length, device=input_ids.device)
        distance = (steps[None, :] - steps[:, None]).float()
        alibi = self.slopes[:, None, None] * distance
        mask = distance > 0
        x = self.word_embeddings_layernorm(self.word_embeddings(input_ids))
        for attention, norm1, norm2, mlp in zip(self.h, self.input_layernorm, self.post_layernorm, self.mlp):
            x = x + attention(norm1(x), alibi, mask)
            x = x + mlp(norm2(x))
        return self.lm_head(self.ln_f(x))
