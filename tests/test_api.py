"""The Python functions: trace, topk and tokens."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import gptrace
from gptrace.errors import InputError, OptionError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import candidates
from tests.conftest import environment


def test_the_candidates_are_those_of_torch(gpt2_small: GPTModel) -> None:
    trace = gptrace.trace("Hello, I am", model=gpt2_small, k=7, temperature=0.5)
    with torch.no_grad():
        logits = gpt2_small(torch.tensor([[15496, 11, 314, 716]]))[0, -1]
    top = torch.softmax(logits / 0.5, -1).topk(7)
    found = trace.predictions[0].candidates
    assert [one.token.id for one in found] == top.indices.tolist()
    assert [one.rank for one in found] == list(range(1, 8))
    assert [one.logit for one in found] == pytest.approx(logits[top.indices].tolist())
    assert [one.probability for one in found] == pytest.approx(top.values.tolist(), rel=1e-5)
    assert found[0].token.text == " Feature"


def test_equal_logits_rank_by_id_and_all_probabilities_sum_to_one() -> None:
    found = candidates(torch.tensor([0.0, 2.0, 2.0, 2.0]), 4)
    assert [one.token.id for one in found] == [1, 2, 3, 0]
    assert sum(one.probability for one in found) == pytest.approx(1)


def test_a_padded_batch_gives_each_prompt_what_it_gets_alone(gpt2_small: GPTModel) -> None:
    texts = ["Hello", "Every effort moves you", "你好", "<|endoftext|>Once upon a time there"]
    alone = [gptrace.topk(text, k=5, model=gpt2_small).results[0] for text in texts]
    together = gptrace.topk(texts, k=5, model=gpt2_small).results
    traced = gptrace.trace(texts, k=5, model=gpt2_small)
    assert [p.padding for p in traced.inputs] == [5, 2, 2, 0]
    assert [p.position for p in traced.predictions] == [0, 3, 3, 5]
    for one, both, prediction in zip(alone, together, traced.predictions, strict=True):
        for other in (both.candidates, prediction.candidates):
            assert [c.token.id for c in other] == [c.token.id for c in one.candidates]
            assert [c.logit for c in other] == pytest.approx([c.logit for c in one.candidates], abs=1e-4)


def test_topk_runs_the_head_at_the_last_positions_only(tiny: GPTModel) -> None:
    rows: list[tuple[int, ...]] = []
    tiny.out_head.register_forward_hook(lambda m, a, out: rows.append(tuple(out.shape)))
    gptrace.topk(["Hello", "Hello, I am"], model=tiny)
    assert rows == [(2, 50257)]


def test_ids_in_place_of_text() -> None:
    by_ids = gptrace.topk(ids=[15496, 11], model="tiny").results[0]
    by_text = gptrace.topk("Hello,", model="tiny").results[0]
    assert by_ids == by_text
    assert len(gptrace.trace(ids=[[1], [2, 3]], model="tiny").inputs) == 2


def test_a_vocabulary_that_is_not_gpt2s() -> None:
    few = gptrace.topk(ids=[5], model="tiny", config={"vocab_size": 100}, k=100).results[0]
    assert len(few.candidates) == 100
    many = gptrace.topk(ids=[5], model="tiny", config={"vocab_size": 60000}, k=60000).results[0]
    unknown = [one for one in many.candidates if one.token.id >= 50257]
    assert len(unknown) == 60000 - 50257
    assert all(one.token.text is None and one.token.bytes is None for one in unknown)


def test_sizes_seeds_and_dtypes() -> None:
    trace = gptrace.trace("Hello", model="tiny", config={"n_layers": 1}, seed=7, dtype="bfloat16")
    assert trace.model.weights == {"source": "random", "seed": 7}
    assert trace.model.name == "tiny, changed"
    assert trace.calls[-1].outputs[0].dtype == "bfloat16"
    first = gptrace.topk("Hello", model="tiny", seed=1).results
    assert first == gptrace.topk("Hello", model="tiny", seed=1).results
    assert first != gptrace.topk("Hello", model="tiny", seed=2).results


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


def test_nan_logits_are_null_in_json(tiny: GPTModel) -> None:
    with torch.no_grad():
        tiny.out_head.weight.fill_(float("nan"))
    assert '"logit": null' in gptrace.topk("Hello", model=tiny).to_json()
    assert "nan" in str(gptrace.topk("Hello", model=tiny))


def test_the_top_k_are_the_start_of_every_longer_list() -> None:
    """In bfloat16 many logits are equal; ties must not depend on k."""
    longest = gptrace.topk("Hello, I am", model="tiny", dtype="bfloat16", k=400).results[0].candidates
    assert len({one.logit for one in longest}) < 100
    for k in (1, 5, 9, 10, 50, 200):
        found = gptrace.topk("Hello, I am", model="tiny", dtype="bfloat16", k=k).results[0].candidates
        assert found == longest[:k]


def test_a_tiny_temperature_is_greedy_and_not_nan() -> None:
    found = gptrace.topk("Hello", model="tiny", temperature=1e-308).results[0].candidates
    assert [one.probability for one in found] == [1, 0, 0, 0, 0]
    trace = gptrace.trace("Hello", model="tiny", temperature=0.5)
    assert trace.to_dict()["temperature"] == 0.5
    assert "divided by the temperature 0.5" in str(trace)


def test_a_small_vocabulary_has_fewer_candidates_unless_k_is_given() -> None:
    assert len(gptrace.topk(ids=[1], model="tiny", config={"vocab_size": 3}).results[0].candidates) == 3
    with pytest.raises(OptionError, match="k is 5"):
        gptrace.topk(ids=[1], model="tiny", config={"vocab_size": 3}, k=5)


def test_a_dict_of_a_trace_is_its_own_and_holds_no_nan(tiny: GPTModel) -> None:
    trace = gptrace.trace("Hello", model=tiny)
    trace.to_dict()["dims"].clear()
    assert trace.dims["batch"] == 1
    with torch.no_grad():
        tiny.out_head.weight.fill_(float("nan"))
    spoiled = gptrace.trace("Hello", model=tiny).to_dict()
    assert spoiled["predictions"][0]["candidates"][0]["logit"] is None


def test_ids_from_arrays_and_tensors() -> None:
    for ids in (torch.tensor([1, 2]), (one for one in [1, 2]), range(1, 3), [torch.tensor(1), 2]):
        assert gptrace.tokens(ids=ids).results[0].ids == (1, 2)  # type: ignore[arg-type]
    for rows in (torch.tensor([[1], [2]]), [range(1, 2), (one for one in [2])]):
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
        {"text": "a", "temperature": 10**400},
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
        "Explanation", "GPTConfig", "GPTModel", "Generation", "GptraceError", "Lens", "Loss", "Session",
        "Tokens", "TopK", "TopKStream", "Trace", "__version__", "explain", "generate", "lens", "loss",
        "tokens", "topk", "topk_stream", "trace", "watch",
    ]  # fmt: skip
    assert dir(gptrace) == sorted(gptrace.__all__)
    assert gptrace.GPTModel is GPTModel
    with pytest.raises(AttributeError, match="nothing"):
        _ = gptrace.nothing


def test_importing_gptrace_and_its_names_is_light() -> None:
    code = (
        "import sys, gptrace; gptrace.tokens('Hello'); gptrace.GPTConfig(); import gptrace.cli;"
        "sys.exit(bool({'torch', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 0


def test_no_warning_when_numpy_is_missing() -> None:
    code = "import sys; sys.modules['numpy'] = None; import gptrace; gptrace.GPTModel"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
