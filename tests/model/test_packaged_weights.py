"""The trained model in the package: its weights come with it, unless random ones are asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import gptrace
from gptrace.errors import ConfigError
from gptrace.model.build import load
from gptrace.model.config import PRESETS
from gptrace.model.gpt import GPTModel
from gptrace.model.selection import select_model
from gptrace.model.weights.packaged import PACKAGED, packaged_file
from tests.support import Cli, to_json

SHA256 = {"small": "3b85b092ba140550ef515d8875851941b339d8095db355803fe95fc041c7aa58"}
LARGEST = 18_000_000  # bytes: the wheel stays below 20 MB


@pytest.mark.parametrize("name", PACKAGED)
def test_the_file_is_the_one_that_was_made(name: str) -> None:
    content = packaged_file(name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256[name]
    assert len(content) < LARGEST


@pytest.mark.parametrize("name", PACKAGED)
def test_the_preset_is_the_configuration_of_the_file(name: str) -> None:
    module = load(select_model(name)).module
    assert isinstance(module, GPTModel)
    assert module.config == PRESETS[name][1]
    assert sum(parameter.numel() for parameter in module.parameters()) == module.config.parameter_count()


def test_a_report_says_where_the_weights_come_from(cli: Cli) -> None:
    trained, named, random = (
        to_json(cli("topk", "Once", "-m", "small", *options, "--json"))
        for options in ([], ["-w", "pretrained"], ["-w", "random"])
    )
    assert trained["model"]["weights"]["source"] == "package"
    assert trained["results"] == named["results"] != random["results"]
    assert random["model"]["weights"]["source"] == "random"
    assert "trained on public-domain English prose; in the package" in cli("topk", "Once", "-m", "small").out


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_damaged_package_is_no_fault_of_an_option(
    content: bytes | None, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptrace.model.weights.packaged._FOLDER", tmp_path)
    if content is not None:
        (tmp_path / "small.safetensors").write_bytes(content)
    outcome = cli("topk", "Once", "-m", "small")
    outcome.is_error(
        2, "the weights of small in the installed package cannot be read", "install gptrace again"
    )
    assert "--weights" not in outcome.err


def test_a_model_without_numbers_has_no_weights(cli: Cli) -> None:
    for options in ([], ["-w", "pretrained"]):
        outcome = cli("run", "Once", "-m", "small", "--device", "meta", "--json", *options)
        assert to_json(outcome)["model"]["weights"] == {"source": "none"}


@pytest.mark.parametrize(
    "setting", ["n_layers=2", "n_heads=4", "emb_dim=64", "qkv_bias=true", "vocab_size=9"]
)
def test_trained_weights_are_of_one_size(setting: str) -> None:
    key = setting.partition("=")[0]
    with pytest.raises(ConfigError, match=f"{key} is .*, the trained weights of small have ") as caught:
        select_model("small", settings=[setting])
    assert caught.value.hint == "add --weights random for a model of other sizes"
    assert select_model("small", settings=[setting], weights="random").name == "small, changed"


def test_settings_that_no_weight_depends_on_can_change() -> None:
    module = load(select_model("small", settings=["attention=sdpa", "n_layers=6"])).module
    assert isinstance(module, GPTModel)
    assert module.config.attention == "sdpa"


def test_the_list_of_models_says_that_it_is_at_hand() -> None:
    small = next(preset for preset in gptrace.presets().models if preset.name == "small")
    assert small.pretrained is not None
    assert small.pretrained.at_hand
    assert small.pretrained.in_package
    # The head is the table of tokens, so it has no parameters of its own.
    assert small.parameters.total == small.parameters.without_out_head


def test_there_is_nothing_to_pull(cli: Cli) -> None:
    outcome = cli("pull", "small")
    assert outcome.code == 2
    assert "error: the weights of small are in the package already\n" in outcome.err
