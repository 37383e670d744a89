"""Sources of model files as users write them, for tests that write them to a folder."""

from __future__ import annotations

# A small GPT in the manner of nanoGPT: a dataclass, its own names, logits of the last position alone.
NANO = """
from dataclasses import dataclass
import torch
from torch import nn

@dataclass
class NanoConfig:
    block_size: int = 16
    vocab_size: int = 50304
    n_layer: int = 2
    n_head: int = 3
    n_embd: int = 24
    bias: bool = True

class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        assert config.n_embd % config.n_head == 0
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (y.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for y in self.split(x))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))

    def split(self, x):
        return self.c_attn(x).split(x.shape[2], 2)

class Nano(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.h = nn.ModuleList(Attention(config) for _ in range(config.n_layer))
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx, targets=None):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for block in self.h:
            x = x + block(x)
        return self.lm_head(x[:, [-1], :]), None
"""

# What people write in a hurry: keywords, an object, a factory, a module that is there already, prints.
SMALL = """
import torch
from torch import nn
print("imported")

class Keywords(nn.Module):
    def __init__(self, vocab_size, emb_dim, context_length=32, dropout=0.0):
        super().__init__()
        print("made")
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.pos = nn.Parameter(torch.zeros(context_length, emb_dim))
        self.head = nn.Linear(emb_dim, vocab_size)

    def forward(self, ids):
        print("run")
        return {"loss": torch.zeros(()), "logits": self.head(self.tok_emb(ids) + self.pos[: ids.shape[1]])}

def factory():
    return Keywords(100, 8)

def factory_of(n_layers):
    return nn.Sequential(nn.Embedding(100, 8), *(nn.Linear(8, 8) for _ in range(n_layers)))

class Settings:
    vocab_size = 64
    emb_dim = 10

settings = Settings()
plain = {"vocab_size": 77, "emb_dim": 9}
module = factory()
number = 5
not_a_module = lambda: 7

class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(50257, 6)

    def forward(self, ids):
        assert ids.shape == (1, 4), "only this shape"
        return self.emb(ids)

class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(50257, 6)
        self.out = nn.Linear(6, 3)

    def forward(self, ids):
        return self.out(self.emb(ids).mean(1))

class Raises(nn.Module):
    def __init__(self, when="forward"):
        super().__init__()
        if when == "init":
            raise ValueError("no\\x1b[31m good")

    def forward(self, ids):
        return ids @ torch.ones(7, 7)
"""

_IMPORTS_AND_CONSTRUCTOR = """
from dataclasses import dataclass
import torch
from torch import nn
@dataclass
class Out:
    other: torch.Tensor
    logits: torch.Tensor
class M(nn.Module):
    def __init__(self, n_embd=8, vocab_size=50257):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, n_embd)
        self.head = nn.Linear(n_embd, vocab_size)
    """

FORWARD_METHODS = {
    "leaves": "def forward(self, ids):\n        import sys; sys.exit('bye')",
    "raises": "def forward(self, ids):\n        class Odd(BaseException): pass\n        raise Odd('no')",
    "parses": "def forward(self, ids):\n        import json; json.loads('{bad')",
    "hidden": "def forward(self, ids):\n        return self.emb(ids)",
    "complex": "def forward(self, ids):\n        return self.head(self.emb(ids)).to(torch.complex64)",
    "turned": "def forward(self, ids):\n        return self.head(self.emb(ids)).transpose(0, 1)",
    "plain": "def forward(self, ids):\n        return self.head(self.emb(ids))",
    "pooled": "def forward(self, ids):\n        x = self.head(self.emb(ids))\n"
    "        return x, x.mean(1, keepdim=True)",
    "named": "def forward(self, ids):\n        x = self.head(self.emb(ids))\n        return Out(x * 0, x)",
    "gradient": "def forward(self, ids):\n        x = self.head(self.emb(ids))\n"
    "        with torch.enable_grad():\n            y = x.detach().requires_grad_()\n"
    "            torch.autograd.grad(y.sum(), y)\n        return x",
}


def module_source(forward: str) -> str:
    """Return the source of a file with a module M that has one of the FORWARD_METHODS."""
    return _IMPORTS_AND_CONSTRUCTOR + FORWARD_METHODS[forward]
