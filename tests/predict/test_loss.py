"""Losses against transformers, on the same weights, and against their definition."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.predict.loss import windows
from tests.models.hugging_face import save_family
from tests.support import (
    KERNEL_ROUNDING,
    KERNEL_ROUNDING_OF_LARGE_LOGITS,
    Cli,
    assert_rank,
    assert_same_but_for_rounding,
)

# Parts of sentences, that a loss has to say something of.
IDS = [[5, 7, 9, 11, 13, 2], [1, 2, 3], [4] * 20]


def their_loss(model: Any, ids: list[int]) -> float:
    with torch.no_grad():
        return float(model(torch.tensor([ids]), labels=torch.tensor([ids])).loss)


def test_losses_are_those_of_transformers(gpt2: tuple[Path, Any]) -> None:
    folder, reference = gpt2
    loss = gptrace.loss(ids=IDS, weights=folder)
    for ids, result in zip(IDS, loss.results, strict=True):
        assert result.loss == pytest.approx(their_loss(reference, ids), abs=KERNEL_ROUNDING)
        assert result.perplexity == pytest.approx(math.exp(their_loss(reference, ids)), rel=KERNEL_ROUNDING)
        with torch.no_grad():
            logits = reference(torch.tensor([ids])).logits[0].double()
        assert result.tokens[0].probability is None
        for position, token in enumerate(result.tokens[1:]):
            row, target = logits[position], ids[position + 1]
            assert token.rank is not None
            assert_rank(token.rank, row, target, KERNEL_ROUNDING_OF_LARGE_LOGITS)
            log_probability = float(row.log_softmax(-1)[target])
            assert token.log_probability == pytest.approx(
                log_probability, abs=KERNEL_ROUNDING_OF_LARGE_LOGITS
            )
    weighted = sum((result.loss or 0) * (len(ids) - 1) for ids, result in zip(IDS, loss.results, strict=True))
    assert loss.total.tokens == sum(len(ids) - 1 for ids in IDS)
    assert loss.total.loss == pytest.approx(weighted / loss.total.tokens)
    assert loss.uniform == pytest.approx(math.log(50257))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gemma", "opt", "gpt-neox"])
def test_losses_of_other_families(name: str, tmp_path: Path) -> None:
    reference = save_family(tmp_path, name)
    loss = gptrace.loss(ids=IDS, model=f"hf:{tmp_path}")
    for ids, result in zip(IDS, loss.results, strict=True):
        assert result.loss == pytest.approx(their_loss(reference, ids), abs=KERNEL_ROUNDING)


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
    loss = gptrace.loss(ids=ids, weights=folder, stride=10)
    expected = []
    for target in range(1, 80):
        start = 0 if target < 32 else 10 * math.ceil((target - 31) / 10)
        with torch.no_grad():
            logits = reference(torch.tensor([ids[start:target]])).logits[0, -1].double()
        expected.append(float(logits.log_softmax(-1)[ids[target]]))
    assert [result.log_probability for result in loss.results[0].tokens[1:]] == pytest.approx(
        expected, abs=KERNEL_ROUNDING_OF_LARGE_LOGITS
    )
    assert (loss.results[0].windows, loss.stride) == (6, 10)


def test_where_a_text_fits_the_stride_changes_nothing(gpt2: tuple[Path, Any]) -> None:
    ids = list(range(100, 132))
    whole = gptrace.loss(ids=ids, weights=gpt2[0])
    assert whole.results[0].windows == 1
    with_stride = gptrace.loss(ids=ids, weights=gpt2[0], stride=3)
    assert_same_but_for_rounding(with_stride.results, whole.results)


def test_a_prompt_of_one_token_has_no_loss(cli: Cli) -> None:
    report = json.loads(cli("loss", "Hello", "-m", "tiny", "--json").out)
    assert (report["results"][0]["loss"], report["results"][0]["perplexity"]) == (None, None)
    assert "probability" not in report["results"][0]["tokens"][0]
    assert report["total"] == {"tokens": 0, "loss": None, "perplexity": None}
    assert "one token, so nothing is predicted" in cli("loss", "Hello", "-m", "tiny").out


def test_a_long_text_shows_what_surprised_most(cli: Cli) -> None:
    text = "one two three " * 40
    short = cli("loss", text, "-m", "tiny")
    assert "the 10 of 121 tokens with the highest surprisal; --full shows all" in short.out
    assert "windows" in short.out
    assert len(cli("loss", text, "-m", "tiny", "--full").out.splitlines()) > 121
    cli("loss", text, "-m", "tiny", "--stride", "64").is_error(2, "stride is 64", "from 1 to 63")


def test_the_colour_of_a_text_follows_its_probabilities(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = cli("loss", "Hello 你\x1b[31m", "-m", "tiny").out
    # Red and underlined, in one piece though it is two tokens.
    assert re.search("\x1b\\[4;31m ?你", out)
    assert "\\x1b[31m" in out  # the prompt's own escape is spelled out


def test_an_id_that_pads_the_vocabulary_changes_no_other_text() -> None:
    config = {"vocab_size": 50304, "n_layers": 1}
    alone = gptrace.loss(ids=[[1, 2, 3]], model="tiny", config=config)
    beside = gptrace.loss(ids=[[1, 2, 3], [1, 2, 50300]], model="tiny", config=config)
    assert_same_but_for_rounding(beside.results[0], alone.results[0])
    assert beside.results[1].tokens[2].log_probability is not None
    assert math.isfinite(beside.results[1].tokens[2].log_probability)


def test_progress_counts_the_windows_of_all_texts() -> None:
    session = gptrace.Session("tiny", config={"context_length": 8})
    shown: list[tuple[int, int | None]] = []
    session.loss(ids=[[1] * 20, [2] * 5, [3]], batch_size=2, progress=lambda *counts: shown.append(counts))
    assert shown[-1:] == [(5, 5)]  # 20 tokens are 4 windows; one token has nothing to score
    assert len(shown) > 2
    stream = session.loss_stream([[1] * 20, [2] * 5], progress=lambda *counts: shown.append(counts))
    assert len(list(stream.results)) == 2
    assert shown[-1:] == [(5, None)]


@pytest.mark.parametrize("given", [["Hello, I am"], ["--lines"]])
def test_progress_is_shown_on_a_terminal_alone(
    given: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptrace.report.progress._PATIENCE", -1.0)
    command = ["loss", *given, "-m", "tiny", "--set", "context_length=2", "-f", "csv"]
    in_pipe = cli(*command, stdin=b"Hello, I am\n")
    monkeypatch.setattr("gptrace.cli.streams.can_show_progress", lambda *, is_stream: True)
    on_terminal = cli(*command, stdin=b"Hello, I am\n")
    assert (in_pipe.out, in_pipe.err) == (on_terminal.out, "")
    assert "windows" in on_terminal.err
    assert "3/3" in on_terminal.err or "3/?" in on_terminal.err
