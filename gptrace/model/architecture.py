"""A model that can be built again at other sizes, and which of its configuration's keys are sizes.

Training codes call the same size by different names; the table below knows them, and reports use whichever
name the model's own configuration has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.model.selection import Limits

Sizes = dict[str, int]

# What a size is for: what configurations call it.
_ROLES = {
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
# Widths that have to be the same as the width of the model, wherever they are.
_SAME_AS_WIDTH = ("word_embed_proj_dim",)
_HEADS_IN_A_GROUP = 3


class _Twin(NamedTuple):
    """Tiny sizes, primes all of them."""

    heads: int
    head_dim: int
    batch: int
    seq_len: int
    context: int
    vocabulary: int
    inner: int
    width: int


# Found by a search: whatever k·x + c (k to 4, c to ±16) or x/k (k to 16, rounded either way) one of these
# sizes or their products x may become, it is never another of them, nor a multiple, in both.
_TWINS = (
    _Twin(heads=7, head_dim=5, batch=17, seq_len=13, context=67, vocabulary=53, inner=31, width=59),
    _Twin(heads=5, head_dim=11, batch=7, seq_len=17, context=73, vocabulary=43, inner=29, width=13),
)


class Architecture:
    """How to build a model at other sizes: `build(changes)` takes the configuration's keys to change.

    `settings` are the whole numbers of its configuration. `sizes` names those that can be an axis.

    >>> made = Architecture({"n_embd": 768, "n_head": 12, "block_size": 1024}, lambda changes: ...)
    >>> made.sizes
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
        # A head_dim of its own may cut loose the width of the heads from that of the model.
        own = self._size("head_dim")
        self._coupled = self._divides and (own is None or own * (heads or 0) == width)
        self.sizes = self._named(self.settings)

    def products(self) -> list[tuple[str, str]]:
        """Return the pairs of sizes that code merges into one axis: all heads, or the batch with another."""
        keys, head_dim = self._keys, self._keys.get("head_dim", "head_dim")
        heads = [keys[role] for role in ("heads", "key_value_heads") if role in keys]
        merged = [(name, head_dim) for name in heads] if head_dim in self.sizes else []
        return merged + [("batch", name) for name in ("seq_len", *heads)]

    @property
    def width(self) -> str | None:
        """What the configuration calls the width of the model."""
        return self._keys.get("width")

    @property
    def vocabulary(self) -> str | None:
        """What the configuration calls the size of the vocabulary."""
        return self._keys.get("vocabulary")

    def limits(self) -> Limits:
        """Return how many ids the model knows and how many tokens it takes, where its settings tell."""
        return Limits(self._size("vocabulary"), self._size("context"))

    def twins(self) -> Iterator[tuple[list[Sizes], list[Sizes]]]:
        """Yield two sets of tiny sizes to try, the simplest first: the changes of keys, and sizes by name.

        Later ones allow for what architectures ask for: a head_dim that is even (rotary positions turn
        pairs), or that has an even quarter; as many key-value heads as heads.
        """
        if not self.sizes:
            return
        for is_grouped in (True, False) if "key_value_heads" in self._keys else (True,):
            for even in (1, 2, 8):
                changes = [self._changes(twin, even, is_grouped) for twin in _TWINS]
                yield (
                    changes,
                    [
                        {"batch": twin.batch, "seq_len": twin.seq_len, **self._named(self.settings | change)}
                        for twin, change in zip(_TWINS, changes, strict=True)
                    ],
                )

    def _changes(self, twin: _Twin, even: int, is_grouped: bool) -> Sizes:
        head_dim = twin.head_dim * even
        grouped = "key_value_heads" in self._keys and is_grouped
        heads = twin.heads * (_HEADS_IN_A_GROUP if grouped else 1)
        by_role = {
            "width": heads * head_dim if self._coupled else twin.width * even,
            "vocabulary": twin.vocabulary,
            "heads": heads,
            "key_value_heads": twin.heads,
            "head_dim": head_dim,
            "context": twin.context,
            "inner": twin.inner * even,
        }
        changes = {key: by_role[role] for role, key in self._keys.items()}
        width = self._size("width")
        changes |= {key: by_role["width"] for key in _SAME_AS_WIDTH if self.settings.get(key) == width}
        # The number of a special token has to stay within the vocabulary.
        changes |= {
            key: 0
            for key, value in self.settings.items()
            if key.endswith("_token_id") and "vocabulary" in self._keys and value >= twin.vocabulary
        }
        return changes

    def _size(self, role: str) -> int | None:
        return self.settings.get(self._keys.get(role, ""))

    def _named(self, settings: Mapping[str, int]) -> Sizes:
        """Return the sizes that can be an axis, by name, with those that follow from others."""
        keys = self._keys

        def of(*roles: str) -> Sizes:
            return {keys[role]: settings[keys[role]] for role in roles if role in keys}

        head_dim = of("head_dim")
        if not head_dim and self._divides:
            head_dim = {"head_dim": settings[keys["width"]] // settings[keys["heads"]]}
        return of("width", "vocabulary", "heads", "key_value_heads") | head_dim | of("context", "inner")
