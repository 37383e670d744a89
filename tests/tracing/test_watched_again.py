"""What is kept from one trace to the next is never told of a model that has changed meanwhile."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import pytest
import transformers

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import is_of_user_code
from gptrace.tracing.recorder import SpanRecorder

nn = torch.nn
IDS = torch.tensor([[5, 9, 14, 20]])


def gpt2() -> Any:
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=8, n_positions=16, vocab_size=50, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config).eval()


def watched(model: nn.Module) -> gptrace.Trace:
    with torch.no_grad(), gptrace.watch(model) as trace:
        model(IDS)
    return trace


def freeze(model: Any) -> None:
    model.transformer.wpe.weight.requires_grad = False


def replace_block(model: Any) -> None:
    model.transformer.h[1].mlp = nn.Sequential(nn.Linear(8, 8), nn.ReLU())


def swap_data(model: Any) -> None:
    model.transformer.wpe.weight.data = torch.zeros(12, 8, dtype=torch.float64).float()


def make_half(model: Any) -> None:
    model.bfloat16()


def untie(model: Any) -> None:
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())


def change_configuration(model: Any) -> None:
    model.config.n_positions = 12


def add_buffer(model: Any) -> None:
    model.transformer.register_buffer("mask", torch.ones(3, 3))


CHANGES: list[Callable[[Any], None]] = [
    freeze, replace_block, swap_data, make_half, untie, change_configuration, add_buffer
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_described_as_it_is(change: Callable[[Any], None]) -> None:
    model = gpt2()
    before = watched(model)
    assert watched(model) == before
    change(model)
    after = watched(model)
    fresh = copy.deepcopy(model)
    assert after != before
    assert after == watched(fresh)
    parameters = list(model.parameters())
    assert after.model.parameters.unique == sum(parameter.numel() for parameter in parameters)
    assert after.model.parameters.trainable == sum(p.numel() for p in parameters if p.requires_grad)
    assert after.model.parameters.bytes == sum(p.numel() * p.element_size() for p in parameters)
    assert after.model.buffers.bytes == sum(b.numel() * b.element_size() for b in model.buffers())
    assert after.model.config is not None
    assert after.model.config["n_positions"] == model.config.n_positions


@pytest.mark.parametrize("measure", [(), ("ops",), ("all",)])
def test_the_second_trace_is_the_first_at_another_time(measure: Iterable[str]) -> None:
    model = gpt2()
    model(IDS)
    texts = []
    for _ in range(3):
        with torch.no_grad(), gptrace.watch(model, measure=measure) as trace:
            model(IDS)
        record = trace.to_dict()
        for timed in (record["totals"], *record["calls"]):
            timed["seconds"] = 0
        texts.append(record)
    assert texts[1] == texts[0]
    assert texts[2] == texts[0]


def test_a_second_trace_calls_few_functions() -> None:
    """Functions of Python for each call of a module: their number does not depend on the machine's load."""
    config = transformers.GPT2Config(n_embd=64, n_head=4, vocab_size=300, bos_token_id=1, eos_token_id=2)
    model = transformers.GPT2LMHeadModel(config).eval()

    def functions_called(run: Callable[[], object]) -> int:
        count = 0

        def note(frame: FrameType, event: str, argument: object) -> None:
            nonlocal count
            count += event == "call"

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            run()
        finally:
            sys.setprofile(before)
        return count

    watched(model)
    calls = len(watched(model).calls)
    with torch.no_grad():
        plain = functions_called(lambda: model(IDS))
    more = functions_called(lambda: watched(model)) - plain
    assert calls == 151
    assert more / calls < 20


class Moves(nn.Module):
    """Its forward pass changes what its two lists hold."""

    def __init__(self, change: Callable[[Any], None]) -> None:
        super().__init__()
        self.left = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.right = nn.ModuleList()
        self.change = change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.left[0](x)
        self.change(self)
        return y


def add_a_layer(model: Moves) -> None:
    model.right.append(nn.Linear(4, 4))


def move_a_layer(model: Moves) -> None:
    model.right.append(model.left.pop(1))


@pytest.mark.parametrize(("change", "paths"), [
    (add_a_layer, ["left.0", "left.1", "right.0"]), (move_a_layer, ["left.0", "right.0"]),
])  # fmt: skip
def test_modules_that_the_forward_pass_adds_or_moves_are_counted(
    change: Callable[[Any], None], paths: list[str]
) -> None:
    model = Moves(change)
    recorder = SpanRecorder(model)
    with recorder:
        assert recorder.paths_now() is recorder.paths
        model(torch.ones(1, 4))
    now = [path for path, module in recorder.paths_now() if isinstance(module, nn.Linear)]
    assert now == paths
    recorder.release()
    model = Moves(change)
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 4))
    assert trace.model.parameters.unique == sum(parameter.numel() for parameter in model.parameters())


def test_a_lazy_module_has_the_class_that_it_has_become() -> None:
    model = nn.Sequential(nn.LazyLinear(3))
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 4))
    assert [call.type for call in trace.calls] == ["Sequential", "Linear"]


def test_a_record_that_is_changed_does_not_change_the_next() -> None:
    model = gpt2()
    first = watched(model)
    assert first.model.config is not None
    first.model.config["n_embd"] = 1
    second = watched(model)
    assert second.model.config is not None
    assert second.model.config["n_embd"] == 8


@pytest.mark.parametrize("first_to_leave", [0, 1])
def test_two_recorders_leave_a_module_in_any_order(first_to_leave: int) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    before = [sorted(vars(module)) for module in model.modules()]
    recorders = [SpanRecorder(model).__enter__() for _ in range(2)]
    leaving = [recorders[first_to_leave], recorders[1 - first_to_leave]]
    x = torch.ones(1, 2)
    model(x)
    replica = copy.copy(model)
    vars(replica).update(vars(model))  # as DataParallel makes them
    assert torch.equal(replica(x), model(x))
    leaving[0].__exit__()
    model(x)
    leaving[1].__exit__()
    assert [sorted(vars(module)) for module in model.modules()] == before
    of_replica = ["0"]  # a copy is not the watched module, what it holds is
    assert [span.path for span in leaving[0].spans] == ["", "0", *of_replica, "", "0"]
    assert [span.path for span in leaving[1].spans] == ["", "0", *of_replica, "", "0", "", "0"]


def test_an_exception_of_torch_in_a_watched_model_is_the_models_own() -> None:
    model = nn.Sequential(nn.Linear(2, 2))

    def forward(x: torch.Tensor) -> Any:
        return model(x)

    with pytest.raises(RuntimeError) as raised, gptrace.watch(model):
        forward(torch.ones(1, 3))
    assert is_of_user_code(raised.value)


def test_the_hooks_of_a_user_that_are_added_meanwhile_are_seen() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    with gptrace.watch(model) as trace:
        model[0].register_forward_hook(lambda module, args, output: output[:, :1])
        model(torch.ones(1, 2))
    assert trace.calls[1].outputs[0].shape == (1, 1)


def test_a_module_that_is_compiled_meanwhile_is_named() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    with gptrace.watch(model) as trace:
        model.compile(backend="eager")
        model(torch.ones(1, 2))
    assert "_compiled_call_impl" in vars(model)
    assert trace.notes == (
        "compiled while the trace ran: the model itself; what they ran since then has no row",
    )
