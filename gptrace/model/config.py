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
# Far above any model that was ever made, and low enough that no size overflows on the way.
_LARGEST_SIZE = 2**31 - 1
_MOST_LAYERS = 10_000
_CONFIG_FILE_LIMIT = 1 << 20


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT, with the keys that course code uses; the defaults are GPT-2's 124M.

    `attention` is "eager" (scores, mask, softmax, dropout, weighted sum, each visible to a trace) or
    "sdpa" (PyTorch's fused scaled_dot_product_attention: faster, equal within float32 rounding).

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

    def __post_init__(self) -> None:
        for key in ("vocab_size", "context_length", "emb_dim", "n_heads", "n_layers"):
            size, most = getattr(self, key), _MOST_LAYERS if key == "n_layers" else _LARGEST_SIZE
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
        if not isinstance(self.qkv_bias, bool):
            raise ConfigError(f"qkv_bias is {shown(self.qkv_bias)}", "qkv_bias must be true or false")
        if self.attention not in ATTENTIONS:
            raise ConfigError(
                f"attention is {shown(self.attention)}", f"attention must be one of {', '.join(ATTENTIONS)}"
            )

    @property
    def head_dim(self) -> int:
        """The width of one attention head: emb_dim / n_heads."""
        return self.emb_dim // self.n_heads

    def dims(self) -> dict[str, int]:
        """Return the sizes that can be an axis of a tensor, by name."""
        return {
            "emb_dim": self.emb_dim,
            "vocab_size": self.vocab_size,
            "n_heads": self.n_heads,
            "head_dim": self.head_dim,
            "context_length": self.context_length,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the plain dict that course code uses, plus `attention`."""
        return asdict(self)

    def parameter_count(self) -> int:
        """Count the parameters of `GPTModel(self)` without building it.

        Token and position embeddings V·D + C·D; each block four D·D projections (the last with a bias),
        the two feed-forward matrices D·4D and 4D·D with biases, and two norms of scale and shift; a final
        norm; an output head V·D without bias.

        >>> GPTConfig().parameter_count()
        163009536
        """
        D = self.emb_dim
        attention = 4 * D * D + D + (3 * D if self.qkv_bias else 0)
        feed_forward = 8 * D * D + 5 * D
        block = attention + feed_forward + 4 * D
        embeddings = (self.vocab_size + self.context_length) * D
        return embeddings + self.n_layers * block + 2 * D + self.vocab_size * D

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], base: GPTConfig | None = None) -> GPTConfig:
        """Return `base` (or the defaults) with `settings` on top; an unknown key is an error.

        >>> GPTConfig.from_mapping({"emb_dim": 64, "n_heads": 4}).emb_dim
        64
        """
        known = [field.name for field in fields(cls)]
        for key in settings:
            if key not in known:
                raise ConfigError(f"{shown(key)} is not a configuration key", suggestion(str(key), known))
        return replace(base or cls(), **settings)


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
    raise ConfigError(f"{name!r} is not a model that gptrace knows", suggestion(name, names))


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
