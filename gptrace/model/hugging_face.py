"""Causal language models of transformers: loaded from a folder, or built at random from its config.json."""

from __future__ import annotations

import copy
import dataclasses
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

from gptrace.errors import ConfigError, GptraceError, WeightsError
from gptrace.model.architecture import Architecture
from gptrace.model.config import LAYER_NAMES, MOST_LAYERS, check_settings
from gptrace.model.distributed_wrappers import own_class
from gptrace.model.free_memory import check_memory
from gptrace.model.hugging_face_placement import placement_options
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.meta_device import meta_parameters
from gptrace.model.module_tree import bounded_modules
from gptrace.model.offloading import is_without_numbers
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import exclusive_random_state
from gptrace.model.selection import DTYPES, HuggingFaceSelection
from gptrace.text.hugging_face import quiet, transformers_library
from gptrace.wording import enumerated, one_line, quoted_value

Module = torch.nn.Module


def build_hugging_face(
    selection: HuggingFaceSelection, device: torch.device
) -> tuple[Module, dict[str, Any]]:
    """Return the selected model in its dtype, and where its weights come from, for reports.

    Code in the folder is never run. Raises ConfigError for a folder without a causal language model,
    WeightsError for weights that do not match it, MemoryNeededError for a model that is too large.
    """
    transformers = transformers_library()
    auto_class = transformers.AutoModelForCausalLM
    dtype = selection.dtype or "float32"
    # The dtype in config.json does not count: weights from another file would be rounded to it.
    options = {"dtype": getattr(torch, dtype), "trust_remote_code": False}
    with _loading(transformers, f"--model hf:{selection.folder}", ConfigError), interrupts_allowed():
        config = _configuration(transformers, selection)
        with meta_parameters(), bounded_modules(selection.name):
            shapes = auto_class.from_config(config, **options)
    if device.type == "meta":
        return shapes, {"source": "none"}
    count = sum(parameter.numel() for parameter in shapes.parameters())
    del shapes
    needed, what = count * DTYPES[dtype], f"{selection.name} with {count:,} parameters"
    if selection.random:
        check_memory(needed, what)
        with _loading(transformers, selection.name, ConfigError), interrupts_allowed():
            torch.default_generator.manual_seed(selection.seed)
            module = auto_class.from_config(config, **options)
        return module, {"source": "random", "seed": selection.seed} | _other_class(module)
    with ExitStack() as files:  # of weights that stay on the disk; they are removed with the module
        options |= placement_options(selection.device, device, needed, what, files)
        with _loading(transformers, f"the weights in {selection.folder}", WeightsError), interrupts_allowed():
            options |= {"config": config, "local_files_only": True, "output_loading_info": True}
            module, report = auto_class.from_pretrained(str(selection.folder), **options)
        weakref.finalize(module, files.pop_all().close)
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        hint = "is a shard missing, or are these the weights of another model?"
        raise WeightsError(f"the weights in {selection.folder} lack {enumerated(missing, 3)}", hint)
    return module, selection.origin | _other_class(module)


def _other_class(module: Module) -> dict[str, str]:
    """Return, as a fact of the weights, the class in config.json where that is not the class of the module.

    A model of another kind, such as BERT with a masked-language head, is read as the causal model of its
    family.
    """
    declared = getattr(module.config, "architectures", None)
    name = type(module).__name__
    if not isinstance(declared, list) or not declared or name in declared:
        return {}
    return {"other_class": str(declared[0])}


def hugging_face_architecture(module: Module) -> Architecture | None:
    """Return how to build a model of transformers at other sizes, or None for any other module."""
    if not is_hugging_face(module):
        return None
    module_class: Any = own_class(type(module))
    return _known_architecture(module_class, _Configuration(module.config))


def plain_settings(module: Module) -> dict[str, int | float | str]:
    """Return the settings of a model of transformers that are numbers or strings, and so fit into JSON."""
    return dict(_plain_settings(_Configuration(module.config)))


class _Configuration:
    """A configuration of transformers; it equals another that has the same settings."""

    def __init__(self, config: Any) -> None:
        self.key, self.config = (type(config), _state(config)), config

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Configuration) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _state(config: Any) -> str:
    """Return all that a configuration holds, as text, which `to_dict` takes several times as long for.

    It includes the kernels, which are no part of that dictionary and decide which operations a model runs.
    """
    state = {key: _state(item) if hasattr(item, "to_dict") else item for key, item in vars(config).items()}
    return repr(state)


@lru_cache(maxsize=16)
def _plain_settings(configuration: _Configuration) -> dict[str, int | float | str]:
    settings: dict[str, Any] = configuration.config.to_dict()
    configuration.config = None  # else it would be kept, and whatever it holds
    return {key: value for key, value in settings.items() if isinstance(value, int | float | str)}


# What is known of an architecture is kept with it, for a model that runs again and again.
@lru_cache(maxsize=16)
def _known_architecture(module_class: Any, configuration: _Configuration) -> Architecture:
    # A copy: it does not change with the user's, and holds no module.
    config = configuration.config = copy.deepcopy(configuration.config)

    @lru_cache(maxsize=2)  # each resized model is asked for its settings and then built
    def changed_configuration(changes: tuple[tuple[str, int], ...]) -> Any:
        return _changed_configuration(config, dict(changes))

    def build(changes: Mapping[str, int]) -> Module:
        # A copy, since the module may change it.
        module: Module = module_class(copy.deepcopy(changed_configuration(tuple(changes.items()))))
        return module

    def changed(changes: Mapping[str, int]) -> dict[str, Any]:
        return _settings_of_text(changed_configuration(tuple(changes.items())))

    return Architecture(_settings_of_text(config), build, changed)


def _settings_of_text(config: Any) -> dict[str, Any]:
    """Return the settings of the part that reads text: a model that also takes images has several parts.

    An attribute that the constructor computes is none; one that it takes without declaring it is.
    """
    text = getattr(config, _text_part(config) or "", config)
    arguments = _constructor_arguments(text) or {}
    computed = _constructed(text, arguments).keys() - arguments.keys() if arguments else set()
    return {key: value for key, value in text.to_dict().items() if key not in computed}


def _constructor_arguments(config: Any) -> dict[str, Any] | None:
    """Return what the constructor takes, with the values of the configuration; None if that is unknown."""
    if "__dataclass_fields__" not in vars(type(config)):  # a subclass with a constructor of its own
        return None
    values = vars(config)
    names = [field.name for field in dataclasses.fields(config) if field.init]
    return {name: values[name] for name in names if name in values}


def _text_part(config: Any) -> str | None:
    """Return the name of the part of a configuration that reads text; None where that is the whole."""
    names = ("text_config", "decoder")
    return next((name for name in names if hasattr(getattr(config, name, None), "to_dict")), None)


def _changed_configuration(config: Any, changes: Mapping[str, int]) -> Any:
    """Return a copy with changed settings of the text, and with what the configuration derives from them."""
    whole = copy.deepcopy(config)
    name = _text_part(whole)
    text = whole if name is None else getattr(whole, name)
    if name is not None:
        for key, value in vars(whole).items():
            if hasattr(value, "to_dict") and key != name:
                _make_shallow(value)  # of images and sounds, which are not run
            elif key in changes and value == getattr(text, key):  # a size of the text once more
                setattr(whole, key, changes[key])
    changed = _shorter_lists(text, changes) | dict(changes)
    for key, value in (changed | _derived(text, changed)).items():
        setattr(text, key, value)
    return whole


def _make_shallow(part: Any) -> None:
    for key in (*LAYER_NAMES, "encoder_layers"):
        if type(vars(part).get(key)) is int:
            setattr(part, key, 1)


def _shorter_lists(config: Any, changes: Mapping[str, int]) -> dict[str, Any]:
    """Return the lists with an item for each block, such as `layer_types`, cut to the new depth."""
    depth = next((key for key in changes if key in LAYER_NAMES), None)
    if depth is None:
        return {}
    before = getattr(config, depth)
    lists = {key: value for key, value in vars(config).items() if isinstance(value, list)}
    return {key: value[: changes[depth]] for key, value in lists.items() if len(value) == before}


def _constructed(config: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a configuration of the same class; none if its constructor refuses."""
    kind: Any = type(config)
    try:
        return dict(vars(kind(**copy.deepcopy(dict(arguments)))))
    except Exception:  # it checks more than its class does
        return {}


def _derived(config: Any, changes: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes that the constructor of a configuration makes of `changes`; none if it refuses."""
    arguments = _constructor_arguments(config)
    if arguments is None:
        return {}
    before, after = (_constructed(config, arguments | dict(change)) for change in ({}, changes))
    return {key: value for key, value in after.items() if type(value) is int and value != before.get(key)}


def forward_arguments(module: Module) -> dict[str, Any]:
    """Return the keyword arguments for the forward pass of a model of transformers; none for other modules.

    A single pass needs no cache of keys and values, which would only take memory. On device meta the cache
    takes none, and without it transformers would read the values of positions, which do not exist there.
    """
    if not is_hugging_face(module):
        return {}
    return {"use_cache": is_without_numbers(module)}


def is_hugging_face(module: Module) -> bool:
    """Tell whether a module is a model of transformers, without importing it."""
    # If such a model exists, this part of transformers is imported already. The package would import it when
    # asked for the class, which takes a second. A user's file may be called transformers too.
    base_class = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    return isinstance(base_class, type) and isinstance(module, base_class)


def _configuration(transformers: Any, selection: HuggingFaceSelection) -> Any:
    config = transformers.AutoConfig.from_pretrained(
        str(selection.folder), local_files_only=True, trust_remote_code=False
    )
    check_settings(selection.keys, [name for name in config.to_dict() if name[0] != "_"], selection.name)
    if config._attn_implementation not in (None, "eager", "sdpa"):
        config._attn_implementation = None  # a name like OWNER/KERNEL is code that would be fetched and run
    for key, value in selection.keys.items():
        setattr(config, key, value)
    for key, value in config.to_dict().items():
        if key in LAYER_NAMES and isinstance(value, int) and value > MOST_LAYERS:
            hint = f"a model has up to {MOST_LAYERS:,} layers; --set {key}=… changes the number"
            problem = f"the configuration of {selection.name} has {key} {quoted_value(value)}"
            raise ConfigError(problem, hint)
    return config


@contextmanager
def _loading(transformers: Any, what: str, error_class: type[GptraceError]) -> Iterator[None]:
    """Run transformers quietly, one thread at a time, and explain its errors; see `_explained`.

    The random numbers are put back. Interrupts are held, and allowed by the block.
    """
    with interrupts_held(), exclusive_random_state(), quiet(transformers), _explained(what, error_class):
        yield


@contextmanager
def _explained(what: str, error_class: type[GptraceError]) -> Iterator[None]:
    """Turn any exception in the block into an `error_class` that says `what` failed, and why."""
    try:
        yield
    except (GptraceError, MemoryError):
        raise
    except Exception as error:  # several libraries raise many classes here
        if "trust_remote_code" in str(error):
            problem = f"{what}: the model comes with code of its own, which gptrace never runs"
            raise error_class(problem, "use a model whose architecture is part of transformers") from None
        hint = "is it a causal language model, and does this version of transformers support it?"
        raise error_class(f"{what}: {type(error).__name__}: {one_line(error)}", hint) from None
