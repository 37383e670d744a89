"""The Python functions: trace, topk and tokens."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gptrace
from gptrace.errors import InputError, OptionError, TextError
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


def test_what_cannot_be_asked() -> None:
    with pytest.raises(InputError, match="either text or ids"):
        gptrace.trace()
    with pytest.raises(InputError, match="either text or ids"):
        gptrace.trace("Hello", ids=[1])
    with pytest.raises(InputError, match="list of texts is empty"):
        gptrace.trace([])
    with pytest.raises(TextError, match="the text is empty"):
        gptrace.trace("")
    with pytest.raises(TextError, match="list of ids is empty"):
        gptrace.trace(ids=[])
    with pytest.raises(OptionError, match="k is 0"):
        gptrace.topk("Hello", k=0, model="tiny")
    with pytest.raises(OptionError, match="from 1 to 50257"):
        gptrace.topk("Hello", k=50258, model="tiny")
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="temperature is"):
            gptrace.topk("Hello", temperature=temperature, model="tiny")
    with pytest.raises(InputError, match="model is a Linear"):
        gptrace.trace("Hello", model=torch.nn.Linear(1, 1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tempo"):
        gptrace.trace("Hello", tempo=1)  # type: ignore[call-arg]


def test_the_public_names_are_pinned() -> None:
    assert sorted(gptrace.__all__) == [
        "GPTConfig", "GPTModel", "GptraceError", "Trace", "__version__", "tokens", "topk", "trace", "watch",
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
