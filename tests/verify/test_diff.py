"""Where two traces part; what is read from files is in `test_diff_of_files`."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

import gptrace
from gptrace.errors import OptionError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace
from gptrace.verify.diff import diff_traces
from tests.models.spread import spread
from tests.verify.small_traces import layers, trace_of

nn = torch.nn


def test_the_same_is_the_same() -> None:
    a = trace_of(layers(3, 4, 2), torch.ones(2, 3), "all")
    b = trace_of(layers(3, 4, 2), torch.ones(2, 3), "all")
    difference = diff_traces(a, b)
    assert difference.same
    assert difference.values.compared == 3
    assert "calls: the same" in str(difference)
    assert "values: the same in 3 calls" in str(difference)


def test_added_removed_and_changed() -> None:
    a = trace_of(layers(3, 4, 2), torch.ones(2, 3), "macs")
    b = trace_of(layers(3, 5, 2, 7), torch.ones(2, 3), "macs")
    difference = diff_traces(a, b)
    assert [call.path for call in difference.added] == ["2"]
    assert difference.removed == ()
    changed = {(call.path, two.what): (two.a, two.b) for call in difference.changed for two in call.changes}
    assert changed == {
        ("", "output"): ("[2, 2]", "[2, 7]"), ("", "parameters"): ("26", "53"), ("", "MACs"): ("40", "78"),
        ("0", "output"): ("[2, 4]", "[2, 5]"), ("0", "parameters"): ("16", "20"), ("0", "MACs"): ("24", "30"),
        ("1", "input"): ("[2, 4]", "[2, 5]"), ("1", "parameters"): ("10", "12"), ("1", "MACs"): ("16", "20"),
    }  # fmt: skip
    back = diff_traces(b, a)
    assert [call.path for call in back.removed] == ["2"]
    assert "1 removed, 3 changed" in str(back)


def test_the_first_call_whose_values_part_is_the_innermost() -> None:
    def model(spoil: str | None) -> nn.Module:
        torch.manual_seed(2)
        gpt = GPTModel({"emb_dim": 12, "n_heads": 3, "n_layers": 3, "vocab_size": 40}).eval()
        if spoil:
            with torch.no_grad():
                gpt.get_parameter(spoil).mul_(1.01)
        return gpt

    ids = torch.tensor([[1, 2, 3]])
    a = trace_of(model(None), ids, "statistics")
    b = trace_of(model("trf_blocks.1.ff.layers.2.weight"), ids, "statistics")
    difference = diff_traces(a, b)
    assert difference.values.first_apart is not None
    assert difference.values.first_apart.path == "trf_blocks.1.ff.layers.2"
    assert difference.changed == ()
    assert not difference.same
    assert diff_traces(a, b, rtol=1.0).same
    shown = str(difference)
    assert "values: trf_blocks.1.ff.layers.2 is the first of 55 calls that differs" in shown
    without = trace_of(model(None), ids)
    assert "values: not compared: no statistics in B;" in str(diff_traces(a, without))
    assert diff_traces(a, without).same


class Attention(nn.Module):
    """Square scores, so that a forgotten transpose or another order changes no shape."""

    def __init__(self, steps: str) -> None:
        super().__init__()
        self.steps = steps
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        for step in self.steps.split():
            x = x.mT if step == "turn" else torch.relu(x) if step == "relu" else getattr(self, step)(x)
        return x


@pytest.mark.parametrize(
    ("steps", "change"),
    [
        ("first relu second", ("step 2", "mT: [1, 4, 4] float32 → [1, 4, 4] float32", "relu: ")),
        ("first turn relu second turn", ("step 5", "–", "mT: ")),
        ("first turn second relu", ("step 3", "relu: ", "call of second")),
    ],
)
def test_operations_are_compared(steps: str, change: tuple[str, str, str]) -> None:
    x = torch.ones(1, 4, 4)
    a = trace_of(Attention("first turn relu second"), x, "ops")
    difference = diff_traces(a, trace_of(Attention(steps), x, "ops"))
    assert not difference.same
    ((what, in_a, in_b),) = [
        (change.what, change.a, change.b) for call in difference.changed for change in call.changes
    ]
    assert what == change[0]
    assert in_a.startswith(change[1])
    assert in_b.startswith(change[2])
    same = diff_traces(a, trace_of(Attention("first turn relu second"), x, "ops"))
    assert same.same
    assert "operations: the same" in str(same)
    assert "operations: not compared; make both traces with --ops" in str(
        diff_traces(a, trace_of(Attention(steps), x))
    )


class ThreeInputs(nn.Module):
    def forward(self, x: Any, scale: Any, shift: Any) -> Any:
        return x * scale.to(x.dtype) + shift.to(x.dtype)


def changes_of(a: Trace, b: Trace) -> list[tuple[str, str, str, str]]:
    """Return path, fact and the two values of each change of a call that both traces have."""
    return [(call.path, two.what, two.a, two.b) for call in diff_traces(a, b).changed for two in call.changes]


def test_the_dtype_of_each_input_is_compared() -> None:
    def trace(*dtypes: torch.dtype) -> Trace:
        module = ThreeInputs()
        with gptrace.watch(module) as trace:
            module(*(torch.ones(2, dtype=dtype) for dtype in dtypes))
        return trace

    single, double = torch.float32, torch.float64
    a, b = trace(single, single, double), trace(single, double, double)
    assert changes_of(a, b) == [
        ("", "input dtype", "float32, float32, float64", "float32, float64, float64"),
    ]
    assert changes_of(a, trace(single, single, single)) == [
        ("", "input dtype", "float32, float32, float64", "float32"),
    ]


class CastWeights(nn.Module):
    """Computes in the dtype of its input, whatever the dtype of its weights."""

    def __init__(self, dtype: torch.dtype, *, trains: bool = True, width: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, width, dtype=dtype), requires_grad=trains)

    def forward(self, x: Any) -> Any:
        return (x @ self.weight.to(x.dtype)).sum(1)


class Adapted(nn.Module):
    """A frozen layer of 64 weights, and 8 that are trained, as those of an adapter are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8, bias=False).requires_grad_(False)
        self.adapter = nn.Parameter(torch.zeros(8))

    def forward(self, x: Any) -> Any:
        return self.layer(x) + self.adapter


def test_what_the_parameters_are_is_compared_where_their_number_is_the_same() -> None:
    x = torch.ones(2, 3)
    a = trace_of(CastWeights(torch.float32), x)
    assert changes_of(a, trace_of(CastWeights(torch.float64), x)) == [("", "parameter bytes", "36", "72")]
    frozen = trace_of(CastWeights(torch.float32, trains=False), x)
    assert changes_of(a, frozen) == [("", "trainable parameters", "9", "0")]


def test_what_the_parameters_are_is_compared_where_more_than_their_number_differs() -> None:
    x = torch.ones(2, 3)
    a = trace_of(CastWeights(torch.float32), x)
    number = ("", "parameters", "9", "12")
    assert changes_of(a, trace_of(CastWeights(torch.float32, width=4), x)) == [number]
    halved = trace_of(CastWeights(torch.float16, width=4), x)
    assert changes_of(a, halved) == [number, ("", "parameter bytes", "36", "24")]
    frozen = trace_of(CastWeights(torch.float32, trains=False, width=4), x)
    assert changes_of(a, frozen) == [number, ("", "trainable parameters", "9", "0")]


def test_an_adapter_changes_how_many_parameters_are_trained() -> None:
    x = torch.ones(1, 8)
    a = trace_of(nn.Sequential(nn.Linear(8, 8, bias=False)), x)
    changes = changes_of(a, trace_of(Adapted(), x))
    assert [change for change in changes if "parameter" in change[1]] == [
        ("", "parameters", "64", "72"), ("", "trainable parameters", "64", "8"),
    ]  # fmt: skip


class Raises(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.layer, self.error = nn.Linear(3, 3), error

    def forward(self, x: Any) -> Any:
        self.layer(x)
        raise self.error


def test_two_traces_that_fail_with_different_exceptions_differ() -> None:
    def trace(error: Exception) -> Trace:
        module = nn.Sequential(Raises(error))
        with pytest.raises(type(error)), gptrace.watch(module) as trace:
            module(torch.ones(3))
        return trace

    a = trace(ValueError("one"))
    assert changes_of(a, trace(TypeError("two"))) == [("0", "exception", "ValueError", "TypeError")]
    assert diff_traces(a, trace(ValueError("another"))).same


def test_a_further_call_is_the_only_difference() -> None:
    x = torch.ones(1, 4, 4)
    a = trace_of(Attention("first second"), x)
    difference = diff_traces(a, trace_of(Attention("first second first"), x))
    assert [(call.path, call.call) for call in difference.added] == [("first", 2)]
    assert difference.changed == ()


def test_the_order_of_calls_is_compared() -> None:
    x = torch.ones(1, 4, 4)
    a, b = (trace_of(Attention(steps), x) for steps in ("first second", "second first"))
    (root,) = diff_traces(a, b).changed
    assert [(two.what, two.a, two.b) for two in root.changes] == [
        ("step 1", "call of first", "call of second")
    ]


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_is_a_number_from_0_up(tolerance: float) -> None:
    a = trace_of(layers(3, 2), torch.ones(1, 3))
    with pytest.raises(OptionError, match="--rtol is"):
        diff_traces(a, a, rtol=tolerance)


def test_traces_of_spread_models_differ_in_parts_and_messages() -> None:
    whole = gptrace.trace("Hello", model="tiny", measure="macs")
    two, four = spread(whole, {"tp": 2}), spread(whole, {"tp": 4})
    assert diff_traces(two, spread(whole, {"tp": 2})).same
    difference = diff_traces(two, four)
    assert ("mesh", "tp=2", "tp=4") in [(each.what, each.a, each.b) for each in difference.settings]
    changes = {
        call.path: {each.what: (each.a, each.b) for each in call.changes} for call in difference.changed
    }
    assert changes["trf_blocks.0.att.W_query"]["output here"] == ("[1, 1, 24]", "[1, 1, 12]")
    assert changes["trf_blocks.0.att.out_proj"]["input here"] == ("[1, 1, 24]", "[1, 1, 12]")
    assert changes["out_head"]["MACs here"] == (f"{48 * 25129:,}", f"{48 * 12565:,}")
    silent = replace(two.calls[1], here=replace(two.calls[1].here, traffic=()))  # type: ignore[type-var]
    difference = diff_traces(two, replace(two, calls=(two.calls[0], silent, *two.calls[2:])))
    assert [(each.what, each.a, each.b) for each in difference.changed[0].changes] == [
        ("messages", "all_reduce 192 B × 1, tp", "no message")
    ]
    # What one trace alone has is no difference.
    difference = diff_traces(whole, two)
    assert difference.same
    assert ("mesh", "–", "tp=2") in [(each.what, each.a, each.b) for each in difference.settings]
