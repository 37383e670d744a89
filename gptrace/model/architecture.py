"""How to build a model at other sizes, and which keys of its configuration are sizes.

Codebases give the same size different names. The table below lists them; reports use the name in the model's
own configuration.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.model.selection import Limits

Sizes = dict[str, int]

# The role of a size: the names that configurations give it.
_ROLES = {
    # "hidden_dim" is the width of the model in some codebases, and the inner width in others.
    "width": (
        "emb_dim", "n_embd", "hidden_size", "d_model", "embed_dim", "embedding_dim", "n_embed", "model_dim",
        "dim", "hidden_dim",
    ),
    "vocabulary": ("vocab_size", "n_vocab", "vocabulary_size", "num_tokens"),
    "heads": ("n_heads", "num_attention_heads", "n_head", "num_heads", "nhead", "heads"),
    "key_value_heads": ("num_key_value_heads", "n_kv_groups", "n_kv_heads", "num_kv_heads", "n_kv_head"),
    "head_dim": ("head_dim", "d_head", "head_size", "d_kv"),
    "context": (
        "context_length", "max_position_embeddings", "n_positions", "block_size", "n_ctx", "max_seq_len",
        "context_size", "max_seq_length", "max_len",
    ),
    "inner": (
        "ff_dim", "intermediate_size", "d_ff", "ffn_dim", "n_inner", "dim_feedforward", "mlp_dim",
        "ffn_hidden_size", "ffn_hidden", "hidden_dim",
    ),
}  # fmt: skip
CONTEXT_NAMES = _ROLES["context"]
SIZE_NAMES = frozenset(name for names in _ROLES.values() for name in names)
# Widths under another name that must equal the width of the model.
_SAME_AS_WIDTH = ("word_embed_proj_dim",)
_HEADS_PER_GROUP = 3


class _ResizedSizes(NamedTuple):
    """Sizes for a small run. Each is a prime number."""

    heads: int
    head_dim: int
    batch: int
    seq_len: int
    context: int
    vocabulary: int
    inner: int
    width: int


# Model code computes sizes from others, as in 4 * x + 1 or x // 2. In these two sets such a result is never
# taken for another size: for each size or product x, no k·x + c (k up to 4, c up to ±16) and no x/k (k up to
# 16, rounded up or down) equals another size, or a multiple of it, in both sets. A search found them.
_RESIZED_SIZES = (
    _ResizedSizes(heads=7, head_dim=5, batch=17, seq_len=13, context=67, vocabulary=53, inner=31, width=59),
    _ResizedSizes(heads=5, head_dim=11, batch=7, seq_len=17, context=73, vocabulary=43, inner=29, width=13),
)


class Architecture:
    """How to build a model at other sizes.

    settings   the configuration; of its values, the positive integers count
    build      returns a new model; its argument maps the keys to change to their new values

    The attribute `sizes` holds the settings that can be the size of an axis, by name, and head_dim.

    >>> settings = {"n_embd": 768, "n_head": 12, "block_size": 1024}
    >>> Architecture(settings, build=lambda changes: ...).sizes
    {'n_embd': 768, 'n_head': 12, 'head_dim': 64, 'block_size': 1024}
    """

    def __init__(
        self, settings: Mapping[str, Any], build: Callable[[Mapping[str, int]], torch.nn.Module]
    ) -> None:
        self.settings: Sizes = {
            key: value for key, value in settings.items() if type(value) is int and value > 0
        }
        self.build = build
        self._keys: dict[str, str] = {}
        for role, names in _ROLES.items():
            key = next((n for n in names if n in self.settings and n not in self._keys.values()), None)
            if key is not None:
                self._keys[role] = key
        width, heads = self._size("width"), self._size("heads")
        self._divides = bool(width and heads and width % heads == 0)
        # Where head_dim is a setting, heads·head_dim may differ from the width of the model.
        head_dim = self._size("head_dim")
        self._width_is_heads = self._divides and (head_dim is None or head_dim * (heads or 0) == width)
        self.sizes = self._axis_sizes(self.settings)

    def products(self) -> list[tuple[str, str]]:
        """Return the pairs of sizes that models merge into one axis: heads·head_dim, and batch·another."""
        head_dim = self._keys.get("head_dim", "head_dim")
        heads = [self._keys[role] for role in ("heads", "key_value_heads") if role in self._keys]
        merged = [(name, head_dim) for name in heads] if head_dim in self.sizes else []
        return merged + [("batch", name) for name in ("seq_len", *heads)]

    def key(self, role: str) -> str | None:
        """Return the configuration's name of a size: "width", "vocabulary", "heads", "context", "inner", …

        >>> Architecture({"n_embd": 768}, build=lambda changes: ...).key("width")
        'n_embd'
        """
        return self._keys.get(role)

    @property
    def width(self) -> str | None:
        """The configuration's name of the width of the model, such as emb_dim; None where it has none."""
        return self._keys.get("width")

    @property
    def vocabulary(self) -> str | None:
        """The configuration's name of the size of the vocabulary; None where it has none."""
        return self._keys.get("vocabulary")

    def limits(self) -> Limits:
        """Return how many ids and how many tokens the model takes, as far as its settings say."""
        return Limits(self._size("vocabulary"), self._size("context"))

    def resized_configurations(self) -> Iterator[tuple[list[Sizes], list[Sizes]]]:
        """Yield pairs of small configurations to try, the simplest pair first.

        Of each pair, the first list holds the changed keys of both configurations, the second the sizes of
        both, by axis name. Later pairs meet what some architectures require: a head_dim that is even (rotary
        embeddings rotate pairs) or divisible by 8, or as many key-value heads as heads.
        """
        if not self.sizes:
            return
        for is_grouped in (True, False) if "key_value_heads" in self._keys else (False,):
            for factor in (1, 2, 8):
                changes = [self._changes(small, factor, is_grouped) for small in _RESIZED_SIZES]
                sizes = [
                    {"batch": small.batch, "seq_len": small.seq_len}
                    | self._axis_sizes(self.settings | change)
                    for small, change in zip(_RESIZED_SIZES, changes, strict=True)
                ]
                yield changes, sizes

    def _changes(self, small: _ResizedSizes, factor: int, is_grouped: bool) -> Sizes:
        """Return the keys to change; `factor` multiplies the sizes that may have to be divisible by it."""
        head_dim = small.head_dim * factor
        heads = small.heads * (_HEADS_PER_GROUP if is_grouped else 1)
        by_role = {
            "width": heads * head_dim if self._width_is_heads else small.width * factor,
            "vocabulary": small.vocabulary,
            "heads": heads,
            "key_value_heads": small.heads,
            "head_dim": head_dim,
            "context": small.context,
            "inner": small.inner * factor,
        }
        changes = {key: by_role[role] for role, key in self._keys.items()}
        width = self._size("width")
        changes |= {key: by_role["width"] for key in _SAME_AS_WIDTH if self.settings.get(key) == width}
        # The id of a special token must stay within the vocabulary.
        too_large = small.vocabulary if "vocabulary" in self._keys else math.inf
        special = [key for key in self.settings if key.endswith("_token_id")]
        return changes | {key: 0 for key in special if self.settings[key] >= too_large}

    def _size(self, role: str) -> int | None:
        return self.settings.get(self._keys.get(role, ""))

    def _axis_sizes(self, settings: Mapping[str, int]) -> Sizes:
        """Return the sizes that can be an axis, by name; head_dim is computed where it is no setting."""
        keys = self._keys

        def sizes_of(*roles: str) -> Sizes:
            return {keys[role]: settings[keys[role]] for role in roles if role in keys}

        head_dim = sizes_of("head_dim")
        if not head_dim and self._divides:
            head_dim = {"head_dim": settings[keys["width"]] // settings[keys["heads"]]}
        sizes = sizes_of("width", "vocabulary", "heads", "key_value_heads")
        return sizes | head_dim | sizes_of("context", "inner")
