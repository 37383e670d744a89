"""The page of a model: each figure as torch, transformers or the other commands have it."""

from __future__ import annotations

import base64
import copy
import json
import math
from typing import Any

import pytest
import transformers
from msgspec.structs import replace

import gptrace
from gptrace import Session
from gptrace.errors import TextError
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.recorder import AttentionRecorder
from gptrace.predict.page.budget import MOST_BYTES, fitted
from gptrace.predict.page.left_out import ViewsLeftOut
from gptrace.record import AttentionMap, Page
from gptrace.record.writing import deflated
from gptrace.report import render
from tests.models.attending import AttendingGPT
from tests.models.collection import build
from tests.models.right_models import RIGHT_MODELS
from tests.support import KERNEL_ROUNDING, assert_same_but_for_rounding

nn = torch.nn
IDS = [5, 6, 7, 8, 9, 3, 1]
SIZES = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
CONFIGS: dict[str, Any] = {
    "gpt2": transformers.GPT2Config(
        vocab_size=60, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    ),
    "llama": transformers.LlamaConfig(**SIZES, num_attention_heads=4, num_key_value_heads=2),
}


def hugging_face(name: str, implementation: str) -> Any:
    """A random model whose attention is far from even."""
    torch.manual_seed(3)
    config = copy.deepcopy(CONFIGS[name])  # which keeps the implementation
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=implementation)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4
    return model.eval()


def matrix(place: AttentionMap, number: int, length: int) -> torch.Tensor:
    """The weights (T, T) of a head, as a page draws them."""
    weights = torch.zeros(length, length, dtype=torch.float64)
    shown = torch.ones(length, length, dtype=torch.bool)
    weights[shown.tril() if place.is_causal else shown] = (
        torch.tensor(list(place.heads[number].weights), dtype=torch.float64) / 255
    )
    return weights


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_attention_is_that_of_transformers(name: str, implementation: str) -> None:
    ids = torch.tensor([IDS])
    model = hugging_face(name, implementation)
    with torch.no_grad():
        expected = hugging_face(name, "eager")(ids, output_attentions=True).attentions
        places: list[AttentionPlace] = []
        with AttentionRecorder(len(IDS), places.append).on(model):
            model(ids)
    page = Session(model).page(ids=IDS)
    maps = page.prompts[0].attention
    assert len(maps) == len(places) == len(expected) == 2
    for place, shown, weights in zip(places, maps, expected, strict=True):
        assert float(weights[0, :, -1].max(dim=-1).values.min()) > 1.5 / len(IDS)  # it is not even
        assert float((place.weights - weights[0]).abs().max()) <= 1e-6
        for number in range(4):
            drawn = matrix(shown, number, len(IDS))
            assert float((drawn - weights[0, number]).abs().max()) <= 1 / 510 + 1e-6
            entropy = torch.special.entr(weights[0, number].double()).sum(dim=-1).mean()
            assert shown.heads[number].entropy == pytest.approx(float(entropy), abs=1e-5)
        assert (shown.is_causal, shown.head_count, shown.numbers) == (True, 4, (0, 1, 2, 3))
        assert shown.is_recomputed == (implementation == "sdpa")
        difference = shown.difference
        assert (difference is not None and difference < 1e-5) if shown.is_recomputed else difference is None
        assert page.trace.calls[shown.call].path == shown.path


@pytest.mark.parametrize(
    ("style", "windows"), [("", [0, 0]), ("window", [2, 2]), ("two windows", [2, 4]), ("sink mask", [0, 0])]
)
def test_a_window_is_that_of_the_last_tokens_alone(style: str, windows: list[int]) -> None:
    maps = Session(AttendingGPT(style)).page(ids=IDS).prompts[0].attention
    assert [place.window for place in maps] == windows


def test_a_row_is_no_head_where_there_are_as_many_as_tokens() -> None:
    """The heads share keys and values, whose axes then tell no head from a query."""
    found, expected = (
        Session(AttendingGPT(style)).page(ids=IDS[:2]).prompts[0].attention
        for style in ("queries by heads", "shared")
    )
    assert len(found) == len(expected) == 2
    for place, other in zip(found, expected, strict=True):
        for number in range(2):
            difference = matrix(place, number, 2) - matrix(other, number, 2)
            assert float(difference.abs().max()) <= 1 / 255 + 1e-9  # one step of a byte


def test_rows_are_queries_where_the_model_has_scores_of_keys_by_queries() -> None:
    turned, usual = (
        Session(AttendingGPT(style)).page(ids=IDS).prompts[0].attention for style in ("rows are keys", "")
    )
    for shown, expected in zip(turned, usual, strict=True):
        for number in range(2):
            drawn, weights = (matrix(place, number, len(IDS)) for place in (shown, expected))
            # Rounding may move a weight to the next of 255 steps.
            assert float((drawn - weights).abs().max()) <= 1 / 255 + 1e-9


def test_the_stream_is_what_hooks_see(tiny: GPTModel) -> None:
    seen: dict[str, torch.Tensor] = {}
    names = ["drop_emb", *(f"trf_blocks.{n}{part}" for n in range(2) for part in ("", ".att", ".ff"))]
    for name in names:
        tiny.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: seen.__setitem__(name, output[0].double().clone())
        )
    session = Session(tiny)
    page = session.page("Hello, I am")
    stream = seen["drop_emb"]
    points = iter(page.prompts[0].stream)
    first = next(points)
    assert (first.path, first.added) == ("drop_emb", ())
    assert first.norms == pytest.approx(stream.norm(dim=-1).tolist())
    for block in range(2):
        for part in ("att", "ff"):
            point, path = next(points), f"trf_blocks.{block}.{part}"
            stream = stream + seen[path]
            assert (point.path, page.trace.calls[point.call].path) == (path, path)
            assert point.added == pytest.approx(seen[path].norm(dim=-1).tolist())
            assert point.norms == pytest.approx(stream.norm(dim=-1).tolist())
        assert torch.allclose(stream, seen[f"trf_blocks.{block}"], atol=KERNEL_ROUNDING)
    assert next(points, None) is None


def floats(data: bytes) -> torch.Tensor:
    return torch.tensor(list(memoryview(data).cast("f")), dtype=torch.float64)


def test_the_projection_is_the_heads_own(tiny: GPTModel) -> None:
    head = nn.Linear(48, 50257)
    head.weight = tiny.out_head.weight
    nn.init.normal_(head.bias, std=0.1)
    tiny.out_head = head
    taken: list[torch.Tensor] = []
    head.register_forward_hook(lambda _, inputs, __: taken.append(inputs[0][0, -1].double()))
    page = Session(tiny).page("Hello, I am", k=3)
    projection = page.prompts[0].projection
    assert projection is not None
    x = floats(projection.hidden)
    assert torch.allclose(x, taken[0], atol=KERNEL_ROUNDING)
    with torch.no_grad():
        logits = tiny(torch.tensor([[15496, 11, 314, 716]]))[0, -1].double()
    decoded = projection.low + projection.step * torch.tensor(list(memoryview(projection.logits).cast("H")))
    assert float((decoded - logits).abs().max()) <= projection.step / 2 + KERNEL_ROUNDING
    assert [row.id for row in projection.rows] == logits.topk(3).indices.tolist()
    for row in projection.rows:
        assert float(floats(row.weights) @ x) + row.bias == pytest.approx(row.logit, abs=KERNEL_ROUNDING)
        assert row.logit == pytest.approx(float(logits[row.id]), abs=KERNEL_ROUNDING)
        assert row.bias == pytest.approx(head.bias[row.id].item())


def test_the_other_views_are_what_the_commands_say(tiny: GPTModel) -> None:
    texts = ["Hello, I am", "Hi"]  # the second one is padded in the traced batch
    session = Session(tiny)
    page = session.page(texts, k=3)
    lens, loss = session.lens(texts, k=3).results, session.loss(texts).results
    for number, prompt in enumerate(page.prompts):
        assert prompt.lens is not None
        for layer, expected in zip(prompt.lens.layers, lens[number].layers, strict=True):
            # The cells of a page have more candidates.
            cells = tuple(replace(cell, candidates=cell.candidates[:1]) for cell in layer.cells)
            assert_same_but_for_rounding(replace(layer, cells=cells), expected)
        assert_same_but_for_rounding(prompt.lens.tokens, lens[number].tokens)
        assert_same_but_for_rounding(prompt.loss, loss[number])
        length = len(page.trace.inputs[number].ids)
        assert {len(point.norms) for point in prompt.stream} == {length}
        assert {len(head.weights) for place in prompt.attention for head in place.heads} == {
            length * (length + 1) // 2
        }
    assert [each.language for each in page.explanations] == ["en", "zh"]
    for explanation in page.explanations:
        alone = session.explain(texts[0], lang=explanation.language)
        assert_same_but_for_rounding(explanation.topics, alone.topics)
    assert [(each.view, each.reason) for each in page.left_out] == [
        ("why", "the claims are about the first prompt only")
    ]


def test_of_many_prompts_the_first_show_their_logits() -> None:
    model = gptrace.GPTModel({"vocab_size": 60, "emb_dim": 16, "n_heads": 2, "n_layers": 1}).eval()
    page = Session(model).page(ids=[IDS] * 6)
    assert [prompt.projection is not None for prompt in page.prompts] == [True] * 4 + [False] * 2
    assert all(prompt.attention and prompt.stream and prompt.lens for prompt in page.prompts)
    assert page.left_out[0].reason == "the logits of the first 4 of 6 prompts are shown here"


def left_out(page: Page) -> dict[str, str]:
    """The first reason for each view; all reasons have a Chinese sentence."""
    assert all(each.reason and any("\u4e00" <= one <= "\u9fff" for one in each.reason_zh)
               for each in page.left_out)  # fmt: skip
    return {each.view: each.reason for each in reversed(page.left_out)}


def test_a_model_that_fails_still_has_a_page() -> None:
    model = nn.Sequential(nn.Embedding(60, 8), nn.LayerNorm(9), nn.Linear(8, 60))
    page = Session(model).page(ids=IDS)
    assert page.trace.error is not None
    assert page.trace.error.path == "1"
    assert set(left_out(page)) == {"why", "attention", "lens", "stream", "loss"}
    assert left_out(page)["loss"] == "the model fails before this can be measured"
    checked = Session(model).page(ids=IDS, check=True)
    assert left_out(checked)["failure"].startswith("RuntimeError: Given normalized_shape=[9]")
    with pytest.raises(TextError, match="is not in the vocabulary"):
        Session("tiny").page(ids=[50257])


def test_a_model_without_numbers_has_a_page() -> None:
    page = Session("tiny", device="meta").page("Hello, I am")
    reasons = left_out(page)
    assert reasons.pop("why") == "the model is on device meta: it has shapes, but no numbers"
    assert set(reasons) == {"attention", "lens", "stream", "loss"}
    assert len(page.trace.calls) == 39
    checked = Session("tiny", device="meta").page("Hello", check=True)
    assert left_out(checked)["failure"] == "device meta has shapes, but no numbers to check with"


@pytest.mark.parametrize(
    ("name", "views", "reason"),
    [
        ("gru_model", {"lens", "attention", "stream"}, "no attention is found in RNNModel"),
        ("functional", {"lens", "stream", "why"}, "no module of FunctionalGPT makes the logits"),
        ("alibi", {"lens", "stream"}, "the blocks of AlibiLM are not sums, and do not take"),
        ("memory_tokens", {"attention", "stream"}, "the blocks of MemoryLM have 10 positions for 7 tokens"),
        ("last_logits", {"loss"}, "GPT gives logits for the last position alone"),
        ("post_norm", {"stream"}, "in 2 of the 2 blocks of"),
    ],
)  # fmt: skip
def test_a_view_that_a_model_cannot_have_is_left_out_with_the_reason(
    name: str, views: set[str], reason: str
) -> None:
    name = {"functional": "sinusoidal_functional"}.get(name, name)
    page = Session(build(RIGHT_MODELS[name])).page(ids=IDS)
    reasons = left_out(page)
    assert set(reasons) == views
    assert any(each.startswith(reason) for each in reasons.values())
    if name == "post_norm":  # the size is shown, and by how much each block changes it
        assert [point.path for point in page.prompts[0].stream] == ["drop", "h.0", "h.1"]


@pytest.mark.parametrize("style", ["fused", "shared", "sink"])
def test_where_models_attend_in_other_ways(style: str) -> None:
    page = Session(AttendingGPT(style).eval()).page(ids=IDS)
    for place in page.prompts[0].attention:
        is_distribution = all(
            abs(sum(row) - 1) < 1e-2 for row in matrix(place, 0, len(IDS)).tolist()
        )  # fmt: skip
        assert math.isnan(place.heads[0].entropy) != is_distribution
        assert place.is_recomputed == (style == "fused")


def test_logits_that_are_nan_leave_the_stream_to_show_where() -> None:
    model = gptrace.GPTModel({"vocab_size": 60, "emb_dim": 16, "n_heads": 2, "n_layers": 2})
    with torch.no_grad():
        model.get_submodule("trf_blocks.1.ff.layers.2").bias.fill_(math.nan)  # type: ignore[operator]
    page = Session(model.eval()).page(ids=IDS)
    assert {"why", "lens", "loss"} <= set(left_out(page))
    stream = page.prompts[0].stream
    assert [math.isnan(point.norms[0]) for point in stream] == [False] * 4 + [True]


def test_what_the_page_has_no_room_for_is_left_out_and_named() -> None:
    torch.manual_seed(0)
    model = gptrace.GPTModel({"vocab_size": 300, "emb_dim": 64, "n_heads": 8, "n_layers": 6}).eval()
    whole = Session(model).page(ids=[[7 * n % 300 for n in range(40)], IDS])
    assert sum(len(place.heads) for place in whole.prompts[0].attention) == 48
    size = len(deflated(whole))
    names = ViewsLeftOut()
    small = fitted(whole, names, most_bytes=size * 3 // 4)
    assert len(deflated(small)) <= size * 3 // 4
    (reason,) = [each.reason for each in names.records]
    heads = [len(place.heads) for prompt in small.prompts for place in prompt.attention]
    assert reason.startswith(f"the page has room for {sum(heads)} of 96 heads, in {len(heads)} of 12 places")
    assert 0 < sum(heads) < 96
    for place in small.prompts[0].attention:
        before = next(each for each in whole.prompts[0].attention if each.path == place.path)
        assert [before.heads[number] for number in place.numbers] == list(place.heads)
    for prompt, original, length in zip(small.prompts, whole.prompts, (40, len(IDS)), strict=True):
        kept = {(place.path, number) for place in prompt.attention for number in place.numbers}
        sharpness = {
            (place.path, number): float(matrix(place, number, length)[:, 1:].max(dim=1).values.mean())
            for place in original.attention
            for number in place.numbers
        }
        others = [each for head, each in sharpness.items() if head not in kept]
        assert min(sharpness[head] for head in kept) >= max(others) - 1e-9
        assert_same_but_for_rounding(prompt.lens, original.lens, 5e-4)  # four digits
        assert_same_but_for_rounding(prompt.stream, original.stream, 5e-4)
    names = ViewsLeftOut()
    bare = fitted(whole, names, most_bytes=1)
    assert all(prompt == type(prompt)() for prompt in bare.prompts)
    assert {each.view for each in names.records} == {"why", "lens", "stream", "loss", "attention"}


def test_a_page_of_twelve_layers_has_600_kilobytes_at_most() -> None:
    # The bytes depend on the number of calls, of tokens and of logits, and hardly on the width.
    config = {"emb_dim": 96, "n_heads": 12, "n_layers": 12}
    torch.manual_seed(0)
    page = Session(gptrace.GPTModel(config).eval()).page("Once upon a time there was a little girl")
    assert not page.left_out
    assert len(render(page, "html")) < 570_000


def test_the_largest_page_has_one_megabyte() -> None:
    around = len(render(gptrace.trace("Hello", model="tiny", device="meta"), "html"))
    assert around + MOST_BYTES * 4 // 3 < 1_000_000


def test_arrays_are_base64_in_json_and_come_back(tiny: GPTModel) -> None:
    page = Session(tiny).page("Hello")
    rows = json.loads(page.to_json())["prompts"][0]["projection"]["rows"]
    weights = base64.b64decode(rows[0]["weights"])
    assert floats(weights).tolist() == pytest.approx(tiny.out_head.weight[rows[0]["id"]].tolist())
