"""`gptrace check`: right models pass, and of a mistake the line is named. The whole: tests.verify.judging."""

from __future__ import annotations

from pathlib import Path

import pytest

import gptrace
from gptrace.errors import NoLogitsError
from gptrace.model.architecture import Architecture
from gptrace.model.build import load
from gptrace.model.quiet_torch import torch
from gptrace.testing import assert_causal, assert_checks
from gptrace.tracing import resized_runs
from gptrace.verify.check import dependence, engine
from gptrace.verify.check.building import make_subject
from gptrace.verify.check.catalog import NAMES
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.recorded_run import Value
from gptrace.verify.check.sizes import small_sizes
from tests.models.checked import Growing, Leaking, LeakingCell
from tests.models.mistakes import MISTAKES, THEMES
from tests.models.right_models import RIGHT_MODELS
from tests.support import Cli, fingerprint
from tests.verify.judging import MISSED, checked, judged

nn = torch.nn


# One of each theme.
SAMPLE = [theme[len(theme) // 2].name for theme in THEMES.values()]
RIGHT_SAMPLE = [
    "course_gpt", "hugging_face_style", "cache_object", "flipped_time", "attention_sink", "softmax_by_hand",
    "relative_bias", "one_hot", "keys_by_queries", "differential_attention",
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


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("softmax_runs_over_queries_that_are_columns", "torch.softmax(scores, dim=-2)"),
        ("mask_of_rows_that_are_keys_is_triu", "torch.ones(T, T, dtype=torch.bool).triu(1).mT is True"),
    ],
)
def test_scores_whose_rows_are_keys_are_judged_as_such(name: str, instead: str, tmp_path: Path) -> None:
    mistake = MISTAKES[name]
    assert judged(mistake, tmp_path) == ""
    (result,) = checked(mistake.model, mistake.write(tmp_path), only=[mistake.check]).failed
    assert instead in result.instead


@pytest.mark.parametrize("name", ["softmax_is_applied_twice", "every_key_keeps_a_little_weight"])
def test_the_step_that_gives_weight_to_hidden_keys_is_named_and_not_its_use(
    name: str, tmp_path: Path
) -> None:
    assert judged(MISTAKES[name], tmp_path) == ""


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
    with pytest.raises(AssertionError, match=r"checked.py:\d+\n    whole = x.mean"):
        assert_causal(Leaking())
    assert_checks(Leaking(), "batch", "deterministic")
    with pytest.raises(AssertionError, match="cache does not apply: forward takes no cache"):
        assert_checks(Leaking(), "cache")
    assert_checks(nn.Sequential(nn.Embedding(60, 4), nn.Linear(4, 60)))  # others may not apply


def test_the_search_for_a_leak_looks_at_each_value_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    original = dependence.Dependence.too_late

    def counting(self: dependence.Dependence, value: Value) -> torch.Tensor | None:
        looked_at.append((id(self), value.key))
        return original(self, value)

    monkeypatch.setattr(dependence.Dependence, "too_late", counting)
    assert not gptrace.check(LeakingCell(), only=["causal"])
    assert len(looked_at) <= 2 * len(set(looked_at))  # once more where a check asks which elements these are


def test_a_script_can_raise_what_a_check_says() -> None:
    with pytest.raises(AssertionError, match=r"✗ causal: .*\n  .*checked.py:\d+\n    whole = x.mean"):
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


def test_rounding_is_that_of_the_larger_of_two_values() -> None:
    small = torch.full((3,), 1e-3, dtype=torch.float64)
    large = torch.tensor([1e-3 + 1e-13, 1.0, 1.0], dtype=torch.float64)
    for one, other in ((small, large), (large, small)):
        assert dependence.differs(one, other).tolist() == [False, True, True]
    # A number that is not finite differs from all but its like, and the others are still compared.
    small[2] = large[2] = torch.nan
    assert dependence.differs(small, large).tolist() == [False, True, False]
    small[2] = torch.inf
    assert dependence.differs(small, large).tolist() == [False, True, True]


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


def test_a_text_keeps_the_vocabulary_and_halves_the_width() -> None:
    """Its tokens must fit; the widths make up for what 50,257 logits cost at each position."""
    settings = {"vocab_size": 50257, "context_length": 1024, "emb_dim": 768, "n_heads": 12, "n_layers": 12}
    architecture = Architecture(settings, build=lambda changes: nn.Identity())
    without, with_text = (next(iter(small_sizes(architecture, prompt))) for prompt in ([], [15496, 11]))
    sizes = {"context_length": 20, "n_layers": 3}
    assert without == {**sizes, "vocab_size": 149, "emb_dim": 256, "n_heads": 4}
    assert with_text == {**sizes, "emb_dim": 128, "n_heads": 2}


@pytest.mark.parametrize(
    ("right", "wrong", "guilty"),
    [
        ("torch.triu(torch.ones(", "torch.tril(torch.ones(", "self.register_buffer("),
        ("diagonal=1)", "diagonal=0)", "self.register_buffer("),
        ("masked_fill_(mask_bool", "masked_fill_(~mask_bool.T", "attn_scores.masked_fill_(~mask_bool.T"),
    ],
)
def test_the_line_that_lets_a_mask_hide_everything_is_named(
    right: str, wrong: str, guilty: str, tmp_path: Path
) -> None:
    source = RIGHT_MODELS["course_gpt"].source
    assert source.count(right) == 1
    file = tmp_path / "mine.py"
    file.write_text(source.replace(right, wrong), encoding="utf-8")
    (result,) = gptrace.check(f"{file}:GPTModel", config=f"{file}:GPT_CONFIG", only=["finite"]).checks
    assert result.holds is False
    assert result.source is not None
    assert result.source.text.startswith(guilty)
    assert "hides every key" in str(result.likely)


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
