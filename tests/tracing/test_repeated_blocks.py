"""Resized runs with two blocks: the same names as with all, or all blocks are run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gptrace.measures import Measures
from gptrace.model.architecture import Architecture
from gptrace.model.build import architecture_of
from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace
from gptrace.tracing import inferred_names
from gptrace.tracing.watching import record_trace

SETTINGS = {"vocab_size": 90, "emb_dim": 24, "ff_dim": 40, "n_layers": 5}
Module = torch.nn.Module


class Block(Module):
    def __init__(self, number: int, emb_dim: int, ff_dim: int) -> None:
        super().__init__()
        self.number = number
        self.up, self.down = torch.nn.Linear(emb_dim, ff_dim), torch.nn.Linear(ff_dim, emb_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x + self.down(self.up(x).relu())
        return y


class Model(Module):
    """A model whose last step decides what it does with the states after each block."""

    make_block: Any = Block

    def __init__(self, vocab_size: int, emb_dim: int, ff_dim: int, n_layers: int) -> None:
        super().__init__()
        self.tok_emb = torch.nn.Embedding(vocab_size, emb_dim)
        self.blocks = torch.nn.ModuleList([self.make_block(i, emb_dim, ff_dim) for i in range(n_layers)])
        self.out_head = torch.nn.Linear(emb_dim, vocab_size)

    def forward(self, ids: torch.Tensor) -> Any:
        states = [self.tok_emb(ids)]
        for block in self.blocks:
            states.append(block(states[-1]))
        return self.finish(states)

    def finish(self, states: list[torch.Tensor]) -> Any:
        return self.out_head(states[-1])


class AllStates(Model):
    def finish(self, states: list[torch.Tensor]) -> Any:
        return {"logits": self.out_head(states[-1]), "hidden_states": states}


class MergedStates(Model):
    def finish(self, states: list[torch.Tensor]) -> Any:
        return self.out_head(torch.cat(states[1:]))


class WideBlock(Block):
    def __init__(self, number: int, emb_dim: int, ff_dim: int) -> None:
        super().__init__(number, emb_dim, ff_dim * 2 if number == 3 else ff_dim)


class ShiftedBlock(Block):
    """The same shapes everywhere, but its blocks are not proven equal."""

    def __init__(self, number: int, emb_dim: int, ff_dim: int) -> None:
        super().__init__(number, emb_dim, ff_dim)
        self.dilation = 2**number


class LateBlock(Block):
    """Built alike, but one block does something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if self.number != 3 else super().forward(x[:, :1]) + x


class CountingBlock(Block):
    """Built alike and called alike; only with other sizes does the second block do something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if self.number != 1 or x.shape[0] < 3 else super().forward(x[:, :1]) + x


def with_blocks(block: type[Block]) -> type[Model]:
    return type(f"{block.__name__}Model", (Model,), {"make_block": block})


def trace_of(model_class: type[Model], measures: Measures = Measures()) -> tuple[Trace, list[int]]:  # noqa: B008
    """Trace the model; return the depths at which it was built again as well."""
    depths = []

    def build(changes: Mapping[str, int]) -> Module:
        depths.append((SETTINGS | dict(changes))["n_layers"])
        return model_class(**(SETTINGS | dict(changes)))

    model = model_class(**SETTINGS)
    with record_trace(model, Architecture(SETTINGS, build), measures=measures) as trace:
        model(torch.zeros(2, 6, dtype=torch.int64))
    return trace, depths


def dims(trace: Trace) -> list[object]:
    places = [(call.path, part) for call in trace.calls for part in (call.inputs, call.outputs)]
    for call in trace.calls:
        places += [(call.path, part) for op in call.ops for part in (op.inputs, op.outputs)]
    return [(path, spec.name, spec.dims) for path, part in places for spec in part]


def dims_with_all_blocks(monkeypatch: pytest.MonkeyPatch, trace: Any) -> list[object]:
    monkeypatch.setattr(inferred_names, "find_repeated_blocks", lambda *_: None)
    return dims(trace())


def test_equal_blocks_are_run_twice_and_all_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for measures in (Measures(), Measures(ops=True)):
        trace, depths = trace_of(Model, measures)
        assert depths == [2, 2]
        last = next(call for call in trace.calls if call.path == "blocks.4.up")
        assert last.outputs[0].dims == ("batch", "seq_len", "ff_dim")
        with monkeypatch.context() as patch:
            assert dims(trace) == dims_with_all_blocks(
                patch, lambda measures=measures: trace_of(Model, measures)[0]
            )


@pytest.mark.parametrize("block", [WideBlock, ShiftedBlock, LateBlock, CountingBlock])
def test_all_blocks_run_where_one_may_differ(block: type[Block], monkeypatch: pytest.MonkeyPatch) -> None:
    trace, depths = trace_of(with_blocks(block))
    assert 5 in depths
    assert dims(trace) == dims_with_all_blocks(monkeypatch, lambda: trace_of(with_blocks(block))[0])


def test_all_blocks_run_where_the_output_holds_something_of_each() -> None:
    trace, depths = trace_of(AllStates)
    assert depths[-2:] == [5, 5]
    assert [spec.dims for spec in trace.calls[0].outputs[1:]] == [("batch", "seq_len", "emb_dim")] * 6


def test_all_blocks_run_where_an_axis_merges_them() -> None:
    trace, depths = trace_of(MergedStates)
    assert depths[-2:] == [5, 5]
    assert trace.calls[0].outputs[0].dims == ("5*batch", "seq_len", "vocab_size")


def test_a_configuration_that_tells_blocks_apart_has_no_depth() -> None:
    def depth(**settings: Any) -> object:
        return Architecture(settings, build=lambda changes: Model(**SETTINGS)).depth

    assert depth(n_layer=3, kinds=["full"] * 3) == ("n_layer", 3)
    assert depth(n_layer=3, kinds=["full", "full", "sliding"]) is None
    assert depth(n_layer=3, inner={"kinds": [1, 2, 3]}) is None
    assert depth(n_layer=3, stops=[1, 2]) == ("n_layer", 3)
    assert depth(emb_dim=3) is None


def test_our_own_model_runs_two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    config = GPTConfig.from_mapping({"emb_dim": 24, "n_heads": 2, "n_layers": 4, "vocab_size": 70})
    model = GPTModel(config)
    depths: list[int] = []
    architecture = architecture_of(model)
    assert architecture is not None
    build_model = architecture.build

    def build(changes: Mapping[str, int]) -> Module:
        depths.append(changes.get("n_layers", config.n_layers))
        return build_model(changes)

    monkeypatch.setattr(architecture, "build", build)

    def trace() -> Trace:
        with record_trace(model, architecture, measures=Measures(ops=True)) as trace:
            model(torch.zeros(2, 6, dtype=torch.int64))
        return trace

    first = trace()
    assert set(depths) == {2}
    runs = len(depths)
    assert trace() == first
    assert len(depths) == runs  # the second time nothing is run again
    architecture.kept.clear()
    assert dims(first) == dims_with_all_blocks(monkeypatch, trace)
