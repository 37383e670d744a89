"""Small models that several tests of `gptrace check` ask about."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch

nn = torch.nn


class Leaking(nn.Module):
    """Each position gets the mean of the whole text."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50)
        self.count = 0

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.count += 1
        x = self.tok_emb(ids)
        whole = x.mean(dim=1, keepdim=True)
        logits: torch.Tensor = self.head(x + whole)
        return logits


class Growing(nn.Module):
    """A model that is built by a loop which ends at some sizes of the vocabulary only."""

    def __init__(self, vocab_size: int = 320, emb_dim: int = 8) -> None:
        super().__init__()
        self.context_length = 4
        size = 5
        while size != vocab_size:
            size = size * 2 % 1000
        self.embedding, self.head = nn.Embedding(size, emb_dim), nn.Linear(emb_dim, size)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embedding(ids))
        return logits


class LeakingCell(nn.Module):
    """A recurrent cell that goes over the text several times, so that early tokens see later ones."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.cell, self.head = nn.Embedding(60, 4), nn.GRUCell(4, 4), nn.Linear(4, 60)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        state = torch.zeros(len(x), 4)
        for _ in range(8):
            for token in x.unbind(1):
                state = self.cell(token, state)
        logits: torch.Tensor = self.head(x + state[:, None])
        return logits
