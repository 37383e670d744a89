"""Axis names where the data decide which calls there are, and how many rows each gets."""

from __future__ import annotations

from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from tests.colliding.models import Mixture

nn = torch.nn


class Experts(nn.Module):
    """Each token goes to the expert of its id: those of `n_experts`, as far as they are needed."""

    def __init__(
        self,
        vocab_size: int = 64,
        emb_dim: int = 12,
        ff_dim: int = 20,
        n_experts: int = 3,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.emb = nn.Embedding(vocab_size, emb_dim)
        experts = [nn.Linear(emb_dim, ff_dim) for _ in range(1 if shared else n_experts)]
        self.experts = nn.ModuleList(experts)
        self.down = nn.Linear(ff_dim, emb_dim)
        self.head = nn.Linear(emb_dim, vocab_size)
        self.n_experts = n_experts

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        for number in range(self.n_experts):
            chosen = ids % self.n_experts == number
            if chosen.any():
                x[chosen] = self.down(self.experts[number % len(self.experts)](x[chosen]).relu())
        return self.head(x)


def traced(ids: list[list[int]], **keys: Any) -> gptrace.Trace:
    with torch.inference_mode():
        return gptrace.trace(ids=ids, model=Experts, config=keys, measure=["ops"])


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("ids", [[[3]], [[4]], [[3, 3, 6], [9, 12, 3]], [[1, 2, 3, 4], [5, 6, 7, 8]]])
def test_rows_that_the_data_choose_have_no_name(ids: list[list[int]], shared: bool) -> None:
    trace = traced(ids, shared=shared)
    assert trace.calls[-1].outputs[0].dims == ("batch", "seq_len", "vocab_size")
    for call in trace.calls:
        if call.path.startswith("experts"):
            rows = str(call.inputs[0].shape[0])
            assert [spec.dims for spec in (*call.inputs, *call.outputs)] == [
                (rows, "emb_dim"), (rows, "ff_dim")
            ]  # fmt: skip
    assert not any("have names" in note for note in trace.notes)


def test_operations_are_matched_by_their_line() -> None:
    """The masks of unused experts move the operations behind them, and the sizes are all alike."""
    trace = traced([[3, 4, 5]], vocab_size=12, ff_dim=12)
    outputs = {op.name: op.outputs[0].dims for op in trace.calls[0].ops}
    assert outputs["remainder"] == outputs["eq"] == ("batch", "seq_len")
    assert outputs["relu"] == ("1", "ff_dim")


def test_a_run_that_lacks_most_calls_is_no_measure() -> None:
    class Other(nn.Module):
        def __init__(self, vocab_size: int = 64, emb_dim: int = 12) -> None:
            super().__init__()
            self.emb = nn.Embedding(vocab_size, emb_dim)
            name = "small" if emb_dim == 12 else "large"
            for number in range(4):
                self.add_module(f"{name}{number}", nn.Linear(emb_dim, emb_dim))

        def forward(self, ids: Any) -> Any:
            return nn.Sequential(*self.children())(ids)

    trace = gptrace.trace(ids=[[1, 2]], model=Other)
    assert trace.notes[0] == (
        "only some sizes have names (batch, seq_len, vocab_size): the model does not run, or makes other "
        "calls, where another size is changed alone"
    )


def test_a_copy_of_a_mixture_runs_several_tokens() -> None:
    """Two tokens would go to the same one of three experts too often, and its rows look like the batch."""
    for seed in range(12):
        torch.manual_seed(seed)
        trace = gptrace.trace(ids=[[1]], model=Mixture(vocab_size=64, dim=4, moe_dim=4, rank=4))
        assert trace.calls[-1].outputs[0].dims == ("batch", "seq_len", "64")
        (expert,) = [call for call in trace.calls if call.path in ("experts.0", "experts.1", "experts.2")]
        assert expert.inputs[0].dims == ("1", "4"), seed


class RowsByTheIds(nn.Module):
    """Takes as many rows as the width has for the ids that resized runs begin with, and one for others."""

    def __init__(self, vocab_size: int = 64, emb_dim: int = 12) -> None:
        super().__init__()
        self.emb, self.head = nn.Embedding(vocab_size, emb_dim), nn.Linear(emb_dim, vocab_size)
        self.rows = nn.Identity()

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        count = x.shape[-1] if ids[0, 0] == 1 else 1
        self.rows(x.flatten(0, 1)[:1].expand(count, -1))
        return self.head(x)


def test_a_size_that_depends_on_the_ids_has_no_name() -> None:
    trace = gptrace.trace(ids=[1, 2, 3], model=RowsByTheIds)
    (rows,) = [call for call in trace.calls if call.path == "rows"]
    assert rows.outputs[0].dims == ("12", "emb_dim")


class RowsByTheWeights(RowsByTheIds):
    """Takes as many rows as the width has where its first weight is above 0."""

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        count = x.shape[-1] if float(self.emb.weight.flatten()[0]) > 0 else 1
        self.rows(x.flatten(0, 1)[:1].expand(count, -1))
        return self.head(x)


def test_models_at_other_sizes_have_the_same_weights_each_time() -> None:
    names = set()
    for seed in range(12):
        torch.manual_seed(seed)
        trace = gptrace.trace(ids=[3, 4, 5], model=RowsByTheWeights)
        names.add(next(call for call in trace.calls if call.path == "rows").outputs[0].dims[0])
    assert len(names) == 1
