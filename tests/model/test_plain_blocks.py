"""The plain functions of blocks against the blocks, and where they must not take their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch.overrides import TorchFunctionMode

import gptrace
from gptrace.model import GPTModel
from gptrace.model.gpt import TransformerBlock
from gptrace.model.plain_blocks import PlainBlock, plain_blocks
from gptrace.model.quiet_torch import torch

nn = torch.nn
SIZES = {"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 300, "context_length": 24}


def small_model(**changes: Any) -> GPTModel:
    torch.manual_seed(0)
    model = GPTModel(SIZES | changes).eval()
    with torch.no_grad():  # norms and biases begin as ones and zeros, which hide that one is left out
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def greedy_ids(model: GPTModel, ids: list[int], count: int) -> list[int]:
    """Continue ids by whole runs of the modules."""
    ids = list(ids)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids


def generated_ids(model: GPTModel, ids: list[int], count: int) -> list[int]:
    return [*ids, *gptrace.generate(ids=ids, model=model, max_new_tokens=count).results[0].new_ids]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attention": "sdpa", "qkv_bias": True},
        {"bias": False, "activation": "relu"},
        {"activation": "gelu", "norm_eps": 0.1, "tie_head": True},
    ],
)
def test_the_functions_compute_the_blocks(changes: dict[str, Any]) -> None:
    model = small_model(**changes)
    blocks = plain_blocks(model)
    assert blocks is not None
    x = torch.randn(2, 7, 48)
    with torch.no_grad():
        # The same operations in the same order; 1e-5 leaves room for another kernel.
        torch.testing.assert_close(blocks.run(x), model.trf_blocks(x), rtol=0, atol=1e-5)
    assert generated_ids(model, [5, 6, 7], 12) == greedy_ids(model, [5, 6, 7], 12)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_one_position_of_each_text_is_what_a_run_of_all_computes_there(n_layers: int) -> None:
    model = small_model(n_layers=n_layers, attention="sdpa")
    blocks = plain_blocks(model)
    assert blocks is not None
    x, positions = torch.randn(4, 7, 48), torch.tensor([6, 0, 3, 6])
    with torch.no_grad():
        whole = blocks.run(x)[torch.arange(4), positions]
        # Other kernels run for one row, and for a mask: rounding differs.
        torch.testing.assert_close(blocks.run_at(x, positions)[:, 0], whole, rtol=0, atol=1e-5)
        changed = x.clone()
        changed[1, 1:] += 1  # beyond the position of that text
        torch.testing.assert_close(blocks.run_at(changed, positions)[:, 0], whole, rtol=0, atol=1e-5)


class LinearMacs(TorchFunctionMode):
    """Counts the MACs of linear layers. FlopCounterMode would set hooks on all modules."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.linear:
            self.macs += args[0].numel() * len(args[1])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("shared", [0, 40])
def test_topk_computes_one_position_in_the_last_block(shared: int) -> None:
    """The multiplications of the last block but for keys and values grow with prompts, not with tokens."""
    model = small_model(context_length=64)
    prompts = [[7] * shared + [number] * (4 if number == 19 else 9) for number in range(20)]
    with LinearMacs() as counter:
        results = list(gptrace.topk_stream(prompts, model=model, k=1).results)
    T = 9 * 20
    D, tokens = 48, shared + T
    every_token, every_prompt = D * D * (12 + 2), 10 * D * D + 300 * D
    assert counter.macs == tokens * every_token + 20 * every_prompt + shared * 10 * D * D
    for prompt, result in zip(prompts, results, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt]))[0, -1]
        best = result.candidates[0]
        assert best.id == int(logits.argmax())
        assert best.logit == pytest.approx(float(logits.max()), abs=1e-4)  # of logits about 10


def test_generate_runs_the_functions_until_the_context_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    run = PlainBlock.run

    def counted(block: PlainBlock, x: torch.Tensor) -> torch.Tensor:
        lengths.append(x.shape[1])
        return run(block, x)

    monkeypatch.setattr(PlainBlock, "run", counted)
    model = small_model(context_length=8)
    gptrace.generate(ids=[5, 6, 7], model=model, max_new_tokens=9)
    assert lengths == [3, 3] + [1, 1] * 5  # for the two layers; then a window slides over the text
    lengths.clear()
    gptrace.generate(ids=[5, 6, 7], model=model, max_new_tokens=2, trace=True)
    assert not lengths  # its modules are what the trace shows
    lengths.clear()
    gptrace.generate(ids=[5, 6, 7], model=model, max_new_tokens=2, cache=False)
    assert not lengths


class Scaled(nn.Linear):
    """A user's own layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 3


def scale_by_hook(module: nn.Module) -> None:
    module.register_forward_hook(lambda module, inputs, output: output * -3)


def scale_by_pre_hook(block: Any) -> None:
    block.norm2.register_forward_pre_hook(lambda module, inputs: inputs[0] * torch.arange(48))


def own_layer(block: Any) -> None:
    block.att.W_value.__class__ = Scaled


def own_forward(block: Any) -> None:
    block.norm1.forward = lambda x: x * 3


def own_activation(block: Any) -> None:
    block.ff.layers[1] = nn.Tanh()


def one_more_layer(block: Any) -> None:
    block.ff.layers.append(nn.Linear(48, 48))


CHANGES: dict[str, Callable[[Any], None]] = {
    "hook of a block": scale_by_hook,
    "hook of a layer": lambda block: scale_by_hook(block.ff.layers[0]),
    "pre-hook": scale_by_pre_hook,
    "own layer": own_layer,
    "own forward": own_forward,
    "own activation": own_activation,
    "one more layer": one_more_layer,
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_blocks_run_themselves(change: str) -> None:
    model = small_model()
    CHANGES[change](model.trf_blocks[1])
    assert plain_blocks(model) is None
    assert generated_ids(model, [5, 6, 7], 12) == greedy_ids(model, [5, 6, 7], 12)


def test_changed_classes_and_global_hooks_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    parametrized = small_model()
    nn.utils.parametrizations.weight_norm(parametrized.trf_blocks[1].att.W_key)  # type: ignore[union-attr,arg-type]
    assert plain_blocks(parametrized) is None
    model = small_model()
    handle = nn.modules.module.register_module_forward_hook(lambda module, inputs, output: None)
    try:
        assert plain_blocks(model) is None
    finally:
        handle.remove()
    assert plain_blocks(model) is not None
    monkeypatch.setattr(TransformerBlock, "forward", lambda block, x: x)
    assert plain_blocks(model) is None


@pytest.mark.parametrize("way", ["in place", "data", "parameter"])
def test_a_weight_that_changes_between_two_calls_is_seen(way: str) -> None:
    model = small_model()
    session = gptrace.Session(model)
    before = session.generate(ids=[5, 6, 7], max_new_tokens=12).results[0].new_ids
    layer: Any = model.trf_blocks[0]
    layer, new = layer.att.W_value, torch.randn(48, 48)
    if way == "in place":
        with torch.no_grad():
            layer.weight.copy_(new)
    elif way == "data":
        layer.weight.data = new
    else:
        layer.weight = nn.Parameter(new)
    after = session.generate(ids=[5, 6, 7], max_new_tokens=12).results[0].new_ids
    assert after != before
    assert [5, 6, 7, *after] == greedy_ids(model, [5, 6, 7], 12)
