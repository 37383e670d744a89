"""Weights stored by columns: only where they save time, with the same values, and never stale."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

import gptrace
from gptrace.model import GPTModel, decoding_layout
from gptrace.model.decoding_layout import DecodingLayout
from gptrace.model.plain_blocks import PlainBlocks
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
SIZES = {"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 300, "context_length": 24}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Let even small weights be measured: columns are twice as fast, but not for weights that narrow.

    Returns the shapes that were measured. Copying takes as long as ten rows.
    """
    shapes: list[tuple[int, ...]] = []

    def seconds(row: Tensor, weights: Sequence[Tensor]) -> float:
        rows, columns = weights[0].shape
        return 1.0 if weights[0].is_contiguous() or columns > rows else 0.5

    def timed_sample(alike: Sequence[Sequence[Tensor]]) -> tuple[decoding_layout._Sample, list[Tensor]]:
        shapes.append(tuple(alike[0][0].shape))
        sample, copies = measured(alike)
        return sample._replace(copying=10.0), copies

    measured = decoding_layout._timed
    monkeypatch.setattr(decoding_layout, "_LEAST_BYTES", 0)
    monkeypatch.setattr(decoding_layout, "_seconds", seconds)
    monkeypatch.setattr(decoding_layout, "_timed", timed_sample)
    return shapes


def weights() -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape) for shape in ((700, 48), (48, 48), (192, 48), (48, 192), (48, 48))]


def chosen_alone(layout: DecodingLayout, weights: list[Tensor], steps: int) -> list[Tensor]:
    """Choose for weights none of which multiplies the row of another."""
    return [weight for (weight,) in layout.chosen([[weight] for weight in weights], steps)]


def is_by_columns(weight: Tensor) -> bool:
    return weight.T.is_contiguous() and not weight.is_contiguous()


@pytest.mark.parametrize("sample", [32 << 20, 48 * 48 * 4, 100 * 48 * 4])
def test_a_copy_is_made_of_each_shape_that_is_faster_by_columns(
    timed: list[tuple[int, ...]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    sample: int,
) -> None:
    monkeypatch.setattr(decoding_layout, "_SAMPLE_BYTES", sample)
    layout, originals = DecodingLayout(), weights()
    with caplog.at_level(logging.INFO, logger="gptrace"):
        chosen = chosen_alone(layout, originals, steps=100)
    assert all(map(torch.equal, chosen, originals))
    assert [is_by_columns(weight) for weight in chosen] == [True, True, True, False, True]
    assert timed == [(700, 48), (192, 48), (48, 192), (48, 48)]  # the largest first
    size = 4 * (700 + 192 + 48 + 48) * 48 / 1024
    (message,) = caplog.messages
    assert f"a copy of {size:.1f} KiB of weights" in message
    timed.clear()
    assert all(
        first is second for first, second in zip(chosen_alone(layout, originals, 100), chosen, strict=True)
    )
    assert not timed  # it is measured once


def test_a_long_text_after_a_short_one_is_worth_the_copies(timed: list[tuple[int, ...]]) -> None:
    layout, originals = DecodingLayout(), weights()
    assert not any(map(is_by_columns, chosen_alone(layout, originals, steps=2)))
    assert [*map(is_by_columns, chosen_alone(layout, originals, steps=100))] == [
        True,
        True,
        True,
        False,
        True,
    ]
    assert len(timed) == 4  # each shape once


@pytest.mark.parametrize("steps", [1, 20])
def test_few_steps_are_not_worth_a_copy(timed: list[tuple[int, ...]], steps: int) -> None:
    originals = weights()
    chosen = chosen_alone(DecodingLayout(), originals, steps)
    assert all(weight is original for weight, original in zip(chosen, originals, strict=True))
    assert len(timed) == (steps > 1)  # the largest shape tells enough


def test_weights_that_are_written_to_are_read_anew(timed: list[tuple[int, ...]]) -> None:
    layout, originals = DecodingLayout(), weights()
    chosen_alone(layout, originals, steps=100)
    originals[0].mul_(2)
    originals[1].data = torch.ones(48, 48)
    chosen = chosen_alone(layout, originals, steps=100)
    assert chosen[0] is originals[0]
    assert chosen[1] is originals[1]
    assert is_by_columns(chosen[2])


class WithoutMemory(Tensor):
    """As the weights of some ways to quantize: other tensors hold the numbers."""

    @staticmethod
    def __new__(cls, shape: torch.Size) -> WithoutMemory:
        return Tensor._make_wrapper_subclass(cls, shape)

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any) -> Any:
        raise NotImplementedError(str(func))


@pytest.mark.parametrize("reason", ["no room", "small", "another device", "inference mode", "another class"])
def test_no_copy_is_made_where_it_cannot_help(
    timed: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    originals = weights()
    size = sum(weight.nbytes for weight in originals)
    if reason == "no room":
        monkeypatch.setattr(decoding_layout, "available_bytes", lambda: 3 * size)
    elif reason == "small":
        monkeypatch.setattr(decoding_layout, "_LEAST_BYTES", size + 1)
    elif reason == "inference mode":
        with torch.inference_mode():
            originals = weights()
    elif reason == "another class":
        originals = [WithoutMemory(weight.shape) for weight in originals]
    else:
        originals = [weight.to("meta") for weight in originals]
    assert all(map(Tensor.is_contiguous, chosen_alone(DecodingLayout(), originals, steps=100)))
    assert not timed


@pytest.mark.parametrize("biases", ["none", "all", "queries"])
def test_generate_continues_alike_with_copies(
    timed: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch, biases: str
) -> None:
    copied = []
    with_weights = PlainBlocks.with_weights

    def counted(blocks: PlainBlocks, chosen: Sequence[Sequence[Tensor]]) -> PlainBlocks:
        copied.append(sum(is_by_columns(weight) for group in chosen for weight in group))
        return with_weights(blocks, chosen)

    monkeypatch.setattr(PlainBlocks, "with_weights", counted)
    torch.manual_seed(1)
    model = GPTModel(SIZES | {"context_length": 40, "qkv_bias": biases != "none"}).eval()
    for block in model.trf_blocks.children() if biases == "queries" else ():
        block.att.W_key.bias = block.att.W_value.bias = None  # type: ignore[union-attr]
    session = gptrace.Session(model)
    expected = session.generate(ids=[5, 6, 7], max_new_tokens=36, cache=False).results[0].new_ids
    assert not copied
    assert session.generate(ids=[5, 6, 7], max_new_tokens=36).results[0].new_ids == expected
    # Of each of 2 layers: queries, keys and values in one, the projection, the widening layer.
    assert copied == [6]
    prompts = [[5, 6, 7], [9, 8]]
    results = session.generate(ids=prompts, max_new_tokens=36).results
    assert results[0].new_ids == expected
    assert copied == [6, 6, 6]
