"""One module of each kind of layer, with inputs."""

from __future__ import annotations

from typing import Any

from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.models.toys import Function

nn = torch.nn


def rand(*shape: int) -> Any:
    return torch.rand(*shape)


LAYERS: list[tuple[str, nn.Module, tuple[Any, ...]]] = [
    ("linear", nn.Linear(7, 5), (rand(2, 3, 7),)),
    ("linear without bias", nn.Linear(7, 5, bias=False), (rand(4, 7),)),
    ("a vector", nn.Linear(7, 5), (rand(7),)),
    ("sequential", nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 2)), (rand(3, 7),)),
    ("the same twice", Function(lambda x: x @ x.T @ x), (rand(3, 4),)),
    ("conv1d", nn.Conv1d(4, 6, 3), (rand(2, 4, 9),)),
    ("conv1d, strided and padded", nn.Conv1d(4, 6, 3, stride=2, padding=1), (rand(2, 4, 9),)),
    ("conv2d", nn.Conv2d(3, 8, (3, 5)), (rand(2, 3, 9, 9),)),
    ("conv2d in groups", nn.Conv2d(4, 8, 3, groups=2), (rand(1, 4, 6, 6),)),
    ("conv3d", nn.Conv3d(2, 3, 2), (rand(1, 2, 4, 4, 4),)),
    ("dilated", nn.Conv2d(2, 3, 2, dilation=2), (rand(1, 2, 6, 6),)),
    ("turned around", nn.ConvTranspose2d(4, 2, 3), (rand(1, 4, 5, 5),)),
    ("turned around in one dimension", nn.ConvTranspose1d(3, 2, 3, stride=2), (rand(2, 3, 5),)),
    ("bmm", Function(torch.bmm), (rand(2, 3, 4), rand(2, 4, 5))),
    ("matmul with a broadcast batch", Function(torch.matmul), (rand(2, 1, 3, 4), rand(5, 4, 6))),
    ("einsum", Function(lambda a, b: torch.einsum("bhqd,bhkd->bhqk", a, b)), (rand(2, 3, 4, 5),) * 2),
    ("addmm", Function(torch.addmm), (rand(3, 5), rand(3, 4), rand(4, 5))),
    ("baddbmm", Function(torch.baddbmm), (rand(2, 3, 5), rand(2, 3, 4), rand(2, 4, 5))),
    ("tensordot", Function(lambda a, b: torch.tensordot(a, b, dims=1)), (rand(2, 3, 4), rand(4, 5))),
    ("a gated unit", nn.GRU(5, 4, batch_first=True), (rand(2, 3, 5),)),
    ("a recurrent layer", nn.RNN(5, 4), (rand(3, 2, 5),)),
    ("a small GPT", GPTModel({"emb_dim": 12, "n_heads": 3, "n_layers": 2, "vocab_size": 50}),
     (torch.zeros(2, 6, dtype=torch.int64),)),
]  # fmt: skip
