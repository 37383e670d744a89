"""Losses, generations and lenses against transformers, on the same weights, and against what they mean."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers

import gptrace
from gptrace.errors import InputError, OptionError, RunError
from gptrace.model import GPTModel
from gptrace.model.gpt import attend
from gptrace.model.quiet_torch import torch
from gptrace.predict.loss import windows
from gptrace.predict.sampling import probabilities
from gptrace.text.tokenizer import decode
from tests.conftest import Outcome
from tests.test_hugging_face import FAMILIES, written

Cli = Callable[..., Outcome]
functional = torch.nn.functional
# Parts of sentences, that a loss has to say something of.
IDS = [[5, 7, 9, 11, 13, 2], [1, 2, 3], [4] * 20]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A small GPT-2 with weights that are no noise around zero, written as transformers writes it."""
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(5)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_embd=48, n_head=4, n_layer=3, n_positions=32, vocab_size=50257)
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.15 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("gpt2")
    model.save_pretrained(folder)
    return folder, model


def their_loss(model: Any, ids: list[int]) -> float:
    with torch.no_grad():
        return float(model(torch.tensor([ids]), labels=torch.tensor([ids])).loss)


def test_losses_are_those_of_transformers(gpt2: tuple[Path, Any]) -> None:
    folder, reference = gpt2
    found = gptrace.loss(ids=IDS, weights=folder)
    for ids, result in zip(IDS, found.results, strict=True):
        assert result.loss == pytest.approx(their_loss(reference, ids), abs=1e-5)
        assert result.perplexity == pytest.approx(math.exp(their_loss(reference, ids)), rel=1e-5)
        with torch.no_grad():
            logits = reference(torch.tensor([ids])).logits[0].double()
        assert result.tokens[0].probability is None
        for position, one in enumerate(result.tokens[1:]):
            row, target = logits[position], ids[position + 1]
            ahead = [1 + int((row > row[target] + rounding).sum()) for rounding in (1e-4, -1e-4)]
            assert one.rank is not None
            assert ahead[0] <= one.rank <= ahead[1]
            assert one.log_probability == pytest.approx(float(row.log_softmax(-1)[target]), abs=1e-4)
    weighted = sum(
        (result.loss or 0) * (len(ids) - 1) for ids, result in zip(IDS, found.results, strict=True)
    )
    assert found.total.tokens == sum(len(ids) - 1 for ids in IDS)
    assert found.total.loss == pytest.approx(weighted / found.total.tokens)
    assert found.uniform == pytest.approx(math.log(50257))


@pytest.mark.parametrize("name", ["llama", "gemma", "opt", "gpt-neox"])
def test_losses_of_other_families(name: str, tmp_path: Path) -> None:
    reference = written(tmp_path, name)
    found = gptrace.loss(ids=IDS, model=f"hf:{tmp_path}")
    for ids, result in zip(IDS, found.results, strict=True):
        assert result.loss == pytest.approx(their_loss(reference, ids), abs=1e-5)


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 48, 49, 64, 100, 257])
@pytest.mark.parametrize("stride", [None, 1, 5, 31])
def test_windows_score_each_token_once_with_enough_before_it(length: int, stride: int | None) -> None:
    cut = windows(length, 32, stride)
    scored = [position for window in cut for position in range(window.first, window.end)]
    assert scored == list(range(1, length))
    assert all(window.end - window.start <= 32 for window in cut)
    assert all(window.first > window.start for window in cut)
    if length > 32:
        assert all(window.first - window.start >= 32 - (stride or 16) for window in cut[1:])


def test_a_text_beyond_the_context_by_hand(gpt2: tuple[Path, Any]) -> None:
    folder, reference = gpt2
    ids = [(7 * n * n + 3) % 997 for n in range(80)]
    found = gptrace.loss(ids=ids, weights=folder, stride=10)
    expected = []
    for target in range(1, 80):
        start = 0 if target < 32 else 10 * math.ceil((target - 31) / 10)
        with torch.no_grad():
            logits = reference(torch.tensor([ids[start:target]])).logits[0, -1].double()
        expected.append(float(logits.log_softmax(-1)[ids[target]]))
    assert [one.log_probability for one in found.results[0].tokens[1:]] == pytest.approx(expected, abs=1e-4)
    assert (found.results[0].windows, found.stride) == (6, 10)


def test_where_a_text_fits_the_stride_changes_nothing(gpt2: tuple[Path, Any]) -> None:
    ids = list(range(100, 132))
    whole = gptrace.loss(ids=ids, weights=gpt2[0])
    assert whole.results[0].windows == 1
    assert gptrace.loss(ids=ids, weights=gpt2[0], stride=3).results == whole.results


def test_a_prompt_of_one_token_has_no_loss(cli: Cli) -> None:
    found = json.loads(cli("loss", "Hello", "-m", "tiny", "--json").out)
    assert (found["results"][0]["loss"], found["results"][0]["perplexity"]) == (None, None)
    assert "probability" not in found["results"][0]["tokens"][0]
    assert found["total"] == {"tokens": 0, "loss": None, "perplexity": None}
    assert "one token, which nothing predicts" in cli("loss", "Hello", "-m", "tiny").out


def test_a_long_text_shows_what_surprised_most(cli: Cli) -> None:
    text = "one two three " * 40
    short = cli("loss", text, "-m", "tiny")
    assert "the 10 of 121 tokens that surprised most; --full shows all" in short.out
    assert "windows" in short.out
    assert len(cli("loss", text, "-m", "tiny", "--full").out.splitlines()) > 121
    cli("loss", text, "-m", "tiny", "--stride", "64").is_error(2, "stride is 64", "from 1 to 63")


def test_the_colour_of_a_text_follows_its_probabilities(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = cli("loss", "Hello 你\x1b[31m", "-m", "tiny").out
    assert "\x1b[31m 你" in out or "\x1b[31m你" in out  # red, in one piece though it is two tokens
    assert "\\x1b[31m" in out  # the prompt's own escape is spelled out


@pytest.mark.parametrize("prompt", [[50, 60, 70], [5], list(range(200, 230))])
def test_greedy_tokens_are_those_of_transformers(gpt2: tuple[Path, Any], prompt: list[int]) -> None:
    folder, reference = gpt2
    count = 32 - len(prompt)
    expected = reference.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=count,
        do_sample=False, pad_token_id=0,
    )[0, len(prompt) :].tolist()  # fmt: skip
    for cache in (True, False):
        found = gptrace.generate(ids=prompt, weights=folder, max_new_tokens=count, cache=cache)
        assert [token.id for token in found.results[0].tokens] == expected


@pytest.mark.parametrize("name", ["llama", "gemma2", "opt", "gpt-neox", "qwen3"])
def test_greedy_tokens_of_other_families(name: str, tmp_path: Path) -> None:
    reference = written(tmp_path, name)
    expected = reference.generate(
        torch.tensor([[3, 4, 5]]), attention_mask=torch.ones(1, 3), max_new_tokens=12, do_sample=False,
        pad_token_id=0,
    )[0, 3:].tolist()  # fmt: skip
    for cache in (True, False):
        found = gptrace.generate(ids=[3, 4, 5], model=f"hf:{tmp_path}", max_new_tokens=12, cache=cache)
        assert [token.id for token in found.results[0].tokens] == expected


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_cache_changes_no_token_and_a_window_slides_as_in_the_course(attention: str) -> None:
    config = {"context_length": 12, "attention": attention}
    with_cache = gptrace.generate("Hello, I am", model="tiny", config=config, max_new_tokens=40)
    without = gptrace.generate("Hello, I am", model="tiny", config=config, max_new_tokens=40, cache=False)
    ids = [token.id for token in with_cache.results[0].tokens]
    assert ids == [token.id for token in without.results[0].tokens]
    torch.manual_seed(123)
    model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, **config}).eval()
    expected = [15496, 11, 314, 716]
    with torch.no_grad():
        for _ in range(40):  # the course's generate_text_simple
            expected.append(int(model(torch.tensor([expected[-12:]]))[0, -1].argmax()))
    assert ids == expected[4:]
    longer = gptrace.generate(ids=list(range(30)), model=model, max_new_tokens=3)
    again = gptrace.generate(ids=list(range(18, 30)), model=model, max_new_tokens=3)
    assert longer.results[0].tokens == again.results[0].tokens


def test_the_published_greedy_tokens(gpt2_small: GPTModel) -> None:
    found = gptrace.generate("Hello, I am", model=gpt2_small, max_new_tokens=6)
    assert [token.id for token in found.results[0].tokens] == [27018, 24086, 47843, 30961, 42348, 7267]
    assert found.results[0].text == " Featureiman Byeswickattribute argue"
    block: Any = gpt2_small.trf_blocks[0]
    assert block.att.attend is attend
    assert "forward" not in vars(gpt2_small)


def test_each_step_with_a_cache_takes_one_token() -> None:
    found = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=3, trace=True)
    plain = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=3)
    result = found.results[0]
    assert result.tokens == plain.results[0].tokens
    assert [step.cached for step in result.steps] == [0, 4, 5]
    assert [step.flow[0].shape for step in result.steps] == [(1, 4), (1, 1), (1, 1)]
    attention = result.steps[2].attention
    assert attention is not None
    assert [spec.shape for spec in attention.inputs] == [(1, 4, 1, 12), (1, 4, 12, 6)]
    assert [spec.dims for spec in (*attention.inputs, *attention.outputs)] == [
        ("batch", "n_heads", "seq_len", "head_dim"),
        ("batch", "n_heads", "head_dim", "cached+seq_len"),
        ("batch", "n_heads", "seq_len", "cached+seq_len"),
    ]
    uncached = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=3, trace=True, cache=False)
    assert [step.flow[0].shape for step in uncached.results[0].steps] == [(1, 4), (1, 5), (1, 6)]


def test_sampling_leaves_what_top_k_and_top_p_say() -> None:
    logits = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log()
    assert probabilities(logits).tolist() == pytest.approx([0.4, 0.3, 0.15, 0.1, 0.05])
    assert probabilities(logits, top_k=2).tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0, 0])
    assert probabilities(logits, top_p=0.6).tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0, 0])
    assert probabilities(logits, top_p=0.71).tolist() == pytest.approx([8 / 17, 6 / 17, 3 / 17, 0, 0])
    assert probabilities(logits, top_p=1e-9).tolist() == [1, 0, 0, 0, 0]
    warped = transformers.TopPLogitsWarper(0.8)(
        None, transformers.TopKLogitsWarper(4)(None, logits[None] / 0.7)
    )
    expected = warped[0].softmax(-1).tolist()
    assert probabilities(logits, temperature=0.7, top_k=4, top_p=0.8).tolist() == pytest.approx(expected)


def test_samples_come_as_often_as_they_should_and_from_the_seed() -> None:
    found = [
        gptrace.generate(
            ids=[1], model="tiny", max_new_tokens=1, top_k=2, seed=seed, config={"vocab_size": 50}
        )
        for seed in range(3)
    ]
    again = gptrace.generate(
        ids=[1], model="tiny", max_new_tokens=1, top_k=2, seed=2, config={"vocab_size": 50}
    )
    assert again.results == found[2].results
    model = GPTModel(
        {"emb_dim": 8, "n_heads": 2, "n_layers": 1, "vocab_size": 20, "context_length": 8}
    ).eval()
    with torch.no_grad():
        chances = model(torch.tensor([[1]]))[0, -1].softmax(-1)
    drawn = [
        gptrace.generate(ids=[1], model=model, max_new_tokens=1, temperature=1.0, seed=seed)
        .results[0]
        .tokens[0]
        for seed in range(600)
    ]
    counts = torch.bincount(torch.tensor([token.id for token in drawn]), minlength=20)
    statistic = float(((counts - 600 * chances) ** 2 / (600 * chances)).sum())
    assert statistic < 50  # chi-squared with 19 degrees of freedom: beyond this once in ten thousand


def test_where_it_stops() -> None:
    whole = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=6).results[0]
    assert whole.text == decode(whole.tokens)
    assert whole.text is not None
    stop = whole.text[3:9]
    stopped = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=6, stop=["never", stop]).results[0]
    assert (stopped.text, stopped.stopped_by) == (whole.text[:3], "stop")
    assert len(stopped.tokens) < 6


def test_the_end_of_text_ends_it(tiny: GPTModel) -> None:
    with torch.no_grad():
        tiny.out_head.weight[50256] = 100 * tiny.out_head.weight[46920]  # what " RAND" would have been
    result = gptrace.generate("Hello, I am", model=tiny).results[0]
    assert (result.stopped_by, [token.id for token in result.tokens]) == ("end_of_text", [50256])
    assert result.text == ""


def test_text_is_heard_as_it_comes_and_in_whole_characters() -> None:
    class Listener:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def begin(self, head: gptrace.record.Generation, prompt: gptrace.record.Prompt) -> None:
            assert head.results == ()
            self.heard.append(f"<{prompt.text}>")

        def text(self, piece: str) -> None:
            self.heard.append(piece)

    listener = Listener()
    found = gptrace.generate(["Hello"], model="tiny", max_new_tokens=8, listener=listener)
    assert listener.heard[0] == "<Hello>"
    assert "".join(listener.heard[1:]) == found.results[0].text
    assert sum(bool(piece) for piece in listener.heard) > 5


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"stop": ""}, "a stop is ''"),
    ],
)
def test_wrong_ways_to_go_on(options: dict[str, Any], part: str) -> None:
    with pytest.raises(OptionError, match=part):
        gptrace.generate("Hello", model="tiny", **options)


def test_nan_has_no_next_token(tiny: GPTModel) -> None:
    with torch.no_grad():
        tiny.out_head.weight.fill_(torch.nan)
    with pytest.raises(RunError, match="the greatest logit is nan"):
        gptrace.generate("Hello", model=tiny)


@pytest.mark.parametrize("command", ["loss", "generate", "lens", "explain", "topk"])
def test_device_meta_has_no_numbers(command: str, cli: Cli) -> None:
    cli(command, "Hello", "--device", "meta").is_error(2, "device meta has shapes, but no numbers")


def test_the_last_layer_of_a_lens_is_the_model(tiny: GPTModel) -> None:
    found = gptrace.lens(["Hello, I am", "你好"], model=tiny, k=4)
    assert found.through == ("final_norm", "out_head")
    for result in found.results:
        ids = torch.tensor([result.prompt.ids])
        with torch.no_grad():
            logits = tiny.eval()(ids)[0]
            x = tiny.tok_emb(ids) + tiny.pos_emb(torch.arange(ids.shape[1]))
            for layer, block in zip(result.layers, tiny.trf_blocks, strict=True):
                x = block(x)
                row = tiny.out_head(tiny.final_norm(x))[0]
                assert [one.token.id for one in layer.candidates] == row[-1].topk(4).indices.tolist()
                assert [cell.best.token.id for cell in layer.cells] == row.argmax(-1).tolist()
                final = logits.argmax(-1)
                ranks = [1 + int((r > r[t]).sum()) for r, t in zip(row, final, strict=True)]
                assert [cell.rank_of_prediction for cell in layer.cells] == ranks
                assert layer.rank_of_prediction == ranks[-1]
        assert all(cell.rank_of_prediction == 1 for cell in result.layers[-1].cells)
    assert not tiny.trf_blocks[0]._forward_hooks


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"gemma2"}))
def test_a_lens_on_every_family(name: str, tmp_path: Path) -> None:
    written(tmp_path, name)
    result = gptrace.lens(ids=[3, 4, 5, 6], model=f"hf:{tmp_path}", k=2).results[0]
    assert len(result.layers) == 2
    assert result.layers[-1].rank_of_prediction == 1
    expected = gptrace.topk(ids=[3, 4, 5, 6], model=f"hf:{tmp_path}", k=2).results[0].candidates
    assert [one.token.id for one in result.layers[-1].candidates] == [one.token.id for one in expected]


def test_a_model_that_does_more_after_its_head_is_said(tmp_path: Path, cli: Cli) -> None:
    """Gemma 2 bends its logits: what the last row shows is not what the model predicts."""
    written(tmp_path, "gemma2")
    outcome = cli("lens", "--ids", "3 4 5", "-m", f"hf:{tmp_path}", "--set", "final_logit_softcapping=0.01")
    outcome.is_error(1, "the last layer's logits are not those of", "model.norm, lm_head")


def test_a_model_without_layers_has_no_lens(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flat.py").write_text(
        "import torch\n"
        "class Flat(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.e = torch.nn.Embedding(50257, 8)\n"
        "        self.first, self.second = torch.nn.Linear(8, 50257), torch.nn.Linear(8, 50257)\n"
        "    def forward(self, x):\n"
        "        return self.first(self.e(x)) + self.second(self.e(x))\n"
    )
    flat = f"{tmp_path}/flat.py:Flat"
    cli("lens", "Hello", "-m", flat).is_error(1, "Flat has no list of blocks")
    cli("lens", "Hello", "-m", flat, "--head", "nope").is_error(2, "'nope'", "first, second")


def test_one_text_is_explained_at_a_time() -> None:
    with pytest.raises(InputError, match="there are 2 texts"):
        gptrace.explain(["a", "b"], model="tiny")
