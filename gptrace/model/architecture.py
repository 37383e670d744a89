"""How to build a model at other sizes, and which keys of its configuration are sizes.

Codebases give the same size different names. The table below lists them; reports use the name in the model's
own configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Set
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from gptrace.model.config import LAYER_NAMES
from gptrace.model.quiet_torch import torch
from gptrace.model.resized_sizes import SIZE_SETS, Relations, SizeSet, relations
from gptrace.model.selection import Limits

Sizes = dict[str, int]
Result = TypeVar("Result")

# The role of a size: the names that configurations give it.
_ROLES = {
    # "hidden_dim" is the width of the model in some codebases, and the inner width in others.
    "width": (
        "emb_dim", "n_embd", "hidden_size", "d_model", "embed_dim", "embedding_dim", "n_embed", "model_dim",
        "dim", "hidden_dim",
    ),
    "vocabulary": ("vocab_size", "n_vocab", "vocabulary_size", "num_tokens"),
    "heads": (
        "n_heads", "num_attention_heads", "n_head", "num_heads", "nhead", "heads", "attention_heads",
        "decoder_attention_heads",
    ),
    "key_value_heads": ("num_key_value_heads", "n_kv_groups", "n_kv_heads", "num_kv_heads", "n_kv_head"),
    "head_dim": ("head_dim", "d_head", "head_size", "d_kv"),
    "context": (
        "context_length", "max_position_embeddings", "n_positions", "block_size", "n_ctx", "max_seq_len",
        "context_size", "max_seq_length", "max_len", "ctx_len", "ctx",
    ),
    "inner": (
        "ff_dim", "intermediate_size", "d_ff", "ffn_dim", "n_inner", "dim_feedforward", "mlp_dim",
        "ffn_hidden_size", "ffn_hidden", "decoder_ffn_dim", "hidden_dim",
    ),
}  # fmt: skip
CONTEXT_NAMES = _ROLES["context"]
SIZE_NAMES = frozenset(name for names in _ROLES.values() for name in names)
# Other settings that may be the size of an axis: by the end of their names, and by what is not in them. Those
# inside of other values may have names such as `encoder.hidden_size`.
_OTHER_SIZE = re.compile(
    r"(?!.*(kernel|window|patch|chunk|block|group|batch|conv|image|type))(.*_)?(dim|rank|size|width)"
)
_MOST_KEPT = 16
# Widths under another name, which some architectures want to equal the width of the model.
_SAME_AS_WIDTH = ("word_embed_proj_dim", "embedding_size")


class Resizing(NamedTuple):
    """A small model and its input: the keys of the configuration to change, and the shape of the ids."""

    changes: tuple[tuple[str, int], ...]
    batch: int
    seq_len: int


class Architecture:
    """How to build a model at other sizes.

    settings   the configuration; of its values, the positive integers count
    build      returns a new model; its argument maps the keys to change to their new values
    changed    returns all settings after such a change (default: `settings` with the changes)

    The attribute `sizes` holds the settings that can be the size of an axis, by name, and head_dim. `depth`
    is the name and value of the setting that says how many blocks there are, if the configuration makes no
    difference between them; else None.

    >>> settings = {"n_embd": 768, "n_head": 12, "block_size": 1024}
    >>> Architecture(settings, build=lambda changes: ...).sizes
    {'n_embd': 768, 'n_head': 12, 'head_dim': 64, 'block_size': 1024}
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        build: Callable[[Mapping[str, Any]], torch.nn.Module],
        changed: Callable[[Mapping[str, int]], Mapping[str, Any]] | None = None,
    ) -> None:
        self.settings = _positive(settings)
        # The names of the settings that are dtypes.
        self.dtypes = tuple(key for key, value in settings.items() if isinstance(value, torch.dtype))
        self.build = build
        self._changed = changed
        # What `keep` keeps: for each kind its results by key, the oldest first.
        self.kept: dict[str, dict[Hashable, Any]] = {}
        self._keys: dict[str, str] = {}
        for role, names in _ROLES.items():
            key = next((n for n in names if n in self.settings and n not in self._keys.values()), None)
            if key is not None:
                self._keys[role] = key
        others = [
            key for key in self.settings
            if _OTHER_SIZE.fullmatch(key.rpartition(".")[2]) and key not in SIZE_NAMES
        ]  # fmt: skip
        self._others = tuple(others[: len(SIZE_SETS[0].others)])
        width, heads = self._size("width"), self._size("heads")
        self._divides = bool(width and heads and width % heads == 0)
        self.sizes = self._axis_sizes(self.settings)
        depth = next(((key, self.settings[key]) for key in LAYER_NAMES if key in self.settings), None)
        self.depth = depth if depth is not None and not _tells_apart(settings, depth[1]) else None

    def products(self) -> list[tuple[str, str]]:
        """Return the pairs of sizes that models merge into one axis: heads·head_dim, and batch·another."""
        head_dims = [key for key in self.sizes if key == self._head_dim_key() or key.endswith("head_dim")]
        heads = [self._keys[role] for role in ("heads", "key_value_heads") if role in self._keys]
        merged = [(name, head_dim) for head_dim in head_dims for name in heads]
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

    def keep(self, kind: str, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return what `make` returns, or the result that is kept for this kind and key already.

        The latest 16 results of each kind are kept, and freed with the architecture. A cache of a function
        would keep the architecture itself alive, and with it whatever its `build` refers to: the user's
        module, for a model that is built by the user's own code.
        """
        results: dict[Hashable, Result] = self.kept.setdefault(kind, {})
        with suppress(KeyError):
            return results[key]
        result = results[key] = make()
        for oldest in list(results)[:-_MOST_KEPT]:  # a copy: another thread may add its own result meanwhile
            results.pop(oldest, None)
        return result

    def limits(self) -> Limits:
        """Return how many ids and how many tokens the model takes, as far as its settings say."""
        return Limits(self._size("vocabulary"), self._size("context"))

    def resizings(self) -> Iterator[list[Resizing]]:
        """Yield pairs of small models to try, those with the most independent sizes first."""
        if not self.sizes:
            return
        tried = relations(
            widths=self._possible_widths(),
            may_group="key_value_heads" in self._keys,
            has_others=bool(self._others),
        )
        for related in tried:
            yield [
                Resizing(tuple(self._changes(small, related).items()), small.batch, small.seq_len)
                for small in SIZE_SETS
            ]

    def changes_alone(self) -> Iterator[tuple[Sizes, Sizes]]:
        """Yield sizes to change alone, in two ways, for a model that cannot have all of them changed.

        Those of one item belong together. An item is of no use once its sizes are changed by an earlier one.
        """
        values = [self._values_alone(small) for small in SIZE_SETS]
        for first, second in zip(*values, strict=True):
            if first:
                yield first, second

    def settings_alone(self, changes: Sizes) -> list[tuple[str, int]]:
        """Return the settings without `changes` that may be a part of an axis, with their values."""
        none = {*changes, *LAYER_NAMES}
        return [
            (key, value)
            for key, value in self.settings.items()
            if key not in none and not key.endswith("_token_id")
        ]

    def _values_alone(self, small: SizeSet) -> list[Sizes]:
        groups = small.key_value_heads
        by_role: list[Sizes] = [
            {"vocabulary": small.vocabulary},
            {"context": small.context},
            {"width": (self._size("heads") or 1) * small.head_dim * 4 + small.rest},
            {"width": small.width * 4},
            {"width": small.width * 8},
            {"head_dim": small.head_dim * 4},
            {"inner": small.inner * 4},
            {"heads": groups * small.heads_per_group, "key_value_heads": groups},
            {"heads": groups, "key_value_heads": groups},
            {"heads": groups * 4, "key_value_heads": groups * 4},
        ]
        others = zip(self._others, small.others, strict=False)
        return [self._of_roles(item) for item in by_role] + [{key: other * 4} for key, other in others]

    def _of_roles(self, by_role: Sizes) -> Sizes:
        """Return sizes by the keys of the configuration; a new vocabulary comes with ids within it."""
        changes = {self._keys[role]: size for role, size in by_role.items() if role in self._keys}
        return changes | (self._special_ids(by_role["vocabulary"]) if "vocabulary" in by_role else {})

    def of_changed(self, changed: Set[str]) -> tuple[Sizes, list[tuple[str, str]]]:
        """Return the sizes that are named, and the products, where only these keys were changed."""
        sources = {key for key in (self._keys.get("width"), self._keys.get("heads")) if key is not None}
        is_computed = "head_dim" not in self._keys and len(sources) == 2 and sources <= changed
        named = changed | ({"head_dim"} if is_computed else set())
        sizes = {name: size for name, size in self.sizes.items() if name in named}
        known = {*sizes, "batch", "seq_len"}
        return sizes, [pair for pair in self.products() if known.issuperset(pair)]

    def _special_ids(self, vocabulary: int) -> Sizes:
        """Return 0 for the id of each special token that a smaller vocabulary has not."""
        special = [key for key in self.settings if key.endswith("_token_id")]
        return {key: 0 for key in special if self.settings[key] >= vocabulary}

    def sizes_after(self, resizing: Resizing) -> Sizes:
        """Return the sizes of a small model, as in `sizes`; this may run the code of the configuration."""
        changes = dict(resizing.changes)
        # What that code derives from a setting is known to it alone.
        after = {} if self._changed is None else _positive(self._changed(changes))
        return self._axis_sizes(self.settings | changes | after)

    def _changes(self, small: SizeSet, related: Relations) -> Sizes:
        """Return the keys to change, and their values."""
        divisor = related.divisor
        key_value_heads = small.key_value_heads * related.heads_factor
        heads = key_value_heads * (small.heads_per_group if related.is_grouped else 1)
        widths = {
            "free": heads * small.width_per_head + small.rest if self._divides else small.width,
            "heads": heads * small.width_per_head,
            "rest": heads * small.head_dim + small.rest,
            "head_dim": heads * small.head_dim,
        }
        width = widths[related.width] * divisor
        by_role = {
            "width": width,
            "vocabulary": small.vocabulary,
            "heads": heads,
            "key_value_heads": key_value_heads,
            "head_dim": small.head_dim * divisor,
            "context": small.context,
            "inner": small.inner * divisor,
        }
        changes = {key: by_role[role] for role, key in self._keys.items()}
        if related.others_vary:
            others = zip(self._others, small.others, strict=False)
            changes |= {key: other * divisor for key, other in others}
        else:
            same = [key for key in _SAME_AS_WIDTH if self.settings.get(key) == self._size("width")]
            changes |= dict.fromkeys(same, width)
        return changes | (self._special_ids(small.vocabulary) if "vocabulary" in self._keys else {})

    def _possible_widths(self) -> tuple[str, ...]:
        """Return the relations that the width of the model may have to its heads, as in `Relations`."""
        if not self._divides:
            return ("free",)
        head_dim, heads = self._size("head_dim"), self._size("heads")
        if head_dim is None:
            return ("rest", "head_dim")
        is_equal = head_dim * (heads or 0) == self._size("width")
        return ("free", "heads", "head_dim") if is_equal else ("free", "heads")

    def _size(self, role: str) -> int | None:
        return self.settings.get(self._keys.get(role, ""))

    def _head_dim_key(self) -> str:
        return self._keys.get("head_dim", "head_dim")

    def _axis_sizes(self, settings: Mapping[str, int]) -> Sizes:
        """Return the sizes that can be an axis, by name; head_dim is computed where it is no setting."""
        keys = self._keys

        def sizes_of(*roles: str) -> Sizes:
            return {keys[role]: settings[keys[role]] for role in roles if role in keys}

        head_dim = sizes_of("head_dim")
        if not head_dim and self._divides:
            head_dim = {"head_dim": settings[keys["width"]] // settings[keys["heads"]]}
        sizes = sizes_of("width", "vocabulary", "heads", "key_value_heads")
        others = {key: settings[key] for key in self._others}
        return sizes | head_dim | sizes_of("context", "inner") | others


def _positive(settings: Mapping[str, Any]) -> Sizes:
    return {key: value for key, value in settings.items() if type(value) is int and value > 0}


def _tells_apart(setting: Any, blocks: int) -> bool:
    """Tell whether settings hold a list with an item for each block, and the items differ."""
    if isinstance(setting, Mapping):
        return any(_tells_apart(value, blocks) for value in setting.values())
    if not isinstance(setting, list | tuple):
        return False
    return len(setting) == blocks and any(item != setting[0] for item in setting)
