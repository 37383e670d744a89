"""A model that can be built again at other sizes, and which of its configuration's keys are sizes.

Training codes call the same size by different names; the table below knows them, and reports use whichever
name the model's own configuration has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gptrace.model.choice import Limits
from gptrace.model.quiet_torch import torch

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
        "context_size", "max_seq_length", "seq_len", "max_len",
    ),
    "inner": (
        "ff_dim", "intermediate_size", "d_ff", "ffn_dim", "n_inner", "dim_feedforward", "mlp_dim",
        "ffn_hidden_size", "ffn_hidden", "hidden_dim",
    ),
}  # fmt: skip
# Widths that have to be the same as the width of the model, wherever they are.
_SAME_AS_WIDTH = ("word_embed_proj_dim",)
_HEADS_IN_A_GROUP = 3
# Not 2 and 3: those are what code multiplies and divides by.
_PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


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

    def limits(self) -> Limits:
        """Return how many ids the model knows and how many tokens it takes, where its settings tell."""
        return Limits(self._size("vocabulary"), self._size("context"))

    def twins(self, batch: int, seq_len: int) -> Iterator[tuple[Sizes, Sizes]]:
        """Yield tiny sizes to try, the simplest first: the changes of keys, and the sizes by name.

        In each every size is another prime, or a product of two, and none is what it is in the real run.
        Later ones allow for what architectures ask for: a head_dim that is even (rotary positions turn
        pairs), or that has an even quarter; as many key-value heads as heads.
        """
        if not self.sizes:
            return
        real = {"batch": batch, "seq_len": seq_len, **self.sizes}
        grouped = (True, False) if "key_value_heads" in self._keys else (True,)
        for is_grouped in grouped:
            for even in (1, 2, 8):
                for start in range(len(_PRIMES) - 8):
                    changes, of_run = self._changes(_PRIMES[start:], even, is_grouped)
                    sizes = of_run | self._named(self.settings | changes)
                    if all(real[name] != size for name, size in sizes.items()):
                        yield changes, sizes
                        break

    def _changes(self, primes: tuple[int, ...], even: int, is_grouped: bool) -> tuple[Sizes, Sizes]:
        # The smallest primes go to the heads, since the width is a product of them.
        heads, head_dim, batch, seq_len, context, vocabulary, inner, width = primes[:8]
        head_dim *= even
        key_value_heads = heads
        if "key_value_heads" in self._keys and is_grouped:
            heads *= _HEADS_IN_A_GROUP
        by_role = {
            "width": heads * head_dim if self._coupled else width * even,
            "vocabulary": vocabulary,
            "heads": heads,
            "key_value_heads": key_value_heads,
            "head_dim": head_dim,
            "context": context,
            "inner": inner * even,
        }
        changes = {key: by_role[role] for role, key in self._keys.items()}
        changes |= {key: by_role["width"] for key in _SAME_AS_WIDTH if key in self.settings}
        # The number of a special token has to stay within the vocabulary.
        changes |= {
            key: 0
            for key, value in self.settings.items()
            if key.endswith("_token_id") and "vocabulary" in self._keys and value >= vocabulary
        }
        return changes, {"batch": batch, "seq_len": seq_len}

    def _size(self, role: str) -> int | None:
        return self.settings.get(self._keys.get(role, ""))

    def _named(self, settings: Mapping[str, int]) -> Sizes:
        """Return the sizes that can be an axis, by name, with those that follow from others."""
        keys = self._keys
        sizes = {
            keys[role]: settings[keys[role]] for role in ("width", "vocabulary", "heads") if role in keys
        }
        if "key_value_heads" in keys:
            sizes[keys["key_value_heads"]] = settings[keys["key_value_heads"]]
        head_dim, name = None, keys.get("head_dim", "head_dim")
        if "head_dim" in keys:
            head_dim = settings[keys["head_dim"]]
        elif self._divides:
            head_dim = settings[keys["width"]] // settings[keys["heads"]]
        if head_dim is not None:
            sizes[name] = head_dim
        for role in ("context", "inner"):
            if role in keys:
                sizes[keys[role]] = settings[keys[role]]
        return sizes
