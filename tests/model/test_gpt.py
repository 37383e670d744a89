"""The model, against published numbers and against the course's own published code."""

from __future__ import annotations

import copy
import pickle

import pytest
from llms_from_scratch.ch04 import GPTModel as CourseModel

from gptrace.model import GPTConfig, GPTModel
from gptrace.model.gpt import TransformerBlock, causal_mask
from gptrace.model.quiet_torch import torch
from tests.support import KERNEL_ROUNDING

SMALL = {
    "vocab_size": 1000,
    "context_length": 64,
    "emb_dim": 48,
    "n_heads": 4,
    "n_layers": 2,
    "drop_rate": 0.1,
}


def first_block(model: GPTModel) -> TransformerBlock:
    block = model.trf_blocks[0]
    assert isinstance(block, TransformerBlock)
    return block


@pytest.mark.slow
def test_seed_123_in_training_mode_gives_the_published_logits() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(123)
        model = GPTModel(GPTConfig())
        logits = model(torch.tensor([[6109, 3626, 6100, 345], [6109, 1110, 6622, 257]]))
    assert logits.shape == (2, 4, 50257)
    published = 0.5e-4 + KERNEL_ROUNDING  # four digits
    assert logits[0, 0, :3].tolist() == pytest.approx([0.3613, 0.4222, -0.0711], abs=published)
    assert logits[1, 3, -3:].tolist() == pytest.approx([1.2630, -0.1858, 0.0388], abs=published)


def test_greedy_tokens_are_the_published_ones(gpt2_small: GPTModel) -> None:
    ids = [15496, 11, 314, 716]
    with torch.no_grad():
        for _ in range(6):
            ids.append(int(gpt2_small(torch.tensor([ids]))[0, -1].argmax()))
    assert ids[4:] == [27018, 24086, 47843, 30961, 42348, 7267]


def test_parameters_and_modules_are_the_published_ones(gpt2_small: GPTModel) -> None:
    count = sum(p.numel() for p in gpt2_small.parameters())
    assert count == 163_009_536
    assert count - gpt2_small.out_head.weight.numel() == 124_412_160
    assert round((count - gpt2_small.out_head.weight.numel()) * 4 / 2**20, 2) == 474.59
    assert round(count * 4 / 2**20, 2) == 621.83
    assert len(list(gpt2_small.modules())) == 187


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_course_model_with_the_same_weights_gives_the_same_logits(qkv_bias: bool, attention: str) -> None:
    torch.manual_seed(7)
    course = CourseModel(SMALL | {"qkv_bias": qkv_bias}).eval()
    model = GPTModel(SMALL | {"qkv_bias": qkv_bias, "attention": attention}).eval()
    state = course.state_dict()
    assert "trf_blocks.0.att.mask" in state
    model.load_state_dict(state)  # strict
    ids = torch.randint(0, 1000, (3, 20))
    with torch.no_grad():
        torch.testing.assert_close(model(ids), course(ids), atol=1e-5, rtol=1e-5)


def test_the_same_seed_draws_the_same_weights_as_the_course_model() -> None:
    torch.manual_seed(123)
    course_state = CourseModel(SMALL | {"qkv_bias": True}).state_dict()
    torch.manual_seed(123)
    state = GPTModel(SMALL | {"qkv_bias": True}).state_dict()
    assert state.keys() == {name for name in course_state if not name.endswith("att.mask")}
    # Bit by bit: each number is drawn by itself, so there is no sum whose order could differ.
    assert [name for name in state if not torch.equal(state[name], course_state[name])] == []


def test_a_block_alone_loads_a_state_with_a_mask() -> None:
    state = CourseModel(SMALL | {"qkv_bias": False}).trf_blocks[0].att.state_dict()
    attention = first_block(GPTModel(SMALL)).att
    for module in (attention, copy.deepcopy(attention), pickle.loads(pickle.dumps(attention))):
        module.load_state_dict(state)
    assert "mask" in state


def test_the_mask_is_as_long_as_needed_and_no_buffer() -> None:
    assert causal_mask(3, 3, torch.device("cpu")).tolist() == [
        [False, True, True], [False, False, True], [False, False, False],
    ]  # fmt: skip
    assert causal_mask(1, 3, torch.device("cpu")).tolist() == [[False, False, False]]
    assert list(GPTModel(SMALL).buffers()) == []


def test_exporting_a_model_leaves_it_sound() -> None:
    model = GPTModel(SMALL).eval()
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        before = model(ids)
        exported = torch.export.export(model, (ids,)).module()
        torch.testing.assert_close(exported(ids), before)
        assert torch.equal(model(ids), before)


def test_a_forward_in_inference_mode_does_not_spoil_a_later_training_step() -> None:
    model = GPTModel(SMALL)
    ids = torch.zeros(1, 5, dtype=torch.int64)
    with torch.inference_mode():
        model(ids)
    model(ids).sum().backward()
    assert model.tok_emb.weight.grad is not None


def test_attention_looks_only_to_the_left(gpt2_small: GPTModel) -> None:
    with torch.no_grad():
        logits = gpt2_small(torch.tensor([[15496, 11, 314]]))
        other_logits = gpt2_small(torch.tensor([[15496, 11, 50000]]))
    torch.testing.assert_close(logits[:, :2], other_logits[:, :2])
    assert (logits[:, 2] - other_logits[:, 2]).abs().max() > 0.1
