"""Models and inputs that broke an answer once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.models.small_gpt import SmallGPT
from tests.support import Cli, fingerprint, flat, ids_of, verdicts

nn = torch.nn


@pytest.mark.parametrize("command", ["topk", "loss", "generate", "lens", "explain"])
def test_every_answer_leaves_a_module_as_it_was(command: str) -> None:
    for model in (SmallGPT(), GPTModel({"emb_dim": 16, "n_heads": 2, "n_layers": 2, "context_length": 16})):
        model.train()
        model.eval() if command == "lens" else None
        before, random = fingerprint(model), torch.get_rng_state()
        getattr(gptrace, command)("Hello, I am", model=model)
        assert fingerprint(model) == before
        assert torch.equal(torch.get_rng_state(), random)


def test_a_model_with_other_blocks_is_still_a_model(tiny: GPTModel) -> None:
    tiny.trf_blocks[0] = nn.Identity()
    assert len(gptrace.topk(ids=[1, 2], model=tiny).results[0].candidates) == 5
    cached, plain = (ids_of(gptrace.generate(ids=[1, 2], model=tiny, cache=cache)) for cache in (True, False))
    assert cached == plain
    tiny.trf_blocks = nn.Identity()  # type: ignore[assignment]
    assert tiny(torch.tensor([[1]])).shape == (1, 1, 50257)
    assert len(gptrace.topk(ids=[1, 2], model=tiny).results[0].candidates) == 5


def test_ids_that_only_pad_the_vocabulary() -> None:
    config = {"vocab_size": 50304}
    loss = gptrace.loss(ids=[1, 50300, 2], model="tiny", config=config)
    assert all(result.probability for result in loss.results[0].tokens[1:])
    assert False not in flat(verdicts(gptrace.explain(ids=[1, 50300], model="tiny", config=config)))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_vocabulary_of_hardly_any_tokens(size: int) -> None:
    config = {"vocab_size": size}
    assert False not in flat(verdicts(gptrace.explain(ids=[0, 0, 0], model="tiny", config=config)))
    assert gptrace.lens(ids=[0, 0], model="tiny", config=config).results[0].layers[-1].rank_of_prediction == 1
    assert len(ids_of(gptrace.generate(ids=[0], model="tiny", config=config, max_new_tokens=2))) == 2


def test_a_context_that_only_the_model_knows(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "full.py"
    path.write_text(
        "from tests.models.small_gpt import SmallGPT\n"
        "class Told(SmallGPT):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.block_size = 32\n"
        "def quiet():\n"
        "    return SmallGPT()\n"
        "def told():\n"
        "    return Told()\n"
    )
    ids = " ".join(map(str, range(32)))
    for name in ("quiet", "told"):
        report = json.loads(cli("explain", "--ids", ids, "-m", f"{path}:{name}", "--json").out)
        (topic,) = (topic for topic in report["topics"] if topic["topic"] == "last-dim")
        assert topic["claims"][1]["holds"] is None
    outcome = cli("generate", "--ids", ids, "-m", f"{path}:told", "-n", "3", "--json")
    assert len(json.loads(outcome.out)["results"][0]["new_ids"]) == 3
    outcome = cli("loss", "--ids", f"{ids} 1 2 3", "-m", f"{path}:told", "--json")
    assert json.loads(outcome.out)["results"][0]["windows"] == 2


@pytest.mark.parametrize("command", ["loss", "generate", "lens", "explain", "topk"])
def test_device_meta_has_no_numbers(command: str, cli: Cli) -> None:
    cli(command, "Hello", "--device", "meta").is_error(2, "device meta has shapes, but no numbers")


def test_a_prompt_cannot_reach_the_terminal(cli: Cli) -> None:
    for arguments in (
        ["explain"],
        ["generate", "-n", "2"],
        ["loss"],
        ["lens"],
        ["topk", "--positions", "all"],
    ):
        out = cli(*arguments, "a\x1b[31m\u202e[bold]b[/]", "-m", "tiny").out
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "bold" in out
