"""A GPT that every claim of `gptrace explain` applies to, with a flaw on request."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch

nn = torch.nn


class SmallGPT(nn.Module):
    """The smallest model that everything can be said of; a flaw makes one claim false."""

    def __init__(self, flaw: str = "") -> None:
        super().__init__()
        self.flaw = flaw
        self.tok_emb = Bent(50257, 16) if flaw == "lookup" else nn.Embedding(50257, 16)
        self.pos_emb = nn.Embedding(32, 16)
        self.blocks = nn.ModuleList([Block(flaw) for _ in range(2)])
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 50256 if flaw == "vocabulary" else 50257, bias=flaw == "bias")
        self.other = nn.Parameter(torch.ones(50257, 16))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        positions = self.pos_emb(torch.arange(ids.shape[1]))
        x = self.tok_emb(ids) + (0 * positions if self.flaw == "positions" else positions)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x))
        if self.flaw == "weighted":  # each token by a factor of its own
            logits = logits * torch.linspace(0.5, 1, logits.shape[-1])
        if self.flaw == "random":
            logits = logits + 100 * torch.randn(logits.shape)  # far more than logits differ
        return logits


class Bent(nn.Embedding):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids).cumsum(dim=1)


class Block(nn.Module):
    def __init__(self, flaw: str) -> None:
        super().__init__()
        self.flaw = flaw
        self.linear = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(dim=1, keepdim=True) if self.flaw == "causal" else x.cumsum(dim=1)
        result: torch.Tensor = x + torch.relu(self.linear(mean))
        return result
