"""Which model to run, as the command line or a program selects it. Nothing here imports torch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gptrace.errors import ConfigError, DeviceError, OptionError, WeightsError, about_option
from gptrace.model.config import GPTConfig, check_keys, parse_setting, preset, read_config_file
from gptrace.model.reference import ObjectReference, is_reference, parse_reference
from gptrace.model.weights import hub
from gptrace.text import encoding
from gptrace.text.tokenizer import Tokenizer
from gptrace.wording import quoted_value

DEFAULT_MODEL = "gpt2-small"
DEFAULT_SEED = 123
DTYPES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}  # bytes per element
DEVICES = ("cpu", "cuda", "mps", "meta", "auto")
_MAX_THREADS = 4096
RANDOM = "random"
PRETRAINED = "pretrained"
HUGGING_FACE = "hf:"
_log = logging.getLogger("gptrace").info


class Limits(NamedTuple):
    """The input that a model accepts: ids below `vocab_size`, at most `context_length` of them.

    None stands for a limit that is not known. If `is_certain`, larger input is an error; otherwise the limits
    only say to which length `truncate` cuts a text.
    """

    vocab_size: int | None
    context_length: int | None
    is_certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSelection:
    """A model that can be built.

    name      its name in reports
    seed      of random weights
    device    cpu, cuda, cuda:N, mps, meta or auto
    dtype     of parameters; None keeps what the user's code gives a model
    threads   processor threads for torch; None keeps torch's number
    weights   a weight file or folder; None for the weights that the model has without one
    keys      configuration keys from --config and --set
    """

    name: str
    seed: int = DEFAULT_SEED
    device: str = "cpu"
    dtype: str | None = "float32"
    threads: int | None = None
    weights: Path | None = None
    keys: dict[str, Any] = field(default_factory=dict)

    def limits(self) -> Limits | None:
        """Return the limits of the model, or None where they are known only after it is built."""
        return None

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the model."""
        return encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class GPTSelection(ModelSelection):
    """A GPTModel.

    config   None where a weight file decides the sizes
    preset   of the named model, if any; such a file must agree with it and with `keys`
    origin   where published weights come from, for reports
    """

    config: GPTConfig | None = None
    preset: GPTConfig | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    def limits(self) -> Limits | None:
        """Return the limits from the configuration, or None where a weight file decides."""
        config = self.config
        return None if config is None else Limits(config.vocab_size, config.context_length)

    def parameter_bytes(self) -> int:
        """Return the peak bytes of random parameters while they are built; they start in float32."""
        if self.config is None or self.device == "meta":
            return 0
        dtype = self.dtype or "float32"
        return self.config.parameter_count() * max(DTYPES["float32"], DTYPES[dtype])


@dataclass(frozen=True, slots=True, kw_only=True)
class UserModelSelection(ModelSelection):
    """The user's own model.

    target   a module, a class, or a function that returns a module; or a reference to one of these
    config   the configuration, or a reference to it, or None
    """

    target: ObjectReference | Callable[..., Any]
    config: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFaceSelection(ModelSelection):
    """A causal language model of transformers.

    folder   the folder that transformers loads
    random   only config.json is read, and the weights are random
    origin   where the model comes from, for reports
    """

    folder: Path
    random: bool = False
    origin: dict[str, Any] = field(default_factory=dict)

    def limits(self) -> Limits | None:
        """Return the limits from config.json."""
        settings = read_config_file(self.folder / "config.json") | self.keys
        context = settings.get("max_position_embeddings", settings.get("n_positions"))
        sizes = (settings.get("vocab_size"), context)
        vocab_size, context = (size if type(size) is int and size > 0 else None for size in sizes)
        return Limits(vocab_size, context)

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer in the folder."""
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
    """Check the arguments, as far as that is possible without torch, and return what they select.

    model      a preset's name, FILE.py:OBJECT, package.module:OBJECT, hf:FOLDER or hf:OWNER/NAME; a class or
               a function that returns a module; None for the default, or for the model in a weight file
    weights    "random", "pretrained", or the path of a file or folder, which then decides the sizes
    config     keys that replace those of the preset: a mapping, a file or a GPTConfig; for a user's model
               any object
    settings   "KEY=VALUE" texts, which replace keys of `config`
    dtype      None stands for float32; a user's model keeps its own
    say        gets one line before a download

    The other arguments are those of ModelSelection. Raises an InputError for an argument that cannot be,
    DownloadError where a download fails.

    >>> select_model("tiny", settings=["n_layers=3"]).config.n_layers
    3
    """
    device = str(device)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise OptionError(f"seed is {seed!r}", "pick a whole number", option="seed")
    if device.partition(":")[0] not in DEVICES:
        raise DeviceError(f"{device!r} is not a device", f"pick one of {', '.join(DEVICES)}, or cuda:N")
    if dtype is not None:
        dtype = str(dtype).removeprefix("torch.")  # "torch.float32" is accepted, and torch.float32 itself
        if dtype not in DTYPES:
            raise OptionError(f"{dtype!r} is not a dtype", f"pick one of {', '.join(DTYPES)}", option="dtype")
    if not -(2**63) <= seed < 2**64:
        raise OptionError(
            f"seed {quoted_value(seed)} does not fit into 64 bits",
            "pick a seed from 0 to 2**64 - 1",
            option="seed",
        )
    if weights is not None and (not isinstance(weights, str | Path) or not str(weights)):
        raise OptionError(
            f"weights are {weights!r}",
            "give random, pretrained, or the path of a file or folder",
            option="weights",
        )
    if threads is not None and (type(threads) is not int or not 1 <= threads <= _MAX_THREADS):
        raise OptionError(
            f"threads is {threads!r}", f"give a whole number from 1 to {_MAX_THREADS}", option="threads"
        )
    options: dict[str, Any] = {"seed": seed, "device": device, "threads": threads}
    with about_option("settings"):
        set_keys = dict(map(parse_setting, settings))
    if callable(model) or (isinstance(model, str) and is_reference(model)):
        with about_option("model"):
            if isinstance(model, str) and model.startswith(HUGGING_FACE):
                options["dtype"] = dtype or "float32"
                return _select_hugging_face(model, weights, _keys(config) | set_keys, say, options)
            return _select_user_model(model, weights, config, set_keys, options | {"dtype": dtype})
    options["dtype"] = dtype or "float32"
    # With both, an impossible size may come from either.
    keys_option = None if settings and config is not None else "settings" if settings else "config"
    return _select_gpt(model, weights, _keys(config) | set_keys, keys_option, say, options)


def _select_gpt(
    model: str | None,
    weights: str | Path | None,
    keys: dict[str, Any],
    keys_option: str | None,
    say: Callable[[str], None],
    options: dict[str, Any],
) -> GPTSelection:
    if weights is None or str(weights) == RANDOM:
        with about_option("model"):
            name, base = preset(model or DEFAULT_MODEL)
        with about_option(keys_option):
            changed = GPTConfig.from_mapping(keys, base=base)
        return GPTSelection(name=name if changed == base else f"{name}, changed", config=changed, **options)
    with about_option(keys_option):
        check_keys(keys)
    if str(weights) == PRETRAINED:
        with about_option("model"):
            name = hub.published(model or DEFAULT_MODEL)
        folder = hub.fetch(name, say)
        repository, revision = hub.PUBLISHED[name]
        origin = {"source": PRETRAINED, "repository": repository, "revision": revision}
        return GPTSelection(name=name, weights=folder, keys=keys, origin=origin, **options)
    path = _existing(weights)
    with about_option("model"):
        name, expected = preset(model) if model is not None else (path.name, None)
    return GPTSelection(name=name, weights=path, preset=expected, keys=keys, **options)


def _select_user_model(
    model: str | Callable[..., Any],
    weights: str | Path | None,
    config: object,
    settings: dict[str, Any],
    options: dict[str, Any],
) -> UserModelSelection:
    target = parse_reference(model, "--model") if isinstance(model, str) else model
    name = target.name if isinstance(target, ObjectReference) else getattr(model, "__name__", "model")
    if weights is not None and str(weights) == PRETRAINED:
        raise OptionError(
            f"there are no published weights for {name}", "give the path of a state dict of that model"
        )
    path = None if weights is None or str(weights) == RANDOM else _existing(weights)
    if isinstance(config, str | Path):
        text = str(config)
        with about_option("config"):
            config = parse_reference(text, "--config") if is_reference(text) else read_config_file(Path(text))
    return UserModelSelection(name=name, target=target, config=config, keys=settings, weights=path, **options)


def _select_hugging_face(
    model: str,
    weights: str | Path | None,
    keys: dict[str, Any],
    say: Callable[[str], None],
    options: dict[str, Any],
) -> HuggingFaceSelection:
    location = model.removeprefix(HUGGING_FACE)
    if not location:
        raise ConfigError(
            "--model hf: names no model", "write hf:FOLDER, or hf:OWNER/NAME for one on the hub"
        )
    random = weights is not None and str(weights) == RANDOM
    pretrained = weights is None or str(weights) == PRETRAINED
    path = None if pretrained or random else _existing(str(weights))
    needs_weights = not random and path is None and options["device"] != "meta"
    folder, origin = hub.model_folder(location, say, weights=needs_weights)
    return HuggingFaceSelection(
        name=Path(location).name or location, folder=folder, random=random or path is not None, keys=keys,
        weights=path, origin=origin, **options,
    )  # fmt: skip


@about_option("config")
def _keys(config: object) -> dict[str, Any]:
    """Return the keys and values of a configuration for a GPTModel or a model of transformers."""
    if config is None:
        return {}
    if isinstance(config, GPTConfig):
        return config.to_dict()
    if not isinstance(config, Mapping | str | Path):
        raise ConfigError(f"config is a {type(config).__name__}", "give a file, a dict or a GPTConfig")
    if isinstance(config, str | Path) and str(config).rpartition(":")[0].endswith(".py"):
        raise ConfigError(
            f"--config {config}: an object in a .py file can configure only a model of your own",
            "give a .json or .toml file of configuration keys, or use --model FILE.py:OBJECT",
        )
    return dict(config) if isinstance(config, Mapping) else read_config_file(Path(config))


def _existing(weights: str | Path) -> Path:
    """Return the path of a file or folder of weights; raise WeightsError where there is none."""
    path = Path(weights)
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:  # the name is too long, or a folder may not be searched
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise WeightsError(
            f"--weights {quoted_value(str(path))}: {reason}", "give the path of a file or folder"
        ) from None
    if not exists:
        raise WeightsError(
            f"--weights {path}: no such file or folder",
            "give random, pretrained, or the path of a weight file or folder",
        )
    return path
