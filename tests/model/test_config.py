"""The configuration and the presets, against published parameter counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gptrace.errors import ConfigError, DeviceError, OptionError
from gptrace.model import GPTConfig, GPTModel
from gptrace.model.config import PRESETS, _without_duplicates, parse_setting, preset, read_config_file
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import GPTSelection, select_model


@pytest.mark.parametrize(
    ("alias", "without_bias", "with_bias"),
    [
        ("124M", 124_412_160, 124_439_808),
        ("355M", 354_749_440, 354_823_168),
        ("774M", 773_891_840, 774_030_080),
        ("1558M", 1_557_380_800, 1_557_611_200),
    ],
)
def test_parameter_counts_are_the_published_ones(alias: str, without_bias: int, with_bias: int) -> None:
    config = preset(alias)[1]
    head = config.vocab_size * config.emb_dim
    assert config.parameter_count() - head == without_bias
    assert replace(config, qkv_bias=True).parameter_count() - head == with_bias


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("qkv_bias", [False, True])
def test_the_formula_counts_what_the_model_holds(name: str, qkv_bias: bool) -> None:
    config = replace(preset(name)[1], qkv_bias=qkv_bias)
    with torch.device("meta"):
        model = GPTModel(config)
    assert sum(p.numel() for p in model.parameters()) == config.parameter_count()


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"n_heads": 7}, "not divisible by n_heads 7"),
        ({"emb_dim": 0}, "emb_dim is 0"),
        ({"n_layers": -1}, "n_layers is -1"),
        ({"vocab_size": 1.5}, "vocab_size is 1.5"),
        ({"context_length": True}, "context_length is True"),
        ({"drop_rate": 1}, "drop_rate is 1"),
        ({"drop_rate": "0.1"}, "drop_rate is '0.1'"),
        ({"drop_rate": float("nan")}, "drop_rate is nan"),
        ({"qkv_bias": 1}, "qkv_bias is 1"),
        ({"attention": "flash"}, "attention is 'flash'"),
        ({"n_head": 12}, "did you mean n_heads"),
    ],
)
def test_an_impossible_configuration_is_named(settings: dict[str, object], part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        GPTConfig.from_mapping(settings)
    assert part in str(caught.value)


def test_names_and_aliases_in_any_case() -> None:
    assert preset("GPT2-Small") == preset("124m") == ("gpt2-small", GPTConfig())
    with pytest.raises(ConfigError, match="did you mean gpt2-small"):
        preset("gpt2-smal")


def test_settings_go_on_top_of_the_file_on_top_of_the_preset(tmp_path: Path) -> None:
    toml = tmp_path / "mine.toml"
    toml.write_text("n_layers = 3\nn_heads = 8\n")
    chosen = select_model("tiny", config=toml, settings=["n_heads=2", "qkv_bias=True", "attention=sdpa"])
    assert isinstance(chosen, GPTSelection)
    assert chosen.config is not None
    assert (chosen.config.n_layers, chosen.config.n_heads, chosen.config.emb_dim) == (3, 2, 48)
    assert chosen.config.qkv_bias is True
    assert chosen.config.attention == "sdpa"
    assert chosen.name == "tiny, changed"
    assert select_model("tiny").name == "tiny"


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.json", b"[1, 2]", "holds a value of type list"),
        ("a.json", b"{", "Expecting property name"),
        ("a.toml", b"= 1", "Invalid"),
        ("a.json", b"\xff", "not UTF-8"),
        ("a.json", b"[" * 100_000, "a.json"),
        ("a.toml", b"a." * 50_000 + b"a = 1", "is larger than 16.0 KiB"),
    ],
)
def test_a_bad_config_file_is_one_error(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_config_file(tmp_path / name)
    assert part in str(caught.value)


class Name(str):
    """A key that counts how often one is compared with another."""

    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Name.comparisons += 1
        return str.__eq__(self, other)


def test_a_key_that_occurs_twice_is_found_without_a_search_for_each(tmp_path: Path) -> None:
    names = [f"k{number}" for number in range(2000)]
    twice = tmp_path / "twice.json"
    twice.write_text("{" + ", ".join(f'"{name}": 1' for name in [*names, "k1999"]) + "}")
    with pytest.raises(ConfigError, match="the key 'k1999' occurs twice"):
        read_config_file(twice)
    Name.comparisons = 0
    with pytest.raises(ValueError, match="'k1999' occurs twice"):
        _without_duplicates([(Name(name), 1) for name in [*names, "k1999"]])
    # A table compares the few whose hashes begin alike; a search for each, two million pairs.
    assert Name.comparisons < 10 * len(names)


def test_a_missing_config_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config_file(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["n_layers", "=3", ""])
def test_a_setting_needs_key_and_value(text: str) -> None:
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        parse_setting(text)


def test_choices_that_cannot_be() -> None:
    with pytest.raises(DeviceError, match="'gpu' is not a device"):
        select_model(device="gpu")
    with pytest.raises(OptionError, match="'int8' is not a dtype"):
        select_model(dtype="int8")
    with pytest.raises(OptionError, match="64 bits"):
        select_model(seed=2**64)
