"""A note says that later tokens come through, in models that are meant to hide them alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from tests.models.collection import RightModel
from tests.models.mistakes import MISTAKES
from tests.models.right_models import RIGHT_MODELS

# Right models that draw random numbers, keep state or look at other rows, and one whose mask is its own.
RIGHT = ("course_gpt", "functional_dropout", "mixture_of_experts", "rolling_cache", "static_cache")


def notes(model: RightModel, path: Path) -> list[str]:
    config = f"{path}:{model.config}" if model.config else None
    session = gptrace.Session(select_model(f"{path}:{model.target}", config=config))
    return [note for note in session.trace(ids=[[3, 1, 4]]).notes if "later tokens" in note]


@pytest.mark.parametrize("name", ["mask_is_built_and_not_applied", "mask_of_one_head_alone"])
def test_a_leak_is_noted_with_the_command_that_names_its_line(name: str, tmp_path: Path) -> None:
    mistake = MISTAKES[name]
    path = mistake.write(tmp_path)
    (note,) = notes(mistake.model, path)
    assert f"gptrace check -m {path}:{mistake.model.target}" in note


@pytest.mark.parametrize("name", RIGHT)
def test_right_models_get_no_note(name: str) -> None:
    assert not notes(RIGHT_MODELS[name], RIGHT_MODELS[name].path)


class Encoder(torch.nn.Module):
    """Attends in both directions, and says nothing of a mask."""

    def __init__(self, emb_dim: int = 8, vocab_size: int = 50) -> None:
        super().__init__()
        self.tok_emb = torch.nn.Embedding(vocab_size, emb_dim)
        self.att = torch.nn.MultiheadAttention(emb_dim, 2, batch_first=True)
        self.head = torch.nn.Linear(emb_dim, vocab_size)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        return self.head(x + self.att(x, x, x)[0])  # type: ignore[no-any-return]


class SmallGPT(Encoder):
    """The same, under a name that promises more."""


class RandomGPT(Encoder):
    """Draws random numbers, and looks ahead at none."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        return self.head(x + torch.randn_like(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("model", "count"), [(Encoder, 0), (SmallGPT, 1), (RandomGPT, 0)])
def test_only_a_model_that_is_meant_to_be_causal_is_asked(model: type[Encoder], count: int) -> None:
    trace = gptrace.trace(ids=[[3, 1, 4]], model=model)
    assert sum("later tokens" in note for note in trace.notes) == count
    if count:
        assert any(note.endswith("gptrace.check(model) names the line") for note in trace.notes)
