"""A small size of the model under test: what is large becomes small, and the ratios stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gptrace.model.architecture import Architecture

_LAYER_NAMES = ("n_layers", "n_layer", "num_hidden_layers", "num_layers", "depth", "layers")
_VOCABULARY, _CONTEXT, _LAYERS, _HEADS, _HEAD_DIM, _INNER = 149, 20, 3, 4, 64, 512


def small_sizes(architecture: Architecture, prompt: Sequence[int] = ()) -> Iterator[Mapping[str, int]]:
    """Yield changes of the configuration that make a model small, the smallest first.

    A size that is small already stays, and head_dim stays where it can, so that constants which belong to a
    size, such as a scale of 1/8 for 64, stay right. Later changes leave more as it is, for code that needs
    certain sizes. A `prompt` must fit: then the vocabulary stays as it is, and the context may be longer.
    """
    changes = _changes(architecture)
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


def _changes(architecture: Architecture) -> dict[str, int]:
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
    return wanted | _widths(architecture)


def _widths(architecture: Architecture) -> dict[str, int]:
    settings = architecture.settings
    width, heads = architecture.key("width"), architecture.key("heads")
    if width is None or heads is None or settings[width] % settings[heads]:
        return {}
    head_dim = architecture.key("head_dim")
    each = settings[head_dim] if head_dim is not None else settings[width] // settings[heads]
    if settings[heads] * each <= _HEADS * _HEAD_DIM or settings[heads] <= _HEADS:
        return {}
    wanted = {heads: _HEADS}
    groups = architecture.key("key_value_heads")
    if groups is not None:
        wanted[groups] = _HEADS if settings[groups] == settings[heads] else max(1, _HEADS // 2)
    wanted[width] = settings[width] * _HEADS // settings[heads]
    if settings[width] * _HEADS % settings[heads]:
        return {}
    inner = architecture.key("inner")
    if inner is not None and settings[inner] > _INNER:
        wanted[inner] = _INNER
    return wanted
