"""The right and the broken models are what they say, by experiments that know nothing of gptrace."""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path

import pytest

from gptrace.model.quiet_torch import torch
from tests.models.collection import RIGHT, RightModel, small
from tests.models.experiments import dependence, limits, numbers, training
from tests.models.experiments.running import some_ids
from tests.models.mistakes import MISTAKES, THEMES
from tests.models.mistakes.mistake import Experiment, Mistake
from tests.models.right_models import RIGHT_MODELS

CHECKS = {
    "finite", "causal", "tokens-stay-apart", "batch", "padding", "attention-sums", "positions-matter",
    "deterministic", "cache", "vocabulary", "context", "logits", "start-loss", "loss-labels", "gradients",
    "all-used",
}  # fmt: skip

of_right_models = pytest.mark.parametrize("model", RIGHT_MODELS.values(), ids=list(RIGHT_MODELS))
of_mistakes = pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))


def flaws(model: RightModel) -> list[str]:
    """The names of the experiments that are true of a right model, of those that it can be put to."""
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
    return [experiment.__name__ for experiment in tried if is_flaw_of_right_model(experiment, model)]


@functools.cache  # mistakes share their bases and experiments
def is_flaw_of_right_model(experiment: Experiment, model: RightModel) -> bool:
    return experiment(model, model.path)


@of_right_models
def test_a_right_model_has_none_of_the_flaws(model: RightModel) -> None:
    assert flaws(model) == []


@of_mistakes
def test_a_mistake_is_what_it_says(mistake: Mistake, tmp_path: Path) -> None:
    path = mistake.write(tmp_path)
    assert mistake.guilty_lines
    assert {mistake.check, *mistake.also} <= CHECKS
    assert mistake.check not in mistake.also
    with torch.no_grad():
        small(mistake.model, path)(some_ids() % 50)  # it runs
    assert mistake.shown_by(mistake.model, path)
    assert not is_flaw_of_right_model(mistake.shown_by, mistake.model)


def test_the_collection_is_large_and_each_name_is_used_once() -> None:
    assert {path.stem for path in RIGHT.glob("*.py")} == set(RIGHT_MODELS)
    assert len(RIGHT_MODELS) >= 50
    assert sum(len(mistakes) for mistakes in THEMES.values()) == len(MISTAKES) >= 150


def test_a_right_model_imports_nothing_but_torch_and_the_standard_library() -> None:
    for model in RIGHT_MODELS.values():
        nodes = list(ast.walk(ast.parse(model.source)))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
        assert {name.split(".")[0] for name in names} <= {"torch", *sys.stdlib_module_names}, model.name
