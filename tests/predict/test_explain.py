"""Explanations: every figure against torch, and a ✗ where the model is made to break a claim."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers

import gptrace
from gptrace.errors import InputError
from gptrace.model import GPTModel
from gptrace.model.build import wrap_module
from gptrace.model.gpt_parts import hidden_states
from gptrace.model.quiet_torch import torch
from gptrace.predict.explain.measured_model import MeasuredModel
from gptrace.predict.explain.topics import TOPICS as MEASURES
from gptrace.predict.validation import TOPICS
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.prompts import from_texts
from tests.models.hugging_face import FAMILIES, SIZES, byte_level_tokenizer, save_family
from tests.models.small_gpt import SmallGPT
from tests.support import Cli, flat, verdicts

nn = torch.nn
TEXT = "Hello, I am"


def figures(model: GPTModel, text: str = TEXT) -> dict[str, Any]:
    """The figures of each claim, by key."""
    loaded = wrap_module(model.eval(), "model", {"source": "given"})
    with torch.no_grad():
        measured = MeasuredModel(loaded, GPT2, from_texts([text])[0], head=None, seed=123)
        return {claim.key: claim.figures for topic in MEASURES.values() for claim in topic(measured)}


def test_all_holds_on_our_model_in_both_languages(tiny: GPTModel) -> None:
    for language in ("en", "zh"):
        explanation = gptrace.explain(TEXT, model=tiny, lang=language)
        assert tuple(topic.topic for topic in explanation.topics) == TOPICS
        marks = verdicts(explanation)
        looks = marks["attention"][7:]  # whether the weights are trained is not known
        assert looks[0] is None
        assert False not in looks
        del marks["attention"][7:]
        assert all(holds is True for holds in flat(marks)), marks
    assert not tiny.tok_emb._forward_hooks


def test_the_languages_say_the_same_figures(tiny: GPTModel) -> None:
    english = gptrace.explain(TEXT, model=tiny)
    chinese = gptrace.explain(TEXT, model=tiny, lang="zh")
    for topic, chinese_topic in zip(english.topics, chinese.topics, strict=True):
        assert len(topic.claims) == len(chinese_topic.claims)
        for claim, chinese_claim in zip(topic.claims, chinese_topic.claims, strict=True):
            differing = _figures(claim.measured) ^ _figures(chinese_claim.measured)
            assert differing <= {"2"}, differing  # English alone names GPT-2's tokenizer
            assert any("\u4e00" <= character <= "\u9fff" for character in chinese_claim.text)


def _figures(text: str) -> set[str]:
    return {figure.rstrip(".,+-") for figure in re.findall(r"[0-9][0-9,.e+-]*", text)}


def test_the_figures_are_torchs_own(tiny: GPTModel) -> None:
    measured = figures(tiny)
    ids = torch.tensor([GPT2.encode(TEXT)])
    with torch.no_grad():
        logits = tiny(ids)[0]
    assert measured["vocabulary"]["vocab_size"] == 50257
    best = logits[-1].topk(3)
    by_hand = measured["dot_product"]["by_hand"]
    assert [item["token"].id for item in by_hand] == best.indices.tolist()
    assert [item["product"] for item in by_hand] == pytest.approx(best.values.tolist(), abs=1e-5)
    loss = nn.functional.cross_entropy(logits[:-1], ids[0, 1:])
    assert measured["cross_entropy"]["loss"] == pytest.approx(float(loss), abs=1e-5)
    assert measured["uniform_loss"]["logarithm"] == pytest.approx(math.log(50257))
    chances = logits.softmax(-1)
    assert measured["softmax"]["smallest"] == pytest.approx(float(chances.min()), rel=1e-4)
    assert measured["greedy"]["token"].id == int(best.indices[0])
    assert measured["greedy"]["probability"] == pytest.approx(float(chances[-1].max()), rel=1e-4)
    total = sum(parameter.numel() for parameter in tiny.parameters())
    untied = measured["untied"]
    assert (untied["parameters"], untied["otherwise"]) == (total, total - 50257 * 48)
    cold = measured["temperature"]["at_temperatures"][0]
    assert cold["temperature"] == 0.5
    assert cold["probability"] == pytest.approx(float((logits[-1] / 0.5).softmax(-1).max()), rel=1e-4)


def test_the_step_of_training_is_what_autograd_does(tiny: GPTModel) -> None:
    step = figures(tiny)["gradient_step"]
    ids = torch.tensor([GPT2.encode(TEXT)])
    with torch.no_grad():
        x = hidden_states(tiny, ids)[0, -2].double()
    weight = tiny.out_head.weight.detach().double().requires_grad_()
    loss = nn.functional.cross_entropy((weight @ x)[None], ids[0, -1:])
    loss.backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    rate = 1 / float(x.square().sum())
    weight.requires_grad_(False)
    after = (weight - rate * weight.grad) @ x
    answer = int(ids[0, -1])
    assert step["learning_rate"] == pytest.approx(rate, rel=1e-4)
    assert step["logit"] == pytest.approx(float((weight @ x)[answer]), abs=1e-4)
    assert step["logit_after"] == pytest.approx(float(after[answer]), abs=1e-4)
    loss_after = float(nn.functional.cross_entropy(after[None], ids[0, -1:]))
    assert step["loss_after"] == pytest.approx(loss_after, abs=1e-4)


def test_the_published_sizes(gpt2_small: GPTModel) -> None:
    explanation = gptrace.explain(TEXT, model=gpt2_small, topics=["tying"])
    (topic,) = explanation.topics
    assert "163,009,536 parameters" in topic.claims[1].measured
    assert "124,412,160 parameters" in topic.claims[1].measured
    assert "474.6 MiB" in topic.claims[1].measured


@pytest.mark.parametrize(
    ("flaw", "topic", "number"),
    [
        ("lookup", "flow", 1),
        ("positions", "flow", 2),
        ("vocabulary", "last-dim", 0),
        ("causal", "last-dim", 1),
        ("weighted", "projection", 1),
        ("random", "last-dim", 1),
        ("random", "projection", 1),
    ],
)
def test_a_claim_that_a_model_breaks_gets_its_mark(flaw: str, topic: str, number: int) -> None:
    torch.manual_seed(3)
    sound, flawed = (verdicts(gptrace.explain(TEXT, model=SmallGPT(kind))) for kind in ("", flaw))
    assert sound[topic][number] is True
    assert all(holds is not False for holds in flat(sound)), sound
    if flaw == "vocabulary":  # another vocabulary than the tokenizer's: nothing to compare with
        assert flawed[topic][number] is not True
    else:
        assert flawed[topic][number] is False


def test_the_marks_reach_the_reader(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "flawed.py"
    path.write_text(
        "from tests.models.small_gpt import SmallGPT\ndef make():\n    return SmallGPT('weighted')\n"
    )
    outcome = cli("explain", TEXT, "-m", f"{path}:make", "--topic", "projection")
    out = outcome.out
    assert outcome.code == 1
    assert cli("explain", TEXT, "-m", f"{path}:make", "--topic", "probabilities").code == 0
    assert "✗ So each row of W is one token's direction, but the logits" in out
    assert "✓ The map is linear" in out
    page = cli("explain", TEXT, "-m", f"{path}:make", "--topic", "projection", "-f", "markdown").out
    assert "## How emb\\_dim becomes vocab\\_size" in page
    assert "✗ So each row of W" in page


def test_a_note_names_the_topics_that_random_weights_show_little_of() -> None:
    note = "these topics show more with trained weights (-m small): "
    untrained = gptrace.explain("Hello, I am", model="tiny", topics=["flow", "training", "inference"])
    assert f"{note}training, inference\n" in str(untrained)
    assert note not in str(gptrace.explain("Hello, I am", model="tiny", topics=["flow"]))
    assert note not in str(gptrace.explain("Hello, I am", model="small", topics=["training"]))


def test_what_does_not_apply_is_said_and_not_judged() -> None:
    bias = gptrace.explain(TEXT, model=SmallGPT("bias"), topics=["projection"]).topics[0]
    assert "y = x·Wᵀ + b" in bias.claims[0].text
    assert all(claim.holds for claim in bias.claims)
    tied = gptrace.explain(TEXT, model="tiny", config={"tie_head": True}, topics=["tying"]).topics[0]
    assert tied.claims[1].text == "In this model they are the same tensor."
    assert tied.claims[1].holds
    marks = verdicts(gptrace.explain("Hello", model="tiny"))
    assert marks["training"] == [None]
    assert marks["last-dim"] == [True] * 3


def test_a_full_context_has_no_room_for_more() -> None:
    explanation = gptrace.explain(ids=[5] * 64, model="tiny")
    marks = verdicts(explanation)
    assert marks["last-dim"][1] is None
    assert marks["inference"][3] is None
    assert False not in flat(marks)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_is_explained_in_its_own_words(name: str, tmp_path: Path) -> None:
    save_family(tmp_path, name)
    explanation = gptrace.explain(ids=[3, 4, 5, 6], model=f"hf:{tmp_path}")
    marks = verdicts(explanation)
    assert marks["projection"] == [True] * 4
    assert marks["probabilities"] == [True] * 4
    assert marks["training"] == [True] * 3
    assert None in marks["last-dim"]  # there is no tokenizer to compare with
    assert False not in flat(marks), marks
    if name.startswith("gemma"):
        assert "times 6.928" in explanation.topics[0].claims[1].measured  # its embedding is scaled by √48
    text = " ".join(claim.text for topic in explanation.topics for claim in topic.claims)
    config: Any = FAMILIES[name][0]
    assert ("n_embd" if isinstance(config, transformers.GPT2Config) else "hidden_size") in text


def test_bfloat16_is_judged_by_its_own_precision() -> None:
    marks = verdicts(gptrace.explain(TEXT, model="tiny", dtype="bfloat16"))
    assert False not in flat(marks), marks


def test_a_model_that_gives_the_last_row_alone(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "last.py").write_text(
        "import torch\n"
        "class Last(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.wte = torch.nn.Embedding(50257, 8)\n"
        "        self.lm_head = torch.nn.Linear(8, 50257, bias=False)\n"
        "        self.lm_head.weight = self.wte.weight\n"
        "    def forward(self, idx, targets=None):\n"
        "        return self.lm_head(self.wte(idx)[:, [-1]]), None\n"
    )
    report = json.loads(cli("explain", TEXT, "-m", f"{tmp_path}/last.py:Last", "--json").out)
    marks = {topic["topic"]: [claim["holds"] for claim in topic["claims"]] for topic in report["topics"]}
    assert False not in flat(marks)
    assert marks["tying"] == [True, True]
    assert marks["projection"] == [True] * 4


def test_wrong_ways_to_ask(cli: Cli) -> None:
    cli("explain", TEXT, "--topic", "flwo").is_error(2, "'flwo'", "did you mean flow")
    cli("explain", TEXT, "--lang", "de").is_error(2, "'de'", "en, zh")
    cli("explain", "a", "b", "-m", "tiny").is_error(2, "there are 2 texts")


def test_one_text_is_explained_at_a_time() -> None:
    with pytest.raises(InputError, match="there are 2 texts"):
        gptrace.explain(["a", "b"], model="tiny")


def changed(change: Callable[[Any], None]) -> SmallGPT:
    torch.manual_seed(0)
    model = SmallGPT()
    with torch.no_grad():
        change(model)
    return model


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.head.weight.mul_(1e5),  # gaps that exp cannot hold
        lambda model: model.head.weight.zero_(),  # a usual way to begin
        lambda model: model.norm.weight.zero_() + model.norm.bias.zero_(),  # nothing reaches the head
    ],
)
def test_extreme_weights_are_explained(change: Callable[[Any], None]) -> None:
    marks = verdicts(gptrace.explain("Hello, I am", model=changed(change)))
    assert False not in flat(marks), marks


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("text", ["Hello", "Hello, I am"])
def test_a_model_that_looks_ahead_is_found_out_in_every_precision(dtype: torch.dtype, text: str) -> None:
    torch.manual_seed(1)
    model = SmallGPT("causal").to(dtype)
    assert verdicts(gptrace.explain(text, model=model))["last-dim"][1] is False
    assert verdicts(gptrace.explain(text, model=SmallGPT().to(dtype)))["last-dim"][1] is True


def test_what_follows_the_head_is_not_put_down_to_it() -> None:
    marks = verdicts(gptrace.explain("Hello, I am", model=SmallGPT("weighted")))
    assert marks["inference"][0] is True  # the head may still leave out all rows but the last
    assert marks["projection"][1] is False
    assert marks["training"] == [True, True, None]


def test_a_vocabulary_that_is_rounded_up_and_a_tokenizer_that_begins_with_bos(tmp_path: Path) -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.add_special_tokens(["<s>"])
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")
    fast.backend_tokenizer.post_processor = __import__("tokenizers").processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", fast.bos_token_id)]
    )
    fast.save_pretrained(tmp_path)
    config = transformers.LlamaConfig(**SIZES | {"vocab_size": len(fast) + 27}, num_attention_heads=4)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    explanation = gptrace.explain("hello there", model=f"hf:{tmp_path}")
    assert False not in flat(verdicts(explanation)), explanation
    assert (
        "27 scores belong to no token"
        in next(topic for topic in explanation.topics if topic.topic == "last-dim").claims[0].measured
    )
