"""Which model to run, as the command line or a caller of the API says it. No torch here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gptrace.errors import ConfigError, DeviceError, OptionError, WeightsError, about_option
from gptrace.model.config import GPTConfig, check_keys, parse_setting, preset, read_config_file, shown
from gptrace.model.reference import ObjectReference, is_reference, parse_reference
from gptrace.model.weights import hub
from gptrace.text import encoding
from gptrace.text.tokenizer import Tokenizer

DEFAULT_MODEL = "gpt2-small"
DEFAULT_SEED = 123
DTYPES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}  # bytes of one number
DEVICES = ("cpu", "cuda", "mps", "meta", "auto")
_MOST_THREADS = 4096
RANDOM = "random"
PRETRAINED = "pretrained"
HUGGING_FACE = "hf:"
_log = logging.getLogger("gptrace").info


class Limits(NamedTuple):
    """What a model can take, where it is known: ids below `vocab_size`, up to `context_length` of them.

    `is_certain`: more would be an error; else it is only what a text can be cut to.
    """

    vocab_size: int | None
    context_length: int | None
    is_certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSelection:
    """A model that can be built: name for people, where and in what it runs, and whose weights.

    `dtype` None leaves a model of one's own as its code makes it. `weights` is a file or folder, None for
    what the model has without one. `keys` are those of --config and --set. `threads` None leaves torch its
    own number of them.
    """

    name: str
    seed: int = DEFAULT_SEED
    device: str = "cpu"
    dtype: str | None = "float32"
    threads: int | None = None
    weights: Path | None = None
    keys: dict[str, Any] = field(default_factory=dict)

    def limits(self) -> Limits | None:
        """Return what the model takes, where that is known before it is built."""
        return None

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer that reads text for the model."""
        return encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class GPTSelection(ModelSelection):
    """gptrace's own GPTModel.

    `config` is None where a weight file decides the sizes: then `preset` (when a model was named) and
    `keys` are what it has to agree with. `origin` is what a report says of published weights.
    """

    config: GPTConfig | None = None
    preset: GPTConfig | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    def limits(self) -> Limits | None:
        """Return what the model takes, unless a weight file decides."""
        config = self.config
        return None if config is None else Limits(config.vocab_size, config.context_length)

    def parameter_bytes(self) -> int:
        """Return the bytes that random parameters take at the peak of building: they are drawn in float32."""
        if self.config is None or self.device == "meta":
            return 0
        dtype = self.dtype or "float32"
        return self.config.parameter_count() * max(DTYPES["float32"], DTYPES[dtype])


@dataclass(frozen=True, slots=True, kw_only=True)
class UserModelSelection(ModelSelection):
    """Somebody's own nn.Module, class or factory, or where it lies; `config` likewise."""

    target: ObjectReference | Callable[..., Any]
    config: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFaceSelection(ModelSelection):
    """A folder that transformers can load; `random`: its config.json alone. `origin` is for the reports."""

    folder: Path
    random: bool = False
    origin: dict[str, Any] = field(default_factory=dict)

    def limits(self) -> Limits | None:
        """Return what config.json says."""
        told = read_config_file(self.folder / "config.json") | self.keys
        sizes = [told.get("vocab_size"), told.get("max_position_embeddings", told.get("n_positions"))]
        vocab_size, context = (size if type(size) is int and size > 0 else None for size in sizes)
        return Limits(vocab_size, context)

    def tokenizer(self) -> Tokenizer:
        """Return the folder's own tokenizer."""
        from gptrace.text.hugging_face import load_tokenizer

        return load_tokenizer(self.folder)


def select_model(
    model: str | Callable[..., Any] | None = None,
    *,
    weights: str | Path | None = None,
    config: object = None,
    settings: Sequence[str] = (),
    seed: int = DEFAULT_SEED,
    device: str = "cpu",
    dtype: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = _log,
) -> ModelSelection:
    """Check everything that can be checked before torch is there.

    `config` (a file, a mapping, a GPTConfig, for a model of one's own any object) goes on top of the
    preset, `settings` ("KEY=VALUE") on top of that. Weights that are not random decide every size that
    `model` does not name; `say` gets a line before anything is downloaded.

    >>> select_model("tiny", settings=["n_layers=3"]).config.n_layers
    3
    """
    device = str(device)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise OptionError(f"seed is {seed!r}", "pick a whole number", option="seed")
    if device.partition(":")[0] not in DEVICES:
        raise DeviceError(f"{device!r} is not a device", f"pick one of {', '.join(DEVICES)}, or cuda:N")
    if dtype is not None:
        dtype = str(dtype).removeprefix("torch.")  # torch's own are welcome too
        if dtype not in DTYPES:
            raise OptionError(f"{dtype!r} is not a dtype", f"pick one of {', '.join(DTYPES)}", option="dtype")
    if not -(2**63) <= seed < 2**64:
        raise OptionError(
            f"seed {shown(seed)} does not fit into 64 bits", "pick a seed from 0 to 2**64 - 1", option="seed"
        )
    if weights is not None and (not isinstance(weights, str | Path) or not str(weights)):
        raise OptionError(
            f"weights are {weights!r}",
            "give random, pretrained, or the path of a file or folder",
            option="weights",
        )
    if threads is not None and (type(threads) is not int or not 1 <= threads <= _MOST_THREADS):
        raise OptionError(
            f"threads is {threads!r}", f"give a whole number from 1 to {_MOST_THREADS}", option="threads"
        )
    run: dict[str, Any] = {"seed": seed, "device": device, "threads": threads}
    with about_option("settings"):
        set_keys = dict(map(parse_setting, settings))
    if callable(model) or (isinstance(model, str) and is_reference(model)):
        with about_option("model"):
            if isinstance(model, str) and model.startswith(HUGGING_FACE):
                run["dtype"] = dtype or "float32"
                return _hugging_face(model, weights, _keys(config) | set_keys, say, run)
            return _own(model, weights, config, set_keys, run | {"dtype": dtype})
    run["dtype"] = dtype or "float32"
    # With both, an impossible size may come from either.
    keys_option = None if settings and config is not None else "settings" if settings else "config"
    return _gpt(model, weights, _keys(config) | set_keys, keys_option, say, run)


def _gpt(
    model: str | None,
    weights: str | Path | None,
    keys: dict[str, Any],
    keys_option: str | None,
    say: Callable[[str], None],
    run: dict[str, Any],
) -> GPTSelection:
    if weights is None or str(weights) == RANDOM:
        with about_option("model"):
            name, sizes = preset(model or DEFAULT_MODEL)
        with about_option(keys_option):
            changed = GPTConfig.from_mapping(keys, base=sizes)
        return GPTSelection(name=name if changed == sizes else f"{name}, changed", config=changed, **run)
    with about_option(keys_option):
        check_keys(keys)
    if str(weights) == PRETRAINED:
        with about_option("model"):
            name = hub.published(model or DEFAULT_MODEL)
        folder = hub.fetch(name, say)
        repository, revision = hub.PUBLISHED[name]
        origin = {"source": PRETRAINED, "repository": repository, "revision": revision}
        return GPTSelection(name=name, weights=folder, keys=keys, origin=origin, **run)
    path = _existing(weights)
    with about_option("model"):
        name, named = preset(model) if model is not None else (path.name, None)
    return GPTSelection(name=name, weights=path, preset=named, keys=keys, **run)


def _own(
    model: str | Callable[..., Any],
    weights: str | Path | None,
    config: object,
    settings: dict[str, Any],
    run: dict[str, Any],
) -> UserModelSelection:
    target = parse_reference(model, "--model") if isinstance(model, str) else model
    name = target.name if isinstance(target, ObjectReference) else getattr(model, "__name__", "model")
    if weights is not None and str(weights) == PRETRAINED:
        raise OptionError(
            f"there are no published weights for {name}", "give the path of a state dict that it can load"
        )
    path = None if weights is None or str(weights) == RANDOM else _existing(weights)
    if isinstance(config, str | Path):
        text = str(config)
        with about_option("config"):
            config = parse_reference(text, "--config") if is_reference(text) else read_config_file(Path(text))
    return UserModelSelection(name=name, target=target, config=config, keys=settings, weights=path, **run)


def _hugging_face(
    model: str,
    weights: str | Path | None,
    keys: dict[str, Any],
    say: Callable[[str], None],
    run: dict[str, Any],
) -> HuggingFaceSelection:
    where = model.removeprefix(HUGGING_FACE)
    if not where:
        raise ConfigError(
            "--model hf: names no model", "write hf:FOLDER, or hf:OWNER/NAME for one on the hub"
        )
    random = weights is not None and str(weights) == RANDOM
    own = weights is None or str(weights) == PRETRAINED
    path = None if own or random else _existing(str(weights))
    wants_weights = not random and path is None and run["device"] != "meta"
    folder, origin = hub.model_folder(where, say, weights=wants_weights)
    return HuggingFaceSelection(
        name=Path(where).name or where, folder=folder, random=random or path is not None, keys=keys,
        weights=path, origin=origin, **run,
    )  # fmt: skip


@about_option("config")
def _keys(config: object) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, GPTConfig):
        return config.to_dict()
    if not isinstance(config, Mapping | str | Path):
        raise ConfigError(f"config is a {type(config).__name__}", "give a file, a dict or a GPTConfig")
    if isinstance(config, str | Path) and str(config).rpartition(":")[0].endswith(".py"):
        raise ConfigError(
            f"--config {config}: an object of your own is for a model of your own",
            "give a .json or .toml file of configuration keys, or --model FILE.py:OBJECT with it",
        )
    return dict(config) if isinstance(config, Mapping) else read_config_file(Path(config))


def _existing(weights: str | Path) -> Path:
    path = Path(weights)
    try:
        there = path.exists()
    except (OSError, ValueError) as error:  # a name too long, a folder that may not be searched
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise WeightsError(
            f"--weights {shown(str(path))}: {reason}", "give the path of a file or folder"
        ) from None
    if not there:
        raise WeightsError(
            f"--weights {path}: there is nothing",
            "give random, pretrained, or the path of a weight file or folder",
        )
    return path
