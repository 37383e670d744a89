"""Which model to run, as the command line or a program selects it. Nothing here imports torch."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gptrace.errors import ConfigError, DeviceError, OptionError, WeightsError, about_option
from gptrace.model.config import GPTConfig, check_keys, parse_setting, preset, read_config_file
from gptrace.model.device_names import DEVICES, may_be_device
from gptrace.model.reference import SUFFIXES, ObjectReference, is_reference, parse_reference
from gptrace.model.weights import hub
from gptrace.model.weights.packaged import PACKAGED, check_fits, packaged_file
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.tokenizer import Tokenizer
from gptrace.wording import quoted_value

DEFAULT_MODEL = "gpt2-small"
DEFAULT_SEED = 123
DTYPES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}  # bytes per element
AUTO = "auto"
_MAX_THREADS = 4096
RANDOM = "random"
PRETRAINED = "pretrained"
HUGGING_FACE = "hf:"
_WEIGHTS_HINT = "give random, pretrained, or the path of a file or folder"
Keys = dict[str, Any]
Factory = Callable[..., Any]
Say = Callable[[str], None]
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
    device    cpu, cuda, cuda:N, another device of torch, meta or auto
    dtype     of parameters, or auto; None keeps what the user's code gives a model
    threads   processor threads for torch; None keeps torch's number
    weights   a weight file or folder; None for the weights that the model has without one
    keys      configuration keys from --config and --set
    typed     the options that select it on the command line, as they are typed; None for an object of Python
    """

    name: str
    seed: int = DEFAULT_SEED
    device: str = "cpu"
    dtype: str | None = "float32"
    threads: int | None = None
    weights: Path | None = None
    keys: Keys = field(default_factory=dict)
    typed: str | None = None

    def limits(self) -> Limits | None:
        """Return the limits of the model, or None where they are known only after it is built."""
        return None

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the model."""
        return GPT2


@dataclass(frozen=True, slots=True, kw_only=True)
class GPTSelection(ModelSelection):
    """A GPTModel.

    config   None where a weight file decides the sizes
    preset   of the named model, if any; such a file must agree with it and with `keys`
    origin   where published weights come from, for reports
    """

    config: GPTConfig | None = None
    preset: GPTConfig | None = None
    origin: Keys = field(default_factory=dict)

    def limits(self) -> Limits | None:
        """Return the limits from the configuration, or None where a weight file decides."""
        config = self.config
        return None if config is None else Limits(config.vocab_size, config.context_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserModelSelection(ModelSelection):
    """The user's own model.

    target   a module, a class, or a function that returns a module; or a reference to one of these
    config   the configuration, or a reference to it, or None
    """

    target: ObjectReference | Factory
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
    origin: Keys = field(default_factory=dict)

    @about_option("model")
    def limits(self) -> Limits | None:
        """Return the limits from config.json."""
        path = self.folder / "config.json"
        settings = read_config_file(path, f"the model's {path}") | self.keys
        context = settings.get("max_position_embeddings", settings.get("n_positions"))
        sizes = (settings.get("vocab_size"), context)
        vocab_size, context = (size if type(size) is int and size > 0 else None for size in sizes)
        return Limits(vocab_size, context)

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer in the folder."""
        from gptrace.text.hugging_face import load_tokenizer

        return load_tokenizer(self.folder)


def select_model(
    model: str | Factory | None = None,
    *,
    weights: str | Path | None = None,
    config: object = None,
    settings: Sequence[str] = (),
    seed: int = DEFAULT_SEED,
    device: str = "cpu",
    dtype: str | None = None,
    threads: int | None = None,
    say: Say = _log,
) -> ModelSelection:
    """Check the arguments, as far as that is possible without torch, and return what they select.

    model      as for Session, but no module; None for the default, or for the model in a weight file
    weights    "random", "pretrained", or the path of a file or folder, which then decides the sizes
    settings   "KEY=VALUE" texts, which replace keys of `config`
    say        gets one line before a download

    The other arguments are those of Session. Raises an InputError for an argument that cannot be,
    DownloadError where a download fails.

    >>> select_model("tiny", settings=["n_layers=3"]).config.n_layers
    3
    """
    # "torch.float32" is accepted, and torch.float32 itself
    dtype = None if dtype is None else str(dtype).removeprefix("torch.")
    device = str(device)
    if re.fullmatch(r"meta:\d+", device):  # torch numbers it, and there is one
        device = "meta"
    _check_options(seed, device, dtype, weights, threads)
    options: Keys = {"seed": seed, "device": device, "threads": threads, "dtype": dtype or "float32"}
    options["typed"] = typed_options(model, weights, config, settings)
    source = None if weights is None else str(weights)
    with about_option("settings"):
        set_keys = dict(map(parse_setting, settings))
    if callable(model) or (isinstance(model, str) and is_reference(model)):
        with about_option("model"):
            if isinstance(model, str) and model.startswith(HUGGING_FACE):
                return _select_hugging_face(model, source, _keys(config) | set_keys, say, options)
            return _select_user_model(model, source, config, set_keys, options | {"dtype": dtype})
    # With both, an impossible size may come from either.
    keys_option = None if settings and config is not None else "settings" if settings else "config"
    return _select_gpt(model, source, _keys(config) | set_keys, keys_option, say, options)


def typed_options(model: object, weights: object, config: object, settings: Sequence[str]) -> str | None:
    """Return the options that select a model on the command line; None for one that cannot be named there.

    >>> typed_options("leaky.py:GPT", None, None, ["n_layers=2"])
    '-m leaky.py:GPT --set n_layers=2'
    """
    if not isinstance(model, str | None) or not isinstance(config, str | Path | None):
        return None
    values = [
        ("-m", model),
        ("--weights", weights),
        ("--config", config),
        *(("--set", each) for each in settings),
    ]
    return " ".join(f"{name} {shlex.quote(str(value))}" for name, value in values if value is not None)


def command_for(typed: str | None, name: str, *options: str) -> str:
    """Return a command about a model that these options select; in Python, where none do.

    >>> command_for("-m leaky.py:GPT", "check", "--only causal"), command_for(None, "check", "--only causal")
    ('gptrace check -m leaky.py:GPT --only causal', 'gptrace.check(model)')
    """
    if typed is None:
        return "".join(("gptrace.", name, "(model)"))  # an f-string would be a message to translate
    return " ".join(filter(None, ("gptrace", name, typed, *options)))


def check_seed(seed: object) -> None:
    """Raise OptionError for a value that torch takes for no seed."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise OptionError(f"seed is {seed!r}", "pick a whole number", option="seed")
    if not -(2**63) <= seed < 2**64:
        problem = f"seed {quoted_value(seed)} does not fit into 64 bits"
        raise OptionError(problem, "pick a seed from 0 to 2**64 - 1", option="seed")


def _check_options(seed: object, device: str, dtype: str | None, weights: object, threads: object) -> None:
    check_seed(seed)
    if not may_be_device(device):
        raise DeviceError(f"{device!r} is not a device", f"pick one of {', '.join(DEVICES)}, or cuda:N")
    if dtype not in (None, AUTO, *DTYPES):
        raise OptionError(
            f"{dtype!r} is not a dtype", f"pick one of {', '.join(DTYPES)}, or auto", option="dtype"
        )
    if weights is not None and (not isinstance(weights, str | Path) or not str(weights)):
        raise OptionError(f"weights are {weights!r}", _WEIGHTS_HINT, option="weights")
    if threads is not None and (type(threads) is not int or not 1 <= threads <= _MAX_THREADS):
        hint = f"give a whole number from 1 to {_MAX_THREADS}"
        raise OptionError(f"threads is {threads!r}", hint, option="threads")


def _select_gpt(
    model: str | None, weights: str | None, keys: Keys, keys_option: str | None, say: Say, options: Keys
) -> GPTSelection:
    if weights in (None, RANDOM, PRETRAINED):
        with about_option("model"):
            name, base = preset(model or DEFAULT_MODEL)
        if weights != RANDOM and name in PACKAGED:
            return _select_packaged(name, base, keys, keys_option, options)
    if weights in (None, RANDOM):
        with about_option(keys_option):
            changed = GPTConfig.from_mapping(keys, base=base)
        return GPTSelection(name=name if changed == base else f"{name}, changed", config=changed, **options)
    with about_option(keys_option):
        check_keys(keys)
    if weights == PRETRAINED:
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


def _select_packaged(
    name: str, trained: GPTConfig, keys: Keys, keys_option: str | None, options: Keys
) -> GPTSelection:
    with about_option(keys_option):
        check_keys(keys)
        check_fits(name, trained, keys)
        config = GPTConfig.from_mapping(keys, base=trained)
    if options["device"] == "meta":  # shapes without numbers: nothing is loaded
        return GPTSelection(name=name, config=config, **options)
    origin = PACKAGED[name][1]
    return GPTSelection(
        name=name, weights=packaged_file(name), preset=trained, keys=keys, origin=origin, **options
    )


def _select_user_model(
    model: str | Factory, weights: str | None, config: object, settings: Keys, options: Keys
) -> UserModelSelection:
    target = parse_reference(model, "--model") if isinstance(model, str) else model
    name = target.name if isinstance(target, ObjectReference) else getattr(model, "__name__", "model")
    if weights == PRETRAINED:
        hint = "give the path of a state dict of that model"
        raise OptionError(f"there are no published weights for {name}", hint)
    path = None if weights in (None, RANDOM) else _existing(str(weights))
    if isinstance(config, str | Path):
        text = str(config)
        with about_option("config"):
            config = parse_reference(text, "--config") if is_reference(text) else read_config_file(Path(text))
    return UserModelSelection(name=name, target=target, config=config, keys=settings, weights=path, **options)


def _select_hugging_face(
    model: str, weights: str | None, keys: Keys, say: Say, options: Keys
) -> HuggingFaceSelection:
    location = model.removeprefix(HUGGING_FACE)
    if not location:
        hint = "write hf:FOLDER, or hf:OWNER/NAME for one on the hub"
        raise ConfigError("--model hf: names no model", hint)
    random = weights not in (None, PRETRAINED)  # a weight file replaces the random weights
    path = _existing(str(weights)) if random and weights != RANDOM else None
    folder, origin = hub.model_folder(location, say, weights=not random and options["device"] != "meta")
    name = Path(location).name or location
    return HuggingFaceSelection(
        name=name, folder=folder, random=random, keys=keys, weights=path, origin=origin, **options
    )


@about_option("config")
def _keys(config: object) -> Keys:
    """Return the keys and values of a configuration for a GPTModel or a model of transformers."""
    if config is None:
        return {}
    if isinstance(config, GPTConfig):
        return config.to_dict()
    if isinstance(config, Mapping):
        return dict(config)
    if not isinstance(config, str | Path):
        raise ConfigError(f"config is of type {type(config).__name__}", "give a file, a dict or a GPTConfig")
    if str(config).rpartition(":")[0].endswith(SUFFIXES):
        raise ConfigError(
            f"--config {config}: an object in a file can configure only a model of your own",
            "give a .json or .toml file of configuration keys, or use --model FILE.py:OBJECT",
        )
    return read_config_file(Path(config))


def _existing(weights: str) -> Path:
    try:
        if Path(weights).exists():
            return Path(weights)
    except (OSError, ValueError) as error:  # the name is too long, or a folder may not be searched
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise WeightsError(f"--weights {quoted_value(weights)}: {reason}", _WEIGHTS_HINT) from None
    raise WeightsError(f"--weights {weights}: no such file or folder", _WEIGHTS_HINT)
