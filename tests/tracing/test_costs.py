"""MACs against PyTorch's own FLOP counter and published figures; memory and statistics against arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch.utils.flop_counter import FlopCounterMode

import gptrace
from gptrace.model import GPTConfig, GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.record import Cost
from gptrace.report.columns import cost_text
from tests.models.layers import LAYERS, rand
from tests.models.toys import Function
from tests.support import measured

nn = torch.nn
functional = nn.functional


@pytest.mark.parametrize(("length", "macs"), [(4, 494_423_040), (1024, 145_824_153_600)])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_published_figures_of_the_124m_model(
    gpt2_small: GPTModel, length: int, macs: int, mode: Callable[[], Any]
) -> None:
    model = gpt2_small
    if length > 100:  # the same sums, without the time that the numbers take
        from gptrace.model.meta_device import meta_copy

        model = meta_copy(gpt2_small)  # type: ignore[assignment]
    ids = torch.zeros(1, length, dtype=torch.int64, device=model.tok_emb.weight.device)
    with mode(), gptrace.watch(model, measure=["macs"]) as trace:
        model(ids)
    assert trace.totals.cost == trace.calls[0].cost
    assert trace.totals.cost is not None
    assert (trace.totals.cost.macs, trace.totals.cost.unknown) == (macs, ())


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_published_figure_of_a_small_model(attention: str) -> None:
    config = GPTConfig(
        vocab_size=1000, context_length=64, emb_dim=48, n_heads=4, n_layers=2, attention=attention
    )
    trace = measured(GPTModel(config).eval(), torch.zeros(1, 8, dtype=torch.int64))
    assert trace.totals.cost is not None
    assert trace.totals.cost.macs == 838_656


@pytest.mark.parametrize(("name", "module", "inputs"), LAYERS, ids=[name for name, _, _ in LAYERS])
def test_as_many_as_the_flop_counter_of_pytorch(
    name: str, module: nn.Module, inputs: tuple[Any, ...]
) -> None:
    trace = measured(module.eval(), *inputs)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    assert trace.totals.cost is not None
    assert trace.totals.cost.unknown == ()
    assert 2 * trace.totals.cost.macs == counter.get_total_flops() > 0


def test_where_the_flop_counter_sees_nothing() -> None:
    """Fused attention on the CPU, an LSTM, products with vectors: by hand."""
    B, H, T, D = 2, 3, 5, 4
    query = rand(B, H, T, D)
    fused = Function(lambda x: functional.scaled_dot_product_attention(x, x, x))
    assert macs(measured(fused, query)) == 2 * B * H * T * T * D
    width, state = 6, 4
    lstm = nn.LSTM(width, state, num_layers=2, bidirectional=True, batch_first=True)
    per_step = 2 * 4 * state * (width + state) + 2 * 4 * state * (2 * state + state)
    assert macs(measured(lstm, rand(B, T, width))) == B * T * per_step
    assert macs(measured(Function(torch.mv), rand(3, 4), rand(4))) == 12
    assert macs(measured(Function(torch.dot), rand(4), rand(4))) == 4
    assert macs(measured(Function(torch.outer), rand(3), rand(4))) == 0  # element by element


def test_the_fused_encoder_and_attention_of_torch() -> None:
    B, T, E, F = 2, 5, 8, 16
    attention = 4 * B * T * E * E + 2 * B * T * T * E
    multi_head = nn.MultiheadAttention(E, 2, batch_first=True).eval()
    assert macs(measured(multi_head, *[rand(B, T, E)] * 3)) == attention
    layer = nn.TransformerEncoderLayer(E, 2, F, batch_first=True).eval()
    assert macs(measured(layer, rand(B, T, E))) == attention + 2 * B * T * E * F


def macs(trace: gptrace.Trace) -> int:
    assert trace.totals.cost is not None
    assert trace.totals.cost.unknown == ()
    return trace.totals.cost.macs


def test_what_is_not_known_is_said_and_never_0() -> None:
    make: Any = torch.library.Library
    library = make("gptrace_test", "DEF")
    library.define("mystery(Tensor x) -> Tensor")
    library.impl("mystery", lambda x: x @ x.T, "CPU")
    mystery: Any = torch.ops.gptrace_test.mystery
    both = nn.Sequential(nn.Linear(4, 4), Function(mystery))
    trace = measured(both, rand(4, 4))
    assert trace.totals.cost is not None
    assert (trace.totals.cost.macs, trace.totals.cost.unknown) == (64, ("gptrace_test.mystery",))
    assert [cost_text(call.cost) for call in trace.calls] == ["≥ 64", "64", "?"]
    assert "the cost of gptrace_test.mystery is unknown" in str(trace)
    assert trace.to_dict()["calls"][0]["macs_unknown"] == ["gptrace_test.mystery"]


@pytest.mark.parametrize("function", [torch.fft.fft, torch.fft.rfft, torch.linalg.inv, torch.linalg.eigvalsh])
def test_transforms_and_decompositions_have_an_unknown_cost(function: Callable[[Any], Any]) -> None:
    trace = measured(Function(function), torch.eye(4))
    assert trace.totals.cost is not None
    assert trace.totals.cost.unknown


@pytest.mark.parametrize("function", [torch.linalg.norm, torch.fft.fftshift, torch.linalg.diagonal])
def test_norms_and_moves_cost_nothing(function: Callable[[Any], Any]) -> None:
    assert measured(Function(function), torch.eye(4)).totals.cost == Cost(0)


def test_a_look_up_costs_nothing() -> None:
    assert macs(measured(nn.Embedding(100, 8), torch.zeros(2, 3, dtype=torch.int64))) == 0


def test_what_calls_the_functions_that_it_is_given_has_an_unknown_cost() -> None:
    def chosen(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.ops.higher_order.cond(
            x.sum() > 0, lambda x: (x @ x,), lambda x: (x,), (x,)
        )[0]
        return result

    module = Function(chosen)
    with torch.no_grad(), gptrace.watch(module, measure="all") as trace:
        assert torch.equal(module(torch.ones(2, 2)), torch.full((2, 2), 2.0))
    assert trace.calls[0].cost is not None
    assert trace.calls[0].cost.unknown == ("cond",)
