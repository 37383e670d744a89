"""A part of a GPTModel that mixes tokens: prompts in one batch get the results that they get alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gptrace import Session
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch


class Mixing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=1, keepdim=True)


def replace_norm(model: GPTModel) -> None:
    model.trf_blocks[1].norm1 = Mixing()


def replace_head(model: GPTModel) -> None:
    model.out_head = torch.nn.Sequential(Mixing(), model.out_head)  # type: ignore[assignment]


def add_hook(model: GPTModel) -> None:
    model.trf_blocks[1].register_forward_hook(lambda module, args, output: Mixing()(output))


@pytest.mark.parametrize("change", [replace_norm, replace_head, add_hook])
def test_prompts_in_one_batch_get_what_they_get_alone(change: Callable[[GPTModel], None]) -> None:
    torch.manual_seed(0)
    model = GPTModel({"emb_dim": 16, "n_heads": 2, "n_layers": 2, "vocab_size": 50, "context_length": 128})
    change(model)
    beginning = [number % 50 for number in range(100)]
    prompts = [[*beginning, number] for number in range(7)] + [[1, 2, 3], [1, 2]]
    session = Session(model)
    for ids, together in zip(prompts, session.topk(ids=prompts, k=1).results, strict=True):
        alone = session.topk(ids=[ids], k=1).results[0]
        assert together.candidates[0].logit == pytest.approx(alone.candidates[0].logit, abs=1e-5)


@pytest.mark.parametrize("change", [replace_norm, replace_head, add_hook])
def test_a_cache_is_kept_only_where_earlier_tokens_do_not_see_later_ones(
    change: Callable[[GPTModel], None],
) -> None:
    torch.manual_seed(0)
    model = GPTModel({"emb_dim": 16, "n_heads": 2, "n_layers": 2, "vocab_size": 50, "context_length": 128})
    change(model)
    session = Session(model)
    results = [
        session.generate(ids=[[1, 2, 3]], max_new_tokens=40, cache=cache).results[0]
        for cache in (True, False)
    ]
    assert results[0].new_ids == results[1].new_ids
