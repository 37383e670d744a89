"""`gptrace check`: right models pass, and of a mistake the line is named. The whole: tests.verify.judging."""

from __future__ import annotations

import string
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

import gptrace
from gptrace.errors import NoLogitsError, OptionError
from gptrace.model import GPTModel
from gptrace.model.build import load
from gptrace.model.quiet_torch import torch
from gptrace.report import render
from gptrace.testing import assert_causal, assert_checks, assert_shapes
from gptrace.tracing import resized_runs
from gptrace.verify.check import engine
from gptrace.verify.check.building import make_subject
from gptrace.verify.check.catalog import ALL_NAMES, NAMES
from gptrace.verify.check.chinese import CHINESE
from gptrace.verify.check.english import ENGLISH
from gptrace.verify.check.experiments import Experiments
from tests.models.mistakes import MISTAKES, THEMES
from tests.models.right_models import RIGHT_MODELS
from tests.support import Cli, fingerprint
from tests.verify.judging import MISSED, checked, judged

nn = torch.nn
# One of each theme.
SAMPLE = [theme[len(theme) // 2].name for theme in THEMES.values()]
RIGHT_SAMPLE = [
    "course_gpt", "hugging_face_style", "cache_object", "flipped_time", "attention_sink", "softmax_by_hand",
    "relative_bias", "one_hot",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in SAMPLE if name not in MISSED])
def test_the_line_of_a_mistake_is_named(name: str, tmp_path: Path) -> None:
    assert judged(MISTAKES[name], tmp_path) == ""


@pytest.mark.parametrize("name", RIGHT_SAMPLE)
def test_a_right_model_passes(name: str) -> None:
    check = checked(RIGHT_MODELS[name])
    assert check, str(check)
    assert not [result for result in check.checks if "raised" in result.reason]


def test_what_is_missed_is_in_the_collection_and_is_missed(tmp_path: Path) -> None:
    assert set(MISSED) <= set(MISTAKES)
    missed = judged(MISTAKES["true_means_seen_in_multihead_attention"], tmp_path)
    assert missed.startswith("finite is not ✗")


def test_a_cache_takes_several_new_tokens_at_once(tmp_path: Path) -> None:
    """One new token sees all cached ones, in whatever order they are; the first of two must not."""
    assert judged(MISTAKES["new_keys_are_put_in_front"], tmp_path) == ""


def test_a_cache_is_followed_beyond_its_window() -> None:
    (result,) = checked(RIGHT_MODELS["rolling_cache"], only=["cache"]).checks
    assert result.holds
    assert result.sentence.startswith("28 tokens")  # its window holds 4


def test_a_preset_passes_everything_that_applies_to_it() -> None:
    check = gptrace.check("tiny")
    assert check
    assert [result.name for result in check.checks] == list(NAMES)
    assert [result.name for result in check.checks if result.holds is None] == ["loss-labels"]
    assert all(result.reason for result in check.checks if result.holds is None)


class Leaking(nn.Module):
    """Each position gets the mean of the whole text."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50)
        self.count = 0

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.count += 1
        x = self.tok_emb(ids)
        whole = x.mean(dim=1, keepdim=True)
        logits: torch.Tensor = self.head(x + whole)
        return logits


def test_an_assertion_says_which_line_leaks() -> None:
    check = gptrace.check(Leaking(), only=["causal"])
    assert not check
    (result,) = check.failed
    assert result.source is not None
    assert result.source.text == "whole = x.mean(dim=1, keepdim=True)"
    assert result.source.function == "Leaking.forward"
    assert "whole = x.mean" in repr(check)
    assert result.figure is not None
    assert result.tolerance is not None
    assert result.figure > 1000 * result.tolerance
    with pytest.raises(AssertionError, match=r"test_check.py:\d+\n    whole = x.mean"):
        assert_causal(Leaking())
    assert_checks(Leaking(), "batch", "deterministic")
    with pytest.raises(AssertionError, match="cache does not apply: forward takes no cache"):
        assert_checks(Leaking(), "cache")
    assert_checks(nn.Sequential(nn.Embedding(60, 4), nn.Linear(4, 60)))  # others may not apply


def test_a_script_can_raise_what_a_check_says() -> None:
    with pytest.raises(AssertionError, match=r"✗ causal: .*\n  .*test_check.py:\d+\n    whole = x.mean"):
        gptrace.check(Leaking(), only=["causal", "batch"]).raise_for_failures()
    gptrace.check(Leaking(), only=["batch", "cache"]).raise_for_failures()
    with pytest.raises(AssertionError, match="– cache does not apply: forward takes no cache"):
        gptrace.check(Leaking(), only=["cache", "loss-labels"]).raise_for_failures()


def test_the_verdict_says_what_was_judged_and_nothing_judged_is_no_success(cli: Cli) -> None:
    check = gptrace.check("tiny", only=["causal", "batch", "loss-labels"])
    assert check
    assert str(check).endswith("\n2 checks hold, 1 does not apply.")
    assert [result.applies for result in check.checks] == [True, True, False]
    leaking = gptrace.check(Leaking(), only=["causal", "batch", "tokens-stay-apart"])
    assert str(leaking).endswith("\n1 check fails, 1 holds, 1 cannot be judged.")
    assert "(difference 0." in str(leaking)
    assert "; rounding explains up to " in str(leaking)
    outcome = cli("check", "-m", "tiny", "--only", "loss-labels")
    assert outcome.code == 1
    assert outcome.out.endswith("No check applies or can be judged: this says nothing about the model.\n")
    assert not gptrace.check("tiny", only=["loss-labels"])


def test_the_users_model_is_left_as_it_was() -> None:
    model = Leaking().train()
    before = fingerprint(model)
    gptrace.check(model)
    assert fingerprint(model) == before
    assert (model.count, model.training) == (0, True)
    assert all(parameter.grad is None for parameter in model.parameters())


class Closure(nn.Module):
    """A copy of this one would use the parameters of the original."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50)

        def score(x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.head(x)
            return scores

        self.score = score

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.score(self.tok_emb(ids))
        return logits


def test_a_model_that_cannot_be_copied_is_checked_itself() -> None:
    model = Closure()
    before = fingerprint(model)
    assert gptrace.check(model, only=["gradients", "all-used", "batch"])
    assert fingerprint(model) == before


class Pooled(Leaking):
    """It has one number for the whole text."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids).mean()


def test_a_model_without_logits_is_refused() -> None:
    with pytest.raises(NoLogitsError, match="Pooled cannot be checked: the output"):
        gptrace.check(Pooled())


@pytest.mark.parametrize(("size", "needed"), [("context_length=2", 3), ("vocab_size=1", 2)])
def test_a_model_that_is_too_small_for_the_checks_is_refused(size: str, needed: int, cli: Cli) -> None:
    outcome = cli("check", "-m", "tiny", "--set", size)
    outcome.is_error(2, "cannot be checked", f" {size[-1]} ", f"the checks need {needed}")


def test_the_smallest_model_that_can_be_checked_passes() -> None:
    assert gptrace.check("tiny", config={"context_length": 3, "vocab_size": 2})


class Growing(nn.Module):
    """A model that is built by a loop which ends at some sizes of the vocabulary only."""

    def __init__(self, vocab_size: int = 320, emb_dim: int = 8) -> None:
        super().__init__()
        self.context_length = 4
        size = 5
        while size != vocab_size:
            size = size * 2 % 1000
        self.embedding, self.head = nn.Embedding(size, emb_dim), nn.Linear(emb_dim, size)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embedding(ids))
        return logits


class Exiting(Growing):
    exits = False

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        if self.exits:
            raise SystemExit
        return super().forward(ids)


def test_a_model_that_is_never_built_at_a_small_size_is_checked_at_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resized_runs, "_WORK_LIMIT", 20_000)
    check = gptrace.check(Growing, only=["finite"])
    assert check.checks[0].holds
    assert not [note for note in check.notes if "smaller size" in note]


@pytest.mark.parametrize("name", ["causal", "context", "gradients"])
def test_a_model_that_exits_in_the_middle_is_not_judged(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    experiments = Experiments(make_subject(load(Exiting()), seed=1), None)
    monkeypatch.setattr(Exiting, "exits", True)
    finding = engine.find(name, experiments)
    assert (finding.holds, finding.key) == (None, "not_run")
    assert isinstance(getattr(finding.raised, "__cause__", None), SystemExit)


def test_a_run_that_is_too_large_to_record_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    experiments = Experiments(make_subject(load(Growing()), seed=1), None)
    monkeypatch.setattr("gptrace.verify.check.recording._MOST_BYTES", 1 << 10)
    finding = engine.find("context", experiments)
    assert (finding.holds, finding.key) == (None, "not_run")
    assert "is more than 1.0 KiB" in str(finding.figures["error"])


def test_names_are_checked_first() -> None:
    with pytest.raises(OptionError, match="'causl'") as error:
        gptrace.check("tiny", only=["causl"])
    assert "did you mean causal" in error.value.hint


def test_both_languages_say_everything_with_the_same_figures() -> None:
    for part in ("invariants", "sentences", "shared", "likely"):
        english, chinese = getattr(ENGLISH, part), getattr(CHINESE, part)
        assert english.keys() == chinese.keys(), part
        for key in english:
            assert fields(english[key]) == fields(chinese[key]), key
    assert tuple(ENGLISH.invariants) == ALL_NAMES


def fields(template: str | tuple[str, str]) -> set[str]:
    text = template if isinstance(template, str) else " ".join(template)
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_junit_has_a_case_for_each_check(cli: Cli, tmp_path: Path) -> None:
    suite = ElementTree.fromstring(
        render(gptrace.check(Leaking(), only=["causal", "batch", "cache"]), "junit")
    )
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "whole = x.mean" in (failure.text or "")
    chinese = render(gptrace.check(Leaking(), only=["causal"], lang="zh"), "junit")
    assert chinese.isascii()  # the encoding of stdout may be none that XML expects
    failure = ElementTree.fromstring(chinese).find("testcase/failure")
    assert failure is not None
    assert "改变" in (failure.get("message") or "")
    assert cli("check", "-m", "tiny", "--only", "causal", "-o", str(tmp_path / "c.xml")).code == 0
    assert ElementTree.parse(tmp_path / "c.xml").getroot().get("tests") == "1"
    cli("topk", "Hello", "-m", "tiny", "--format", "junit").is_error(2, "junit")


def test_the_command_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = cli("check", "--list")
    assert [line.split()[0] for line in listed.out.splitlines()] == list(ALL_NAMES)
    mistake = MISTAKES["mask_starts_two_above_the_diagonal"]
    path = mistake.write(tmp_path)
    arguments = [
        "check",
        "-m",
        f"{path}:{mistake.model.target}",
        "--config",
        f"{path}:{mistake.model.config}",
    ]
    failed = cli(*arguments, "--only", "causal", "--only", "padding")
    assert failed.code == 1
    assert "diagonal=2" in failed.out
    assert failed.out.count(f"{path.name}:{mistake.guilty_lines[0]} ") == 1  # two checks, one line
    assert "应改为" in cli(*arguments, "--only", "causal", "--lang", "zh").out
    assert cli("check", "--list", "-o", str(tmp_path / "list.txt")).out == ""
    assert (tmp_path / "list.txt").read_text() == listed.out
    cli("check", "--list", "--json").is_error(2, "--list has no format 'json'")
    monkeypatch.setenv("GPTRACE_FORMAT", "json")
    assert cli("check", "--list") == listed
    monkeypatch.delenv("GPTRACE_FORMAT")
    cli("check", "-m", "tiny", "--only", "causl").is_error(2, "'causl'", "causal")
    cli("check", "-m", "tiny", "--device", "meta").is_error(2, "meta")


class Nested(nn.Module):
    """Its layers are in plain dicts in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(50, 8)
        self.layers = [{"linear": nn.Linear(8, 8)}]
        self.out_head = nn.Linear(8, 50)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out_head(self.layers[0]["linear"](self.tok_emb(ids)))
        return logits


def test_modules_in_dicts_of_a_list_are_found() -> None:
    (result,) = gptrace.check(Nested(), only=["all-used"]).failed
    assert result.source is not None
    assert result.source.text.startswith("self.layers = [")


class DividedOverQueries(nn.Module):
    """Attention by hand; the exponentials are divided by their sums over the queries."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(50, 16), nn.Embedding(12, 16)
        self.query, self.key = nn.Linear(16, 16), nn.Linear(16, 16)
        self.out_head = nn.Linear(16, 50)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        length = ids.shape[1]
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(length))
        scores = self.query(x) @ self.key(x).mT / 4
        shares = scores.exp() * torch.ones(length, length).tril()
        shares = shares / shares.sum(dim=-2, keepdim=True)
        logits: torch.Tensor = self.out_head(shares @ x)
        return logits


class Configured(Leaking):
    """It keeps its configuration, as many models do."""

    def __init__(self) -> None:
        super().__init__()
        self.cfg = {"emb_dim": 8, "n_layers": 50}


@pytest.mark.parametrize(("model", "width"), [(Leaking, "8"), (Configured, "emb_dim")])
def test_axes_of_a_built_model_have_the_names_that_it_keeps(model: type[Leaking], width: str) -> None:
    (result,) = gptrace.check(model(), only=["causal"]).failed
    assert result.before == ("batch", "seq_len", width)


def test_weights_by_hand_that_sum_to_one_over_the_queries_are_found() -> None:
    (result,) = gptrace.check(DividedOverQueries(), only=["attention-sums"]).failed
    assert result.source is not None
    assert result.source.text.startswith("shares = shares / shares.sum(dim=-2")


def test_a_text_is_the_prompt(cli: Cli) -> None:
    """A model that fails on one token alone passes until the text has that token."""
    model = Sometimes()
    assert gptrace.check(model, only=["finite"])
    check = gptrace.check(model, ids=[7, 8, 9, 40, 10], only=["finite", "causal"])
    assert [result.holds for result in check.checks] == [False, None]
    assert not gptrace.check(model, ids=[1] * 30 + [40], only=["finite"])  # far behind the first tokens
    shown = cli("check", "Hello, I am", "-m", "tiny", "--only", "finite", "--only", "batch")
    assert shown.code == 0
    assert "with 4 of its 4 tokens" in " ".join(shown.out.split())
    assert "context_length" in shown.out
    assert "vocab_size" not in shown.out  # it keeps its size, so that the ids of the text fit
    cli("check", "--ids", "1 99999", "-m", "tiny").is_error(2, "99999")
    cli("check", "one", "two", "-m", "tiny").is_error(2, "2 texts")


class Sometimes(nn.Module):
    """The embedding of token 40 is infinite; no random prompt of a check holds this token."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(2000, 8)
        self.out_head = nn.Linear(8, 2000)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        logits: torch.Tensor = self.out_head(torch.where((ids == 40)[..., None], torch.inf, x))
        return logits


def test_shapes_are_asserted_by_name_or_size(tiny: GPTModel) -> None:
    trace = gptrace.trace("Hello, I am", model=tiny)
    assert_shapes(trace, "out_head", "batch seq_len vocab_size")
    assert_shapes(trace, "", "1 4 50257")
    for path, axes, message in (
        ("out_head", "batch seq_len emb_dim", "returned .batch, seq_len, vocab_size."),
        ("out_head", "batch seq_len", "returned"),
        ("head", "batch", "no module at 'head'"),
    ):
        with pytest.raises(AssertionError, match=message):
            assert_shapes(trace, path, axes)


@pytest.mark.parametrize("seed", [-(2**63), 2**64 - 1])
def test_every_seed_can_be_checked_with(seed: int) -> None:
    assert gptrace.check("tiny", only=["causal"], seed=seed)


def test_what_stands_in_a_sentence_is_in_its_language(cli: Cli) -> None:
    class LastAlone(Growing):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return super().forward(ids)[:, -1:] if len(ids) > 1 else super().forward(ids)

    batch = gptrace.check(LastAlone(), only=["batch"], lang="zh").checks[0]
    assert "forward 只返回最后一个位置的 logits" in batch.reason + batch.sentence
    refused = cli("check", "-m", "tiny", "--set", "vocab_size=1", "--lang", "zh")
    assert "无法检查：它只有 1 个 id，而检查至少需要 2 个" in refused.err


def test_a_kept_report_with_hostile_names_is_safe_text() -> None:
    check = gptrace.check("tiny", only=["causal"])
    result = replace(check.checks[0], name="\x1b[31mred\u202e", holds=False)
    for form in ("table", "markdown", "html", "csv"):
        shown = render(replace(check, checks=(result,)), form)
        assert not {"\x1b", "\u202e"} & set(shown)
