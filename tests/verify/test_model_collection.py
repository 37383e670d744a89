"""The right and the broken models are what they say, by experiments that know nothing of gptrace."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gptrace.model.quiet_torch import torch
from tests.models.collection import RIGHT, RightModel, small
from tests.models.experiments import dependence, limits, numbers, training
from tests.models.experiments.running import some_ids
from tests.models.mistakes import MISTAKES, THEMES
from tests.models.mistakes.mistake import Mistake
from tests.models.right_models import RIGHT_MODELS

CHECKS = {
    "finite", "causal", "tokens-stay-apart", "batch", "padding", "attention-sums", "positions-matter",
    "deterministic", "cache", "vocabulary", "context", "logits", "start-loss", "loss-labels", "gradients",
    "all-used",
}  # fmt: skip

of_right_models = pytest.mark.parametrize("model", RIGHT_MODELS.values(), ids=list(RIGHT_MODELS))
of_mistakes = pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))


def flaws(model: RightModel, path: Path) -> list[str]:
    """The names of the experiments that are true of a model, of those that it can be put to."""
    tried = [
        dependence.leaks, dependence.length_matters, dependence.neighbours_matter, dependence.is_random,
        dependence.remembers, dependence.changes_itself, dependence.changes_its_input, numbers.makes_nan,
        numbers.starts_away_from_uniform, numbers.are_probabilities, numbers.are_log_probabilities,
        limits.accepts_an_id_beyond, limits.refuses_the_last_id, limits.has_another_vocabulary,
        training.gradients_are_wrong, training.some_module_is_not_registered,
    ]  # fmt: skip
    tried += [dependence.left_padding_matters] if model.mask else []
    tried += [dependence.order_is_lost] if model.layers else []
    tried += [limits.cache_changes_answers] if model.cache else []
    tried += [limits.answers_beyond_its_context] if model.context else []
    tried += [training.loss_is_not_of_the_next_token] if model.labels else []
    return [experiment.__name__ for experiment in tried if experiment(model, path)]


@of_right_models
def test_a_right_model_has_none_of_the_flaws(model: RightModel) -> None:
    assert flaws(model, model.path) == []


@of_mistakes
def test_a_mistake_is_what_it_says(mistake: Mistake, tmp_path: Path) -> None:
    path = mistake.write(tmp_path)
    assert mistake.guilty_lines
    assert {mistake.check, *mistake.also} <= CHECKS
    assert mistake.check not in mistake.also
    with torch.no_grad():
        small(mistake.model, path)(some_ids() % 50)  # it runs
    assert mistake.shown_by(mistake.model, path)
    assert not mistake.shown_by(mistake.model, mistake.model.path)


def test_the_collection_is_large_and_each_name_is_used_once() -> None:
    assert {path.stem for path in RIGHT.glob("*.py")} == set(RIGHT_MODELS)
    assert len(RIGHT_MODELS) >= 45
    assert sum(len(mistakes) for mistakes in THEMES.values()) == len(MISTAKES) >= 150


@of_right_models
def test_a_right_model_stands_for_itself(model: RightModel) -> None:
    tree = ast.parse(model.source)
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {
        str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    assert imported <= {"torch", "math", "dataclasses", "typing", "functools", "collections"}
