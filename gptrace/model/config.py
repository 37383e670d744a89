"""The configuration of a GPT, and the presets as a table. Nothing here imports torch."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError
from gptrace.input_files import InputFile
from gptrace.wording import nearest_divisors, quoted_value, suggestion

ATTENTIONS = ("eager", "sdpa")
ACTIVATIONS = ("gelu_tanh", "gelu", "relu")
# Larger than in any existing model, and small enough that products of two sizes fit into 64 bits.
_LARGEST_SIZE = 2**31 - 1
# Torch counts bytes in 63 bits, and a number takes at most 8 bytes.
_MOST_PARAMETERS = 2**60 - 1
MOST_LAYERS = 10_000
LAYER_NAMES = (
    "n_layers", "n_layer", "num_hidden_layers", "num_layers", "num_decoder_layers", "depth", "n_blocks",
    "num_blocks",
)  # fmt: skip
_CONFIG_FILE_LIMIT = 1 << 20  # bytes
# For a key with dots, the parser takes a time that grows with the square of their number.
_TOML_LIMIT = 16 << 10


@dataclass(frozen=True)
class GPTConfig:
    """The configuration of a GPT, with the keys of course code. The defaults are GPT-2's 124M model.

    vocab_size, context_length, emb_dim, n_heads, n_layers
                   sizes; emb_dim must be divisible by n_heads
    drop_rate      dropout in training, at least 0 and below 1
    qkv_bias       biases in W_query, W_key and W_value
    bias           biases in out_proj and the feed-forward layers, and a shift in the norms
    attention      "eager" (scores, mask, softmax, dropout and weighted sum are visible to a trace) or "sdpa"
                   (PyTorch's fused scaled_dot_product_attention: faster, equal within float32 rounding)
    norm_eps       added to the variance in the norms
    activation     "gelu_tanh" (GPT-2's approximation), "gelu" (exact) or "relu"
    tie_head       out_head shares the weight of tok_emb
    ff_dim         width inside the feed-forward layers; None stands for 4·emb_dim

    Raises ConfigError for a value that no model can have.

    >>> GPTConfig(emb_dim=48, n_heads=4).head_dim
    12
    >>> GPTConfig(n_heads=7)
    Traceback (most recent call last):
    ...
    gptrace.errors.ConfigError: emb_dim 768 is not divisible by n_heads 7 (n_heads could be 3, 4, 6, 8)
    """

    vocab_size: int = 50257
    context_length: int = 1024
    emb_dim: int = 768
    n_heads: int = 12
    n_layers: int = 12
    drop_rate: float = 0.1
    qkv_bias: bool = False
    attention: str = "eager"
    bias: bool = True
    norm_eps: float = 1e-5
    activation: str = "gelu_tanh"
    tie_head: bool = False
    ff_dim: int | None = None

    def __post_init__(self) -> None:
        for key in ("vocab_size", "context_length", "emb_dim", "n_heads", "n_layers", "ff_dim"):
            size, largest = getattr(self, key), MOST_LAYERS if key == "n_layers" else _LARGEST_SIZE
            if key == "ff_dim" and size is None:
                continue
            problem = f"{key} is {quoted_value(size)}"
            if isinstance(size, bool) or not isinstance(size, int):
                raise ConfigError(f"{problem}, not a whole number", f"give {key} as a whole number")
            if not 1 <= size <= largest:
                raise ConfigError(problem, f"{key} must be from 1 to {largest}")
        if self.emb_dim % self.n_heads:
            hint = f"n_heads could be {nearest_divisors(self.emb_dim, self.n_heads)}"
            raise ConfigError(f"emb_dim {self.emb_dim} is not divisible by n_heads {self.n_heads}", hint)
        for key in ("drop_rate", "norm_eps"):
            number = getattr(self, key)
            if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < 1:
                hint = f"{key} must be a number of at least 0 and below 1"
                raise ConfigError(f"{key} is {quoted_value(number)}", hint)
        for key in ("qkv_bias", "bias", "tie_head"):
            if not isinstance(flag := getattr(self, key), bool):
                raise ConfigError(f"{key} is {quoted_value(flag)}", f"{key} must be true or false")
        for key, names in (("attention", ATTENTIONS), ("activation", ACTIVATIONS)):
            if (name := getattr(self, key)) not in names:
                hint = f"{key} must be one of {', '.join(names)}"
                raise ConfigError(f"{key} is {quoted_value(name)}", hint)
        if (count := self.parameter_count()) > _MOST_PARAMETERS:
            hint = f"choose sizes that make at most {_MOST_PARAMETERS:,}"
            raise ConfigError(f"a model of these sizes would have {count:,} parameters", hint)

    @property
    def head_dim(self) -> int:
        """The width of one attention head: emb_dim / n_heads."""
        return self.emb_dim // self.n_heads

    @property
    def hidden_dim(self) -> int:
        """The width inside the feed-forward layers."""
        return self.ff_dim or 4 * self.emb_dim

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as a plain dict."""
        return asdict(self)

    def parameter_count(self) -> int:
        """Count the parameters of `GPTModel(self)` without building it.

        The embeddings have V·D + C·D, each block four projections D·D, two feed-forward matrices D·F and
        F·D, and two norms; then come a final norm and, unless it is tied, the output head V·D. Biases and
        shifts count where the configuration has them. (C context_length, F width inside feed-forward.)

        >>> GPTConfig().parameter_count()
        163009536
        """
        D, F = self.emb_dim, self.hidden_dim
        attention = 4 * D * D + (3 * D if self.qkv_bias else 0) + (D if self.bias else 0)
        feed_forward = 2 * D * F + (F + D if self.bias else 0)
        norm = 2 * D if self.bias else D
        embeddings = (self.vocab_size + self.context_length) * D
        head = 0 if self.tie_head else self.vocab_size * D
        return embeddings + self.n_layers * (attention + feed_forward + 2 * norm) + norm + head

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], base: GPTConfig | None = None) -> GPTConfig:
        """Return `base`, or the defaults, with `settings` replacing their keys.

        Raises ConfigError for an unknown key or an impossible value.

        >>> GPTConfig.from_mapping({"emb_dim": 64, "n_heads": 4}).emb_dim
        64
        """
        check_keys(settings)
        return replace(base or cls(), **settings)


def check_keys(settings: Mapping[str, Any]) -> None:
    """Raise ConfigError for a key that is not a field of GPTConfig."""
    names = [field.name for field in fields(GPTConfig)]
    for key in settings:
        if key not in names:
            raise ConfigError(f"{quoted_value(key)} is not a configuration key", suggestion(str(key), names))


def check_settings(changes: Iterable[str], names: Iterable[str], owner: object) -> None:
    """Raise ConfigError for a key that is none of `names`; `owner` is their configuration, or its name."""
    names = list(names)
    for key in changes:
        if key not in names:
            name = owner if isinstance(owner, str) else getattr(owner, "__name__", type(owner).__name__)
            hint = suggestion(str(key), names) if names else "drop it"
            raise ConfigError(f"{name} has no setting {quoted_value(key)}", hint)


# name: (aliases, configuration). Sizes as published for GPT-2 and GPT-3 (arXiv:2005.14165, table 2.1).
PRESETS: dict[str, tuple[tuple[str, ...], GPTConfig]] = {
    "gpt2-small": (("124M",), GPTConfig()),
    "gpt2-medium": (("355M",), GPTConfig(emb_dim=1024, n_heads=16, n_layers=24)),
    "gpt2-large": (("774M",), GPTConfig(emb_dim=1280, n_heads=20, n_layers=36)),
    "gpt2-xl": (("1558M",), GPTConfig(emb_dim=1600, n_heads=25, n_layers=48)),
    "gpt3-175b": (("175B",), GPTConfig(context_length=2048, emb_dim=12288, n_heads=96, n_layers=96)),
    "tiny": ((), GPTConfig(context_length=64, emb_dim=48, n_heads=4, n_layers=2)),
    # Its trained weights are in the package.
    "small": ((), GPTConfig(context_length=256, emb_dim=256, n_heads=8, n_layers=6, tie_head=True)),
}


def preset(name: str) -> tuple[str, GPTConfig]:
    """Return the name and the configuration of the preset called `name`: its name or an alias, in any case.

    Raises ConfigError for an unknown name.

    >>> preset("124m")[0]
    'gpt2-small'
    """
    for official, (aliases, config) in PRESETS.items():
        if name.lower() in (official, *(alias.lower() for alias in aliases)):
            return official, config
    names = [n for official, (aliases, _) in PRESETS.items() for n in (official, *aliases)]
    others = "; for your own model use FILE.py:OBJECT, for one of transformers hf:FOLDER"
    raise ConfigError(f"{name!r} is not a model name", suggestion(name, names) + others)


def read_config_file(path: Path, name: str = "") -> dict[str, Any]:
    """Return the keys and values in a .json or .toml file; raise ConfigError where it holds none.

    Errors call the file `name`, or else by the option --config.
    """
    name = name or f"--config {path}"
    hint = "give a .json or .toml file of configuration keys"
    is_toml = path.suffix.lower() == ".toml"
    text = InputFile(path, name, hint, ConfigError).text(_TOML_LIMIT if is_toml else _CONFIG_FILE_LIMIT)
    try:
        settings = tomllib.loads(text) if is_toml else json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        hint = "a file named *.toml must be TOML; any other must be JSON"
        raise ConfigError(f"{name}: {error}", hint) from None
    if not isinstance(settings, dict):
        problem = f"{name} holds a value of type {type(settings).__name__}, not keys and values"
        raise ConfigError(problem, 'write it like {"emb_dim": 768, "n_heads": 12}')
    return settings


def parse_setting(text: str) -> tuple[str, Any]:
    """Return the key and the value of a `--set KEY=VALUE`. A value that is not JSON is a plain string.

    Raises ConfigError for a text without a key or without "=".

    >>> parse_setting("n_layers=2"), parse_setting("qkv_bias=true"), parse_setting("attention=sdpa")
    (('n_layers', 2), ('qkv_bias', True), ('attention', 'sdpa'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {quoted_value(text)} is not KEY=VALUE", "write it like --set n_layers=2")
    try:
        # True and False are Python's spelling: people copy them from the config dict of a course.
        return key.strip(), json.loads({"True": "true", "False": "false"}.get(value, value))
    except (ValueError, RecursionError):
        return key.strip(), value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    settings = dict(pairs)
    if len(settings) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {next(name for name in counts if counts[name] > 1)!r} occurs twice")
    return settings
