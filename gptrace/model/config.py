"""The configuration of a GPT, and the presets as a table. No torch here: `gptrace models` reads this."""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError

ATTENTIONS = ("eager", "sdpa")
ACTIVATIONS = ("gelu_tanh", "gelu", "relu")
# Far above any model that was ever made, and low enough that no size overflows on the way.
_LARGEST_SIZE = 2**31 - 1
_MOST_LAYERS = 10_000
_CONFIG_FILE_LIMIT = 1 << 20


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT, with the keys that course code uses; the defaults are GPT-2's 124M.

    `bias` is that of out_proj and the feed-forward layers, and the shift of the norms; `qkv_bias` that of
    the three projections. `tie_head` makes out_head share tok_emb's weight. `ff_dim` is the width inside
    the feed-forward layers, 4·emb_dim unless it is given. `activation` is GELU in GPT-2's tanh
    approximation, exact GELU, or ReLU. `attention` is "eager" (scores, mask, softmax, dropout, weighted
    sum, each visible to a trace) or "sdpa" (PyTorch's fused scaled_dot_product_attention: faster, equal
    within float32 rounding).

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
            size, most = getattr(self, key), _MOST_LAYERS if key == "n_layers" else _LARGEST_SIZE
            if key == "ff_dim" and size is None:
                continue
            if isinstance(size, bool) or not isinstance(size, int):
                raise ConfigError(
                    f"{key} is {shown(size)}, not a whole number", f"give {key} as a whole number"
                )
            if not 1 <= size <= most:
                raise ConfigError(f"{key} is {shown(size)}", f"{key} must be from 1 to {most}")
        if self.emb_dim % self.n_heads:
            near = sorted(_divisors(self.emb_dim), key=lambda n: (abs(n - self.n_heads), n))[:4]
            raise ConfigError(
                f"emb_dim {self.emb_dim} is not divisible by n_heads {self.n_heads}",
                f"n_heads could be {', '.join(map(str, sorted(near)))}",
            )
        if isinstance(self.drop_rate, bool) or not isinstance(self.drop_rate, int | float):
            raise ConfigError(
                f"drop_rate is {shown(self.drop_rate)}, not a number", "give a number from 0 to below 1"
            )
        if not 0 <= self.drop_rate < 1:
            raise ConfigError(
                f"drop_rate is {shown(self.drop_rate)}", "drop_rate must be at least 0 and below 1"
            )
        if isinstance(self.norm_eps, bool) or not isinstance(self.norm_eps, int | float):
            raise ConfigError(f"norm_eps is {shown(self.norm_eps)}, not a number", "GPT-2's is 1e-5")
        if not 0 <= self.norm_eps < 1:
            raise ConfigError(
                f"norm_eps is {shown(self.norm_eps)}", "norm_eps must be at least 0 and below 1"
            )
        for key in ("qkv_bias", "bias", "tie_head"):
            if not isinstance(getattr(self, key), bool):
                raise ConfigError(f"{key} is {shown(getattr(self, key))}", f"{key} must be true or false")
        for key, known in (("attention", ATTENTIONS), ("activation", ACTIVATIONS)):
            if getattr(self, key) not in known:
                raise ConfigError(
                    f"{key} is {shown(getattr(self, key))}", f"{key} must be one of {', '.join(known)}"
                )

    @property
    def head_dim(self) -> int:
        """The width of one attention head: emb_dim / n_heads."""
        return self.emb_dim // self.n_heads

    @property
    def hidden_dim(self) -> int:
        """The width inside the feed-forward layers."""
        return self.ff_dim or 4 * self.emb_dim

    def dims(self) -> dict[str, int]:
        """Return the sizes that can be an axis of a tensor, by name."""
        return {
            "emb_dim": self.emb_dim,
            "vocab_size": self.vocab_size,
            "n_heads": self.n_heads,
            "head_dim": self.head_dim,
            "context_length": self.context_length,
        } | ({} if self.ff_dim is None else {"ff_dim": self.ff_dim})

    def to_dict(self) -> dict[str, Any]:
        """Return the plain dict that course code uses, plus `attention`."""
        return asdict(self)

    def parameter_count(self) -> int:
        """Count the parameters of `GPTModel(self)` without building it.

        Token and position embeddings V·D + C·D; each block four D·D projections, the two feed-forward
        matrices D·F and F·D, and two norms; a final norm; an output head V·D unless it is tied. Biases
        and shifts where there are any.

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
        """Return `base` (or the defaults) with `settings` on top; an unknown key is an error.

        >>> GPTConfig.from_mapping({"emb_dim": 64, "n_heads": 4}).emb_dim
        64
        """
        check_keys(settings)
        return replace(base or cls(), **settings)


def check_keys(settings: Mapping[str, Any]) -> None:
    """Raise ConfigError for a key that a configuration does not have."""
    known = [field.name for field in fields(GPTConfig)]
    for key in settings:
        if key not in known:
            raise ConfigError(f"{shown(key)} is not a configuration key", suggestion(str(key), known))


# name: (aliases, configuration). Sizes as published for GPT-2 and GPT-3 (arXiv:2005.14165, table 2.1).
PRESETS: dict[str, tuple[tuple[str, ...], GPTConfig]] = {
    "gpt2-small": (("124M",), GPTConfig()),
    "gpt2-medium": (("355M",), GPTConfig(emb_dim=1024, n_heads=16, n_layers=24)),
    "gpt2-large": (("774M",), GPTConfig(emb_dim=1280, n_heads=20, n_layers=36)),
    "gpt2-xl": (("1558M",), GPTConfig(emb_dim=1600, n_heads=25, n_layers=48)),
    "gpt3-175b": (("175B",), GPTConfig(context_length=2048, emb_dim=12288, n_heads=96, n_layers=96)),
    "tiny": ((), GPTConfig(context_length=64, emb_dim=48, n_heads=4, n_layers=2)),
}


def suggestion(unknown: str, known: Iterable[str]) -> str:
    """Return a hint that lists the known names, the most similar one first.

    >>> suggestion("n_head", ["emb_dim", "n_heads"])
    'did you mean n_heads? Known: emb_dim, n_heads'
    """
    known = list(known)
    close = difflib.get_close_matches(unknown, known, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"Known: {', '.join(known)}"


def preset(name: str) -> tuple[str, GPTConfig]:
    """Return a preset's own name and configuration, by name or alias, in any case.

    >>> preset("124m")[0]
    'gpt2-small'
    """
    for known, (aliases, config) in PRESETS.items():
        if name.lower() in (known, *(alias.lower() for alias in aliases)):
            return known, config
    names = [n for known, (aliases, _) in PRESETS.items() for n in (known, *aliases)]
    others = "; a model of your own: FILE.py:OBJECT, of transformers: hf:FOLDER"
    raise ConfigError(f"{name!r} is not a model that gptrace knows", suggestion(name, names) + others)


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a .json or .toml file of configuration keys."""
    what = "give a .json or .toml file of configuration keys"
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for, a device never ends
            raise ConfigError(f"--config {path} is not a file", what)
        if path.stat().st_size > _CONFIG_FILE_LIMIT:
            raise ConfigError(f"--config {path} is larger than {_CONFIG_FILE_LIMIT >> 20} MiB", what)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"--config {path}: {reason}", what) from None
    except ValueError as error:  # a name with a NUL in it
        raise ConfigError(f"--config {shown(str(path))}: {error}", what) from None
    try:
        is_toml = path.suffix.lower() == ".toml"
        settings = tomllib.loads(text) if is_toml else json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"--config {path}: {error}", "a file that ends in .toml must be TOML, any other JSON"
        ) from None
    if not isinstance(settings, dict):
        raise ConfigError(
            f"--config {path} holds {type(settings).__name__}, not keys and values",
            'write it like {"emb_dim": 768, "n_heads": 12}',
        )
    return settings


def parse_setting(text: str) -> tuple[str, Any]:
    """Read one KEY=VALUE of `--set`. The value is JSON, or else a plain string.

    >>> parse_setting("n_layers=2"), parse_setting("qkv_bias=true"), parse_setting("attention=sdpa")
    (('n_layers', 2), ('qkv_bias', True), ('attention', 'sdpa'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {shown(text)} is not KEY=VALUE", "write it like --set n_layers=2")
    try:
        # Python's spelling of the truth values is what people copy out of a course's config dict.
        return key.strip(), json.loads({"True": "true", "False": "false"}.get(value, value))
    except (ValueError, RecursionError):
        return key.strip(), value


def shown(value: object) -> str:
    """Write a value into an error line, cut where it is long.

    >>> shown("12"), shown(10**5000)
    ("'12'", 'a number of more than 4300 digits')
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no longer numbers than that
        return "a number of more than 4300 digits"
    return text if len(text) <= 60 else f"{text[:50]}… ({len(text)} characters)"


def _divisors(number: int) -> set[int]:
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return {*small, *(number // n for n in small)}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    settings = dict(pairs)
    if len(settings) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} is there twice")
    return settings
