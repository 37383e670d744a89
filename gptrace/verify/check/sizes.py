"""A small size of the model under test: what is large becomes small, and the ratios stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gptrace.errors import ConfigError
from gptrace.model.architecture import Architecture
from gptrace.model.build import LoadedModel

_LAYER_NAMES = ("n_layers", "n_layer", "num_hidden_layers", "num_layers", "depth", "layers")
_VOCABULARY, _CONTEXT, _LAYERS, _HEADS, _HEAD_DIM, _INNER = 149, 20, 3, 4, 64, 512
# A vocabulary that stays large makes each run costly: half the width makes up for some of it.
_HEADS_FOR_PROMPT = 2


# With fewer, training has one token, and a right model no gradient in its queries.
_FEWEST_TOKENS = 3
_FEWEST_IDS = 2


def check_large_enough(loaded: LoadedModel) -> None:
    """Raise a ConfigError for a model that takes fewer tokens or ids than the checks need."""
    tokens = _size(loaded, "context", loaded.limits.context_length)
    ids = _size(loaded, "vocabulary", loaded.limits.vocab_size)
    hint = "check it at a larger size, for example with --set"
    if tokens is not None and tokens < _FEWEST_TOKENS:
        fewest = _FEWEST_TOKENS
        problem = f"{loaded.name} cannot be checked: it takes {tokens} tokens, and the checks need {fewest}"
        raise ConfigError(problem, hint)
    if ids is not None and ids < _FEWEST_IDS:
        problem = f"{loaded.name} cannot be checked: it has {ids} ids, and the checks need {_FEWEST_IDS}"
        raise ConfigError(problem, hint)


def _size(loaded: LoadedModel, role: str, limit: int | None) -> int | None:
    architecture = loaded.architecture
    key = None if architecture is None else architecture.key(role)
    return limit if architecture is None or key is None else architecture.settings[key]


def small_sizes(architecture: Architecture, prompt: Sequence[int] = ()) -> Iterator[Mapping[str, int]]:
    """Yield changes of the configuration that make a model small, the smallest first.

    A size that is small already stays, and head_dim stays where it can, so that constants which belong to a
    size, such as a scale of 1/8 for 64, stay right. Later changes leave more as it is, for code that needs
    certain sizes. A `prompt` must fit: then the vocabulary stays as it is, and the context may be longer.
    """
    changes = _changes(architecture, _HEADS_FOR_PROMPT if prompt else _HEADS)
    if prompt:
        kept = (architecture.key("vocabulary"), *(key for key in changes if key.endswith("_token_id")))
        changes = {key: size for key, size in changes.items() if key not in kept}
        context = architecture.key("context")
        if context in changes:
            changes[context] = min(architecture.settings[context], max(changes[context], len(prompt)))
    layers = {name: value for name, value in changes.items() if name not in _LAYER_NAMES}
    lengths = {
        name: value for name, value in changes.items()
        if name in (architecture.key("vocabulary"), architecture.key("context")) or name.endswith("_token_id")
    }  # fmt: skip
    for index, candidate in enumerate((changes, layers, lengths)):
        if candidate and candidate not in (changes, layers, lengths)[:index]:
            yield candidate


def _changes(architecture: Architecture, most_heads: int) -> dict[str, int]:
    settings = architecture.settings
    wanted: dict[str, int] = {}
    for role, most in (("vocabulary", _VOCABULARY), ("context", _CONTEXT)):
        key = architecture.key(role)
        if key is not None and settings[key] > most:
            wanted[key] = most
    vocabulary = architecture.key("vocabulary")
    if vocabulary in wanted:
        special = (key for key in settings if key.endswith("_token_id"))
        wanted |= {key: 0 for key in special if settings[key] >= _VOCABULARY}
    layers = next((name for name in _LAYER_NAMES if name in settings), None)
    if layers is not None and settings[layers] > _LAYERS:
        wanted[layers] = _LAYERS
    return wanted | _widths(architecture, most_heads)


def _widths(architecture: Architecture, most_heads: int) -> dict[str, int]:
    settings = architecture.settings
    width, heads = architecture.key("width"), architecture.key("heads")
    if width is None or heads is None or settings[width] % settings[heads]:
        return {}
    head_dim = architecture.key("head_dim")
    each = settings[head_dim] if head_dim is not None else settings[width] // settings[heads]
    if settings[heads] * each <= most_heads * _HEAD_DIM or settings[heads] <= most_heads:
        return {}
    wanted = {heads: most_heads}
    groups = architecture.key("key_value_heads")
    if groups is not None:
        wanted[groups] = most_heads if settings[groups] == settings[heads] else max(1, most_heads // 2)
    wanted[width] = settings[width] * most_heads // settings[heads]
    if settings[width] * most_heads % settings[heads]:
        return {}
    inner = architecture.key("inner")
    if inner is not None and settings[inner] > _INNER:
        wanted[inner] = _INNER
    return wanted
