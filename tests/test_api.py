"""The Python functions: trace, topk and tokens."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest

import gptrace
from gptrace.errors import InputError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from tests.support import assert_same_but_for_rounding, environment, logits_by_id


def test_ids_in_place_of_text() -> None:
    by_ids = gptrace.topk(ids=[15496, 11], model="tiny").results[0]
    by_text = gptrace.topk("Hello,", model="tiny").results[0]
    assert_same_but_for_rounding(by_ids, by_text)
    assert len(gptrace.trace(ids=[[1], [2, 3]], model="tiny").inputs) == 2


def test_sizes_seeds_and_dtypes() -> None:
    trace = gptrace.trace("Hello", model="tiny", config={"n_layers": 1}, seed=7, dtype="bfloat16")
    assert trace.model.weights == {"source": "random", "seed": 7}
    assert trace.model.name == "tiny, changed"
    assert trace.calls[-1].outputs[0].dtype == "bfloat16"
    first, again, other = (gptrace.topk("Hello", model="tiny", seed=seed).results[0] for seed in (1, 1, 2))
    assert_same_but_for_rounding(first, again)
    assert [*logits_by_id(first.candidates)] != [*logits_by_id(other.candidates)]


def test_what_only_predicts_is_asked_of_the_trained_model_unless_another_is_selected() -> None:
    answers = (
        gptrace.topk("Hi", k=1), gptrace.topk_stream(["Hi"], k=1), gptrace.loss("Hi there"),
        gptrace.loss_stream(["Hi there"]), gptrace.generate("Hi", max_new_tokens=1),
        gptrace.generate_stream(["Hi"], max_new_tokens=1), gptrace.lens("Hi"), gptrace.lens_stream(["Hi"]),
    )  # fmt: skip
    assert {answer.model.name for answer in answers} == {"small"}
    config = {"emb_dim": 8, "n_heads": 2, "n_layers": 1}
    assert gptrace.topk("Hi", config=config).model.name == "gpt2-small, changed"
    assert gptrace.generate("Hi", config=config, max_new_tokens=1).model.name == "gpt2-small, changed"
    assert (gptrace.Session().name, gptrace.topk("Hi", model="tiny").model.name) == ("gpt2-small", "tiny")


def test_building_a_model_leaves_the_callers_random_numbers() -> None:
    before = torch.get_rng_state()
    gptrace.trace("Hello", model="tiny")
    assert torch.equal(torch.get_rng_state(), before)


def test_meta_has_shapes_and_no_predictions() -> None:
    trace = gptrace.trace("Hello", model="gpt2-xl", device="meta")
    assert trace.model.parameters.total == 1_637_792_000
    assert trace.calls[0].outputs[0].dims == ("batch", "seq_len", "vocab_size")
    assert trace.predictions == ()
    assert "no numbers" in str(trace)
    with pytest.raises(InputError, match="device meta"):
        gptrace.topk("Hello", model="tiny", device="meta")


def test_a_dict_of_a_trace_is_its_own_and_holds_no_nan(tiny: GPTModel) -> None:
    trace = gptrace.trace("Hello", model=tiny)
    trace.to_dict()["dims"].clear()
    assert trace.dims["batch"] == 1
    with torch.no_grad():
        tiny.out_head.weight.fill_(float("nan"))
    spoiled = gptrace.trace("Hello", model=tiny, measure=["statistics"]).to_dict()
    assert spoiled["calls"][0]["outputs"][0]["statistics"]["mean"] is None


def test_ids_from_arrays_and_tensors() -> None:
    for ids in (torch.tensor([1, 2]), (token_id for token_id in [1, 2]), range(1, 3), [torch.tensor(1), 2]):
        assert gptrace.tokens(ids=ids).results[0].ids == (1, 2)  # type: ignore[arg-type]
    for rows in (torch.tensor([[1], [2]]), [range(1, 2), (token_id for token_id in [2])]):
        assert [prompt.ids for prompt in gptrace.tokens(ids=rows).results] == [(1,), (2,)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"text": "a", "ids": [1]}, {"text": []}, {"text": ""}, {"text": b"a"}, {"text": [1]}, {"text": 5},
        {"ids": []}, {"ids": [[1], 2]}, {"ids": [True]}, {"ids": [1.5]}, {"ids": ["1"]}, {"ids": 5},
        {"ids": "1 2"}, {"text": "a", "temperature": "1"}, {"text": "a", "seed": 1.5},
        {"text": "a", "k": 0}, {"text": "a", "k": 50258}, {"text": "a", "k": 2.5}, {"text": "a", "k": True},
        {"text": "a", "temperature": 0.0}, {"text": "a", "temperature": float("nan")},
        {"text": "a", "temperature": -1}, {"text": "a", "temperature": float("inf")},
        {"text": "a", "seed": None}, {"text": "a", "config": 5}, {"text": "a", "config": {"n_head": 1}},
        {"text": "a", "config": {"emb_dim": 10**30}}, {"text": "a", "config": {"n_layers": 10**9}},
        {"text": "a", "device": "tpu"}, {"text": "a", "dtype": "int8"},
        {"text": "a", "model": 5}, {"text": "a", "model": torch.Size([1])},
        {"text": "a", "weights": 5}, {"text": "a", "weights": ""}, {"text": "a", "dtype": []},
        {"text": "a", "temperature": 10**400}, {"text": "a", "temperature": 10**5000},
        {"text": "a", "k": 10**5000}, {"text": "a", "batch_size": -(10**5000)},
        {"ids": {1, 2}}, {"text": {"a": 1}}, {"ids": torch.empty(2, device="meta", dtype=torch.int64)},
        {"text": "a", "model": GPTModel({"emb_dim": 8, "n_heads": 1, "n_layers": 1}).to("meta")},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_an_input_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        gptrace.topk(**({"model": "tiny"} | wrong))
    assert caught.value.message
    assert caught.value.hint


def test_options_for_building_do_not_go_with_a_built_model(tiny: GPTModel) -> None:
    options: list[Any] = [{"seed": 7}, {"device": "meta"}, {"dtype": "float16"}, {"config": {}}]
    for option in options:
        with pytest.raises(InputError, match="built already"):
            gptrace.trace("Hello", model=tiny, **option)
    with pytest.raises(TypeError, match="tempo"):
        gptrace.trace("Hello", tempo=1)  # type: ignore[call-arg]


def test_the_public_names_are_pinned() -> None:
    assert sorted(gptrace.__all__) == [
        "Check", "Difference", "Explanation", "GPTConfig", "GPTModel", "Generation", "GptraceError", "Lens",
        "Loss", "Page", "Predictor", "Session", "Source", "Tokens", "TopK", "TopKStream", "Trace",
        "__version__", "check", "explain", "generate", "generate_stream", "lens", "lens_stream", "load",
        "loss", "loss_stream", "page", "presets", "source", "tokens", "tokens_stream", "topk", "topk_stream",
        "trace", "watch",
    ]  # fmt: skip
    assert dir(gptrace) == sorted(gptrace.__all__)
    assert gptrace.GPTModel is GPTModel
    with pytest.raises(AttributeError, match="nothing"):
        _ = gptrace.nothing


@pytest.mark.processes
def test_importing_gptrace_and_its_names_is_light() -> None:
    code = (
        "import sys, gptrace; gptrace.tokens('Hello'); gptrace.GPTConfig(); import gptrace.cli;"
        "sys.exit(bool({'torch', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 0


@pytest.mark.processes
def test_printing_a_report_draws_no_random_number() -> None:
    code = (
        "import random, gptrace; random.seed(0); state = random.getstate();"
        "report = gptrace.tokens('Hello'); str(report); report._repr_html_();"
        "raise SystemExit(random.getstate() != state)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 0


@pytest.mark.processes
def test_no_warning_when_numpy_is_missing() -> None:
    code = "import sys; sys.modules['numpy'] = None; import gptrace; gptrace.GPTModel"
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment(), capture_output=True, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, b"")


def test_sampling_has_the_seed_of_a_selection_unless_another_is_given() -> None:
    selection = select_model("tiny", seed=7)
    sampled = partial(gptrace.generate, "Hello", max_new_tokens=1, temperature=1.0)
    assert sampled(model=selection).settings.seed == 7
    assert sampled(model="tiny").settings.seed == 123
    assert sampled(model="tiny", seed=5).settings.seed == 5
