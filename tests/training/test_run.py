"""Training on a tiny text that the test makes itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gptrace.model.config import GPTConfig
from gptrace.model.quiet_torch import torch
from training.crops import Crops
from training.run import Plan, Run, load_checkpoint, save_checkpoint

VOCABULARY = 20
TINY = GPTConfig(
    vocab_size=VOCABULARY, context_length=16, emb_dim=16, n_heads=2, n_layers=2, drop_rate=0.1, tie_head=True
)
PLAN = Plan(TINY, steps=60, batch=8, learning_rate=1e-2)


@pytest.fixture
def ids() -> torch.Tensor:
    """Three tokens in turn after a random one, which only the start of a crop makes hard to guess."""
    firsts = torch.randint(VOCABULARY // 2, (500, 1), generator=torch.Generator().manual_seed(5))
    return torch.cat([firsts, firsts + 5, firsts + 7, firsts + 9], dim=1).flatten()


def test_the_loss_of_a_text_that_has_an_order_falls(ids: torch.Tensor) -> None:
    run = Run(PLAN, ids[:1600])
    first = run.held_out_losses({"rest": ids[1600:]})["rest"]
    assert first == pytest.approx(torch.tensor(float(VOCABULARY)).log().item(), abs=0.1)
    run.train(PLAN.steps)
    # Three tokens of four follow from those before them. ln(10) / 4 = 0.58 is the least possible loss.
    assert run.held_out_losses({"rest": ids[1600:]})["rest"] < 2
    assert run.model.training


def test_a_resumed_run_equals_one_that_never_stopped(ids: torch.Tensor, tmp_path: Path) -> None:
    whole = Run(PLAN, ids)
    whole.train(8)
    stopped = Run(PLAN, ids)
    stopped.train(5)
    save_checkpoint(tmp_path / "checkpoint.pt", stopped.state())
    torch.manual_seed(99)
    resumed = Run(PLAN, ids)
    resumed.restore(load_checkpoint(tmp_path / "checkpoint.pt", ids.device))
    resumed.train(3)
    # The same operations on the same numbers in the same order: equal to the last bit.
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_a_run_that_is_put_back_forgets_what_it_learned(ids: torch.Tensor) -> None:
    run = Run(PLAN, ids)
    start = run.state()
    once = run.train(4)
    run.restore(start)
    assert run.step == 0
    assert torch.equal(run.train(4), once)


def test_every_token_is_trained_on_once_in_an_epoch() -> None:
    text = torch.arange(10 * 4 + 3)
    crops = Crops(text, length=4, batch=3, seed=1)
    inputs = torch.cat([crops.batch(step)[0].flatten() for step in range(crops.batches)])
    assert len(set(inputs.tolist())) == len(inputs) == 3 * 3 * 4


def test_crops_begin_at_other_places_in_each_epoch() -> None:
    crops = Crops(torch.arange(10 * 4 + 3), length=4, batch=3, seed=1)
    firsts = [crops.batch(epoch * crops.batches)[0][0, 0].item() for epoch in range(20)]
    assert {first % 4 for first in firsts} == {0, 1, 2, 3}


def test_the_last_crop_has_its_last_target() -> None:
    text = torch.arange(4 * 5)
    for seed in range(20):
        crops = Crops(text, length=5, batch=3, seed=seed)
        inputs, targets = crops.batch(0)
        assert torch.equal(targets, inputs + 1)


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 144 tokens; the text has 100"):
        Run(PLAN, torch.zeros(100, dtype=torch.long))


def test_another_seed_is_another_run(ids: torch.Tensor) -> None:
    losses = [Run(replace(PLAN, seed=seed), ids).train(2).item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
