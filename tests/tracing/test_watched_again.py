"""What is kept from one trace to the next is never told of a model that has changed meanwhile."""

from __future__ import annotations

import copy
from collections.abc import Callable
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
