"""The user's own module, class or factory: imported, and called to build the model."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import linecache
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from types import ModuleType

from gptrace.errors import ConfigError
from gptrace.model.architecture import SIZE_NAMES, Architecture
from gptrace.model.configurations import settings_of
from gptrace.model.devices import accelerators_in_use
from gptrace.model.free_memory import check_memory
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.meta_device import fill_meta_parameters, meta_copy, meta_parameters
from gptrace.model.module_tree import check_submodules
from gptrace.model.notebooks.loading import NotebookLoader
from gptrace.model.notebooks.missing import missing_object
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import exclusive_random_state
from gptrace.model.reference import ObjectReference, parse_reference
from gptrace.model.selection import UserModelSelection
from gptrace.model.unread_keys import check_keys_are_read
from gptrace.model.user_code_errors import short_path, user_code_errors
from gptrace.model.user_model_construction import Construction, plan_construction
from gptrace.wording import suggestion

Module = torch.nn.Module


def build_user_model(
    selection: UserModelSelection, device: torch.device
) -> tuple[Module, Architecture | None, str]:
    """Return the selected module, how to build it at other sizes, and a description of how it was built.

    On device meta its parameters are on that device; otherwise its code decides where they are. The random
    number generators are seeded before the code is imported and again right before it is called; afterwards
    they are as they were. Raises ConfigError for an object that is no model and builds none, ModelCodeError
    where the code raises.
    """
    # User code may leave the working directory, on which relative paths depend; chdir returns to it.
    with (
        interrupts_held(), _seeded_generators(selection.seed), chdir(os.getcwd()), interrupts_allowed(),
    ):  # fmt: skip
        target = resolved_object(selection.target)
        config = resolved_object(selection.config)
        if isinstance(target, Module):
            if config is not None or selection.keys:
                hint = "drop --config and --set, or name its class"
                raise ConfigError(f"{selection.name} is built already, so it takes no configuration", hint)
            module = meta_copy(target) if device.type == "meta" else target
            return module, None, "its own code"
        if isinstance(target, ModuleType):
            hint = _hint_beside(selection.target, target)
            raise ConfigError(f"{selection.name} is a Python module, not a model", hint)
        if not callable(target):
            problem = f"{selection.name} is of type {type(target).__name__}, and builds no module"
            raise ConfigError(problem, "name a torch.nn.Module, its class, or a function that returns one")
        with user_code_errors(f" (while the configuration of {selection.name} was built)"):
            construction = plan_construction(target, selection.name, config, selection.keys)
            names = _configurations(selection.target) if construction.is_default_config else []
            if len(names) == 1:
                construction = _with_the_only_configuration(target, selection, names[0])
        module = _build(construction, selection, device)
    description = construction.description
    if len(names) > 1:
        description += f" (--config {names[0]} would use the file's own)"
    rebuild = partial(_rebuild, construction, module)
    return module, Architecture(construction.settings, rebuild, construction.changed), description


def _with_the_only_configuration(
    target: Callable[..., object], selection: UserModelSelection, name: str
) -> Construction:
    """Plan to build a model with the one configuration that its file has."""
    config = resolved_object(parse_reference(name, "--config"))
    construction = plan_construction(target, selection.name, config, selection.keys)
    call = construction.description.partition(" being ")[0]
    kind = f"{name}, the only configuration there"
    return dataclasses.replace(construction, description=" being ".join((call, kind)))


def _build(construction: Construction, selection: UserModelSelection, device: torch.device) -> Module:
    hint = _configuration_hint(selection) if construction.is_default_config else ""
    if device.type != "meta":
        _check_memory(construction, selection.name)
    torch.manual_seed(selection.seed)
    on_device = meta_parameters() if device.type == "meta" else nullcontext()
    where, settings = f" (while {selection.name} was built)", construction.settings
    with user_code_errors(where, hint=hint, settings=settings), on_device:
        module = construction.build({})
    if not isinstance(module, Module):
        problem = f"{selection.name} returned a value of type {type(module).__name__}, not a torch.nn.Module"
        raise ConfigError(problem, "name a subclass of torch.nn.Module, or a function that returns a module")
    check_submodules(module)
    check_keys_are_read(construction, module, selection.name)
    return module if device.type == "meta" else fill_meta_parameters(module)


def _check_memory(construction: Construction, name: str) -> None:
    """Raise a MemoryNeededError for a model that does not fit, before its memory is touched.

    A model whose two largest sizes make a large matrix is built on device meta first, to count its bytes.
    """
    sizes = sorted(size for size in construction.settings.values() if type(size) is int and size > 0)
    if math.prod(sizes[-2:]) < _LARGE_MATRIX:
        return
    try:
        with meta_parameters(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            module = construction.build({})
        tensors = tuple(module.parameters()) if isinstance(module, Module) else ()
    except Exception:  # the code may need values; it says so when it is built
        return
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor.is_meta)
    count = sum(tensor.numel() for tensor in tensors)
    check_memory(needed, f"{name} with {count:,} parameters")


def _rebuild(construction: Construction, first: Module, changes: Mapping[str, int]) -> Module:
    """Build the model again; raise TypeError for a module that is `first`, or shares its parameters.

    A factory may cache its module. To run that at other sizes would change the user's own.
    """
    module = construction.build(changes)
    if not isinstance(module, Module):
        raise TypeError("no module")
    ids = {id(item) for item in (first, *first.parameters())}
    if any(id(item) in ids for item in (module, *module.parameters())):
        raise TypeError("the same module again")
    return fill_meta_parameters(module)


def resolved_object(reference: object) -> object:
    """Import and return the object that a reference names; return any other object as it is."""
    if not isinstance(reference, ObjectReference):
        return reference
    with user_code_errors(f" (while {_shown_name(reference)} was imported)"):
        target: object = _from_file(reference.file) if reference.file else _from_name(reference)
        for part in reference.name.split("."):
            if not hasattr(target, part):
                missing = missing_object(reference, part, getattr(target, "__dict__", {}))
                if missing is not None:
                    raise missing
                is_config = reference.option == "--config"
                hint = _configurations_hint(reference, part) if is_config else _names_hint(target, part)
                raise ConfigError(f"{reference.text}: there is no {part}", hint)
            target = getattr(target, part)
    return target


def _shown_name(reference: ObjectReference) -> str:
    return short_path(str(reference.file)) if reference.file else str(reference.module)


# Elements: the embedding of no common model has as many.
_LARGE_MATRIX = 1 << 30
# The files that were loaded here, and how they were saved: a later call reads a file that has changed again.
_SAVED_WHEN_LOADED: dict[str, tuple[int, int]] = {}


def _from_file(file: Path) -> ModuleType:
    path, name = str(file.resolve()), file.stem
    saved = _saved(path)
    for key, loaded in list(sys.modules.items()):
        if getattr(loaded, "__file__", None) == path and getattr(loaded, "__name__", "") != "__main__":
            if _SAVED_WHEN_LOADED.get(path, saved) == saved:
                return loaded
            del sys.modules[key]  # loaded here, and saved again since, as from a notebook
    # The file's own name, so that other files of its folder import the same module; another name if a library
    # has that one.
    if name in sys.modules or _is_importable(name):
        name = f"gptrace_user_{name}_{abs(hash(path)):x}"
    _add_to_path(os.path.dirname(path))  # as `python FILE.py` does
    loader = NotebookLoader(file, short_path(path)) if file.suffix == ".ipynb" else None
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _SAVED_WHEN_LOADED[path] = saved
    linecache.checkcache(path)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _saved(path: str) -> tuple[int, int]:
    """Return what changes when a file is saved."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


def _add_to_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _from_name(reference: ObjectReference) -> ModuleType:
    name = str(reference.module)
    _add_to_path(os.getcwd())  # as `python -m` does
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise  # the module exists, but it imports one that does not
        hint = "is it installed in this environment, or in this folder? For a file: FILE.py:OBJECT"
        raise ConfigError(f"{reference.text}: there is no module {error.name!r}", hint) from None


def modules_beside(reference: ObjectReference) -> list[ObjectReference]:
    """Return references to the other modules, and classes of modules, where an object is defined.

    Those that are defined last come first: a model stands after its blocks.
    """
    names = [
        name for name, value in _names_beside(reference).items()
        if name != reference.name and not name.startswith("_")
        and (isinstance(value, Module) or (isinstance(value, type) and issubclass(value, Module)))
    ]  # fmt: skip
    prefix = reference.text.rpartition(":")[0]
    return [dataclasses.replace(reference, text=f"{prefix}:{name}", name=name) for name in reversed(names)]


def _hint_beside(reference: object, named: ModuleType) -> str:
    """Return a hint that lists what can be named in place of a Python module.

    That is what its file defines, and not what it imports; or, of a package, what the named part defines.
    """
    assert isinstance(reference, ObjectReference)  # no other target is a Python module
    home = _module_of(reference)
    if home is not None and named.__name__.startswith(f"{home.__name__}."):
        return _names_hint(named, "", f"{reference.name}.")
    return _names_hint(home, "")


def _names_hint(container: object, unknown: str, prefix: str = "") -> str:
    """Return a hint that lists the models, classes and functions that a Python module defines.

    `prefix` leads to the module from the one that was named.
    """
    if not isinstance(container, ModuleType):
        return "check the spelling of the name"
    home = container.__name__
    public = [(name, value) for name, value in vars(container).items() if not name.startswith("_")]
    names = [
        prefix + name
        for name, value in public
        if isinstance(value, Module) or (callable(value) and getattr(value, "__module__", home) == home)
    ]
    return suggestion(unknown, names[:12]) if names else "it defines no class and no function"


@contextmanager
def _seeded_generators(seed: int) -> Iterator[None]:
    """Seed the random number generators in the block, of the CPU and of GPUs in use; then restore them."""
    with exclusive_random_state(accelerators_in_use()):
        torch.manual_seed(seed)
        yield


def _configurations_hint(reference: ObjectReference, unknown: str) -> str:
    """Return a hint that lists what may be a configuration where an unknown one was looked for."""
    names = [each.rpartition(":")[2] for each in _configurations(reference)]
    if not names:
        return "it defines no configuration: no dict with sizes such as emb_dim, and no class called …Config"
    return suggestion(unknown, names[:12])


def _configuration_hint(selection: UserModelSelection) -> str:
    """Return a hint how to give a configuration, for a class that failed with the default one."""
    reference = selection.target
    if not isinstance(reference, ObjectReference):
        return ""
    names = _configurations(reference)
    example = names[0] if names else f"{reference.text.rpartition(':')[0]}:NAME, a .json or a .toml file"
    return (
        f"without --config the configuration is a plain dict, GPT_CONFIG_124M; try --config {example}; "
        "--set KEY=VALUE changes a key"
    )


def _configurations(reference: object) -> list[str]:
    """Return references to what may be a configuration in the Python module of an object."""
    if not isinstance(reference, ObjectReference):
        return []
    prefix = reference.text.rpartition(":")[0]
    names = _names_beside(reference).items()
    return [f"{prefix}:{name}" for name, value in names if _may_configure(name, value)]


def _may_configure(name: str, value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(SIZE_NAMES.intersection(value))
    if isinstance(value, type):
        fields = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
        return name.lower().endswith("config") or any(field.name in SIZE_NAMES for field in fields)
    is_named_so = name.lower().endswith(("config", "cfg"))
    return is_named_so and not callable(value) and bool(SIZE_NAMES.intersection(settings_of(value)))


def _names_beside(reference: ObjectReference) -> Mapping[str, object]:
    """Return what the Python module of an object defines and imports; nothing where it is not loaded."""
    module = _module_of(reference)
    return {} if module is None else vars(module)


def _module_of(reference: ObjectReference) -> ModuleType | None:
    return next((m for m in list(sys.modules.values()) if _is_module_of(reference, m)), None)


def _is_module_of(reference: ObjectReference, module: ModuleType) -> bool:
    if reference.file is not None:
        return getattr(module, "__file__", None) == str(reference.file.resolve())
    return getattr(module, "__name__", None) == reference.module
