"""MACs against PyTorch's own FLOP counter and published figures; memory and statistics against arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from torch.utils.flop_counter import FlopCounterMode

import gptrace
from gptrace.model import GPTConfig, GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.report.columns import cost_text
from gptrace.tracing.statistics import is_all_finite, statistics_of
from tests.conftest import Outcome

nn = torch.nn
functional = nn.functional


def measured(module: nn.Module, *inputs: Any, measure: str = "macs") -> gptrace.Trace:
    with torch.no_grad(), gptrace.watch(module, measure=[measure]) as trace:
        module(*inputs)
    return trace


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


class Function(nn.Module):
    def __init__(self, work: Callable[..., Any]) -> None:
        super().__init__()
        self.work = work

    def forward(self, *inputs: Any) -> Any:
        return self.work(*inputs)


def rand(*shape: int) -> Any:
    return torch.rand(*shape)


MODELS: list[tuple[str, nn.Module, tuple[Any, ...]]] = [
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


@pytest.mark.parametrize(("name", "module", "inputs"), MODELS, ids=[name for name, _, _ in MODELS])
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
    assert "unknown: what gptrace_test.mystery takes" in str(trace)
    assert trace.to_dict()["calls"][0]["macs_unknown"] == ["gptrace_test.mystery"]


def test_a_look_up_costs_nothing() -> None:
    assert macs(measured(nn.Embedding(100, 8), torch.zeros(2, 3, dtype=torch.int64))) == 0


def test_activations_are_counted_while_they_live() -> None:
    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(10, 1000, bias=False), nn.Linear(1000, 10, bias=False)

        def forward(self, x: Any) -> Any:
            return self.second(self.first(x))

    x = torch.zeros(25, 10)
    trace = measured(Grows(), x, measure="memory")
    wide, narrow = 25 * 1000 * 4, 25 * 10 * 4
    assert [call.peak_bytes for call in trace.calls] == [wide + narrow, wide, wide + narrow]
    assert trace.totals.peak_bytes == wide + narrow
    views = measured(Function(lambda x: x.view(-1)[None].t()), x, measure="memory")
    assert views.totals.peak_bytes == 0
    on_meta = measured(Grows().to("meta"), x.to("meta"), measure="memory")
    assert on_meta.totals.peak_bytes == wide + narrow


def test_statistics_are_those_of_the_numbers() -> None:
    found = statistics_of(torch.tensor([[1.0, -3.0], [5.0, math.inf]]))
    assert found is not None
    assert (found.mean, found.min, found.max, found.nan, found.infinite) == (1.0, -3.0, 5.0, 0, 1)
    assert found.std == pytest.approx(math.sqrt(32 / 3))
    half = statistics_of(torch.full((1000, 1000), 300.0, dtype=torch.float16))
    assert half is not None
    assert (half.mean, half.std) == (300.0, 0.0)
    large = statistics_of(torch.tensor([3e38, 3e38]))
    assert large is not None
    assert (large.nan, large.infinite, large.max) == (0, 0, float(torch.tensor(3e38)))
    assert large.mean == pytest.approx(3e38)
    for nothing in (torch.ones(2, dtype=torch.int64), torch.ones(0), torch.ones(2, device="meta")):
        assert statistics_of(nothing) is None
    all_nan = statistics_of(torch.tensor([math.nan]))
    assert all_nan is not None
    assert (all_nan.mean, all_nan.nan) == (None, 1)
    assert is_all_finite(torch.tensor([3e38, 3e38]))
    assert not is_all_finite(torch.tensor([3e38, math.nan]))


@pytest.mark.parametrize("shape", [(300, 5000), (200, 5000), (1_000_000,), (64, 768)])
@pytest.mark.parametrize("offset", [0.0, 0.4, 0.95, 1.05, 3.0, 1e4])
def test_the_spread_keeps_its_digits_beside_any_mean(offset: float, shape: tuple[int, ...]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)) + offset
    found = statistics_of(values)
    assert found is not None
    assert found.std == pytest.approx(float(values.double().std(correction=0)), rel=1e-5)
    assert found.mean == pytest.approx(float(values.double().mean()), abs=1e-5 + 1e-6 * offset)


def _rebound(x: torch.Tensor) -> torch.Tensor:
    x.data.mul_(2)
    return x


def _through_a_view(x: torch.Tensor) -> torch.Tensor:
    x[0].zero_()
    return x


_OTHER = torch.ones(2, 2)


def _other_data(x: torch.Tensor) -> torch.Tensor:
    x.data = _OTHER
    return x


@pytest.mark.parametrize(
    "after",
    [
        lambda x: x,
        lambda x: x.mul_(2),
        _through_a_view,
        _rebound,
        _other_data,
        lambda x: torch.add(x, x, out=x),
    ],
    ids=["as it is", "in place", "through a view", "through .data", "other data", "out="],
)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_tensor_that_left_two_calls_is_looked_at_again_when_it_was_written_to(
    after: Callable[[torch.Tensor], torch.Tensor], mode: Any
) -> None:
    class Returns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return after(self.linear(x))

    returns, x = Returns(), torch.ones(2, 3)
    with mode():
        for measure in (["statistics"], ["all"]):
            with gptrace.watch(returns, measure=measure) as trace:
                output = returns(x)
            outside, inside = (call.outputs[0].statistics for call in trace.calls)
            assert outside == statistics_of(output)
            assert inside == statistics_of(returns.linear(x))


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(0.0, torch.float32), (1e-38, torch.float32), (1e-23, torch.float32), (1e-14, torch.float32),
     (1e13, torch.float32), (1e25, torch.float32), (1e38, torch.float32), (1e-290, torch.float64),
     (1e200, torch.float64), (1e308, torch.float64), (1e-6, torch.float16), (1e38, torch.bfloat16)],
)  # fmt: skip
def test_the_spread_of_tiny_and_of_huge_numbers(size: float, dtype: torch.dtype) -> None:
    values = torch.linspace(-1, 1, 1001, dtype=torch.float64).mul(size).to(dtype)
    found = statistics_of(values)
    assert found is not None
    scaled = values.double() / (size or 1.0)
    assert found.std == pytest.approx(float(scaled.std(correction=0)) * size, rel=1e-6)
    assert found.mean == pytest.approx(float(scaled.mean()) * size, abs=1e-6 * size)
    assert (found.min, found.max) == (float(values.min()), float(values.max()))
    assert (found.nan, found.infinite) == (0, 0)


def test_nobody_else_sees_what_the_tracer_computes() -> None:
    """Neither a graph that is being recorded, nor somebody's count of operations."""
    from torch.fx.experimental.proxy_tensor import make_fx

    layers = nn.Sequential(nn.Linear(3, 2), nn.ReLU())

    def traced(x: torch.Tensor) -> torch.Tensor:
        with gptrace.watch(layers, measure="statistics") as trace:
            result: torch.Tensor = layers(x)
        assert trace.calls[0].outputs[0].statistics is not None
        return result

    recorded = [str(node.target) for node in make_fx(traced)(torch.ones(1, 3)).graph.nodes]
    alone = [str(node.target) for node in make_fx(layers)(torch.ones(1, 3)).graph.nodes]
    assert [name for name in recorded if "." in name] == [name for name in alone if "." in name]


def test_the_first_call_that_makes_nan_is_named() -> None:
    layers = nn.Sequential(
        nn.Linear(2, 2), nn.Sequential(Function(lambda x: x - x), Function(lambda x: x / x)), nn.ReLU()
    )
    trace = measured(layers, torch.ones(1, 2), measure="statistics")
    assert trace.notes == ("1.1 is the first to turn finite inputs into NaN",)
    first = nn.Linear(2, 2)
    spoiled = nn.Sequential(first, nn.ReLU())
    with torch.no_grad():
        first.weight[0, 0] = math.inf
    trace = measured(spoiled, torch.ones(1, 2), measure="statistics")
    assert trace.notes == ("0 is the first to turn finite inputs into Inf; its weight is not finite",)
    passed_on = measured(nn.ReLU(), torch.tensor([math.nan]), measure="statistics")
    assert passed_on.notes == ()


@pytest.mark.parametrize("measure", ["statistics", "all"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_call_that_makes_nan_in_place_is_named(measure: str, mode: Any) -> None:
    """By then its input holds NaN, too; it did not when it came in."""
    in_place = Function(lambda x: x.sub_(x).div_(x))
    for before in (nn.Linear(2, 2), Function(lambda x: x + 1), Function(lambda x: (x + 1, x)[0])):
        layers = nn.Sequential(before, nn.Sequential(nn.Identity(), in_place), nn.ReLU())
        with mode(), gptrace.watch(layers, measure=measure) as trace:
            layers(torch.ones(1, 2))
        assert trace.notes == ("1.1 is the first to turn finite inputs into NaN",)


class SpoilsBetween(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x.sub_(x).div_(x)
        result: torch.Tensor = self.second(x)
        return result


@pytest.mark.parametrize("measure", ["statistics", "all"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_is_spoiled_between_two_calls_is_neither_of_them(measure: str, mode: Any) -> None:
    module = SpoilsBetween()
    with mode(), gptrace.watch(module, measure=measure) as trace:
        module(torch.ones(1, 2))
    assert trace.notes == ("the model itself is the first to turn finite inputs into NaN",)


def test_everything_at_once_changes_nothing(gpt2_small: GPTModel) -> None:
    ids = torch.tensor([[15496, 11, 314, 716]])
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            plain = gpt2_small(ids)
            with gptrace.watch(gpt2_small, measure=["all"]) as trace:
                traced = gpt2_small(ids)
        assert torch.equal(plain, traced)
        assert trace.totals.ops == 367


@pytest.mark.parametrize(("name", "module", "inputs"), MODELS, ids=[name for name, _, _ in MODELS])
def test_bits_stay_the_same_in_every_model(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
    module.eval()
    with torch.no_grad():
        plain = module(*inputs)
        with gptrace.watch(module, measure=["all"]):
            traced = module(*inputs)
    pairs = zip(plain, traced, strict=True) if isinstance(plain, tuple) else [(plain, traced)]
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        ("path,macs", ["Module", "MACs"]),
        ("output,time,own", ["Module", "Output", "Time", "Own time"]),
        ("params,trainable,bytes,dtype,device",
         ["Module", "Parameters", "Trainable", "Bytes", "Dtype", "Device"]),
        ("type,input,memory", ["Module", "Type", "Input", "Peak memory"]),
        ("mean,std,min,max,nan", ["Module", "Mean", "Std", "Min", "Max", "NaN"]),
    ],
)  # fmt: skip
def test_columns_show_what_they_name(cli: Callable[..., Outcome], columns: str, titles: list[str]) -> None:
    done = cli("run", "Hello", "-m", "tiny", "--columns", columns)
    assert done.code == 0, done.err
    head = next(line for line in done.out.splitlines() if line.startswith("Module"))
    assert [part.strip() for part in head.split("  ") if part.strip()] == titles


def test_a_wrong_column_lists_them(cli: Callable[..., Outcome]) -> None:
    cli("run", "Hello", "--columns", "macz").is_error(
        2, "'macz' is not a column", "did you mean macs?", "nan"
    )
    cli("run", "Hello", "--columns", ",").is_error(2, "names no column")


def test_a_folded_row_carries_its_childrens(cli: Callable[..., Outcome]) -> None:
    shown = cli("run", "Hello", "-m", "tiny", "--columns", "macs,params", "--set", "n_layers=4").out
    first, rest = (
        next(line for line in shown.splitlines() if part in line) for part in ("├ 0 ", "1–3, same")
    )
    one, others = (int(line.split()[-2].replace(",", "")) for line in (first, rest))
    assert others == 3 * one > 0
    cut = cli("run", "Hello", "-m", "tiny", "--columns", "macs", "--depth", "0").out
    assert next(line for line in cut.splitlines() if line.startswith("GPTModel")).split()[-1] == "2,467,824"
