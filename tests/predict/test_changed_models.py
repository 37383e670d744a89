"""A GPTModel that its owner has changed predicts what its own forward pass gives."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest

from gptrace import Session
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch

VOCAB_SIZE = 50
PROMPTS = [[number % 7 for number in range(30)] + [number] for number in range(18)]


def built() -> GPTModel:
    torch.manual_seed(0)
    return GPTModel(
        {"emb_dim": 16, "n_heads": 2, "n_layers": 2, "vocab_size": VOCAB_SIZE, "context_length": 64}
    )


def with_hook() -> GPTModel:
    model = built()
    model.register_forward_hook(lambda module, args, output: -output)
    return model


def with_own_forward() -> GPTModel:
    model = built()
    model.forward = MethodType(lambda self, ids: -GPTModel.forward(self, ids), model)  # type: ignore[method-assign]
    return model


def with_shared_block() -> GPTModel:
    model = built()
    model.trf_blocks = torch.nn.Sequential(model.trf_blocks[0], model.trf_blocks[0])
    return model


def with_shared_attention() -> GPTModel:
    model = built()
    model.trf_blocks[1].att = model.trf_blocks[0].att
    return model


def made_in_inference_mode() -> GPTModel:
    with torch.inference_mode():
        return built()


def with_a_norm_that_counts() -> GPTModel:
    class Counting(torch.nn.LayerNorm):
        count: torch.Tensor

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.count += 1
            return super().forward(x)

    model = built()
    model.final_norm = Counting(16)  # type: ignore[assignment]
    model.final_norm.register_buffer("count", torch.zeros(()))
    return model


def with_embeddings_that_renormalise() -> GPTModel:
    model = built()
    model.tok_emb = torch.nn.Embedding(VOCAB_SIZE, 16, max_norm=1.0)
    return model


@pytest.mark.parametrize("make", [with_a_norm_that_counts, with_embeddings_that_renormalise])
@pytest.mark.parametrize("method", ["topk", "loss", "generate", "lens"])
def test_what_a_forward_pass_writes_into_is_as_it_was(make: Callable[[], GPTModel], method: str) -> None:
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    getattr(Session(model), method)(ids=PROMPTS[:2])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def logits_after(model: GPTModel, ids: list[int]) -> torch.Tensor:
    """Return the logits (V,) that the model gives in evaluation mode."""
    was_training = model.training
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(torch.tensor([ids]))[0, -1]
    model.train(was_training)
    return logits


MODELS = [with_hook, with_own_forward, with_shared_block, with_shared_attention, made_in_inference_mode]


@pytest.mark.parametrize("make", MODELS)
def test_topk_and_generate_give_what_the_model_gives(make: Callable[[], GPTModel]) -> None:
    model = make()
    session = Session(model)
    for ids, result in zip(PROMPTS, session.topk(ids=PROMPTS, k=VOCAB_SIZE).results, strict=True):
        expected = logits_after(model, ids)
        for candidate in result.candidates:
            # Rounding in float32 of logits of about 1; the dropout of training would change them by 0.1.
            assert candidate.logit == pytest.approx(float(expected[candidate.token.id]), abs=1e-4)
    for cache in (True, False):
        ids = list(PROMPTS[0])
        generation = session.generate(ids=[ids], max_new_tokens=5, temperature=0, cache=cache)
        for token in generation.results[0].new_ids:
            logits = logits_after(model, ids)
            assert float(logits[token]) >= float(logits.max()) - 1e-4
            ids.append(token)
    assert model.training


def test_a_hook_on_all_modules_changes_what_topk_and_generate_give() -> None:
    def negate(module: torch.nn.Module, args: Any, output: torch.Tensor) -> Any:
        return -output if isinstance(module, GPTModel) else output

    model = built()
    hook = torch.nn.modules.module.register_module_forward_hook(negate)
    try:
        expected = int(logits_after(model, PROMPTS[0]).argmax())
        session = Session(model)
        topk = session.topk(ids=[PROMPTS[0]], k=1)
        generation = session.generate(ids=[PROMPTS[0]], max_new_tokens=1)
    finally:
        hook.remove()
    assert topk.results[0].candidates[0].token.id == expected
    assert generation.results[0].new_ids == (expected,)


def scale_in_place(model: GPTModel) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)


def put_others_in_their_place(model: GPTModel) -> None:
    block: Any
    for block in model.trf_blocks:
        block.ff.layers[0].weight = torch.nn.Parameter(3 * block.ff.layers[0].weight)


@pytest.mark.parametrize("change", [scale_in_place, put_others_in_their_place])
def test_weights_that_change_between_two_results_of_a_stream(change: Callable[[GPTModel], None]) -> None:
    model = built()
    beginning = [number % VOCAB_SIZE for number in range(60)]
    prompts = [[*beginning, number] for number in range(40)]
    stream = Session(model).topk_stream(({"ids": ids} for ids in prompts), k=1, batch_size=20)
    for number, result in enumerate(stream.results):
        if number == 19:
            change(model)
        elif number == 20:  # the first of a batch, which runs now
            expected = logits_after(model, prompts[number])
            assert result.candidates[0].logit == pytest.approx(float(expected.max()), abs=1e-4)
