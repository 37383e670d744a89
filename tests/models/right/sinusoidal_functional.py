"""All weights in one ParameterDict, and functions that use them; positions are sines and cosines."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def sinusoidal_positions(length, width):
    position = torch.arange(length, dtype=torch.float32)[:, None]
    frequency = torch.exp(-math.log(10000.0) * torch.arange(width // 2, dtype=torch.float32) / (width // 2))
    return torch.cat([torch.sin(position * frequency), torch.cos(position * frequency)], dim=1)


def init_params(vocab, width, heads, blocks):
    def weight(n_in, n_out):
        return nn.Parameter(torch.randn(n_in, n_out) * n_in**-0.5)

    params = nn.ParameterDict()
    params["embed"] = nn.Parameter(torch.randn(vocab, width) * 0.1)
    for b in range(blocks):
        params[f"b{b}_g1"] = nn.Parameter(torch.ones(width))
        params[f"b{b}_b1"] = nn.Parameter(torch.zeros(width))
        params[f"b{b}_qkv"] = weight(width, 3 * width)
        params[f"b{b}_proj"] = weight(width, width)
        params[f"b{b}_g2"] = nn.Parameter(torch.ones(width))
        params[f"b{b}_b2"] = nn.Parameter(torch.zeros(width))
        params[f"b{b}_up"] = weight(width, 4 * width)
        params[f"b{b}_down"] = weight(4 * width, width)
    params["g"] = nn.Parameter(torch.ones(width))
    params["b"] = nn.Parameter(torch.zeros(width))
    return params


def layer_norm(x, g, b, eps=1e-5):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return g * (x - mean) / torch.sqrt(variance + eps) + b


def attention(q, k, v, mask):
    return F.softmax(q @ k.mT / math.sqrt(q.shape[-1]) + mask, dim=-1) @ v


def mha(x, w_qkv, w_proj, heads):
    q, k, v = (x @ w_qkv).tensor_split(3, dim=-1)
    mask = (1 - torch.tril(torch.ones(x.shape[1], x.shape[1], dtype=x.dtype, device=x.device))) * -1e10
    qs, ks, vs = q.tensor_split(heads, -1), k.tensor_split(heads, -1), v.tensor_split(heads, -1)
    outs = [attention(q, k, v, mask) for q, k, v in zip(qs, ks, vs)]
    return torch.cat(outs, dim=-1) @ w_proj


class FunctionalGPT(nn.Module):
    def __init__(self, vocab_size=50257, width=32, heads=4, blocks=2):
        super().__init__()
        self.width, self.heads, self.blocks = width, heads, blocks
        self.params = init_params(vocab_size, width, heads, blocks)

    def forward(self, ids):
        p = self.params
        x = p["embed"][ids] + sinusoidal_positions(ids.shape[1], self.width).to(p["embed"])
        for b in range(self.blocks):
            h = layer_norm(x, p[f"b{b}_g1"], p[f"b{b}_b1"])
            x = x + mha(h, p[f"b{b}_qkv"], p[f"b{b}_proj"], self.heads)
            h = layer_norm(x, p[f"b{b}_g2"], p[f"b{b}_b2"])
            x = x + F.gelu(h @ p[f"b{b}_up"]) @ p[f"b{b}_down"]
        return layer_norm(x, p["g"], p["b"]) @ p["embed"].T
