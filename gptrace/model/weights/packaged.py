"""Trained weights that are in the package. `training/` in the repository made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, WeightsError
from gptrace.model.config import GPTConfig

PACKAGE = "package"
# The default of what only predicts, since the predictions of random weights mean nothing.
TRAINED_MODEL = "small"
_FOLDER = Path(__file__).parent.parent / "data"
# preset: (file, facts for reports)
PACKAGED: dict[str, tuple[str, dict[str, Any]]] = {
    TRAINED_MODEL: (
        "small.safetensors",
        {"source": PACKAGE, "trained_on": "public-domain English prose", "dtype": "int8"},
    )
}
# Keys that weights depend on. The others change what is computed with them.
_FIXED = (
    "vocab_size", "context_length", "emb_dim", "n_heads", "n_layers", "ff_dim",
    "qkv_bias", "bias", "tie_head",
)  # fmt: skip


def model_to_predict(model: Any, weights: object, config: object, settings: Sequence[str] = ()) -> Any:
    """Return `model`; or the trained one, where none of the arguments selects or changes a model.

    >>> model_to_predict(None, None, None), model_to_predict(None, "random", None)
    ('small', None)
    """
    is_open = model is None and weights is None and config is None and not settings
    return TRAINED_MODEL if is_open else model


def packaged_file(name: str) -> Path:
    """Return the path of the weights of a preset in `PACKAGED`."""
    return _FOLDER / PACKAGED[name][0]


@contextmanager
def damage_of_package(name: str, origin: Mapping[str, Any]) -> Iterator[None]:
    """Raise, where weights that came with the package cannot be read, an error that blames the package."""
    try:
        yield
    except WeightsError as error:
        if origin.get("source") != PACKAGE:
            raise
        problem = f"the weights of {name} in the installed package cannot be read: {packaged_file(name)}"
        raise WeightsError(problem, "install gptrace again") from error


def check_fits(name: str, trained: GPTConfig, keys: Mapping[str, Any]) -> None:
    """Raise ConfigError where `keys` ask for another model than the one that was trained.

    >>> check_fits("small", GPTConfig(n_layers=6), {"n_layers": 6, "drop_rate": 0.2})
    """
    for key in _FIXED:
        trained_value = getattr(trained, key)
        if key in keys and keys[key] != trained_value:
            problem = f"{key} is {keys[key]}, the trained weights of {name} have {trained_value}"
            raise ConfigError(problem, "add --weights random for a model of other sizes")
