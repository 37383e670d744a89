"""Somebody's own nn.Module, class or factory: imported, and called."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from gptrace.errors import ConfigError
from gptrace.model.architecture import SIZE_NAMES, Architecture
from gptrace.model.meta_device import hollow, meta_copy
from gptrace.model.quiet_torch import torch
from gptrace.model.reference import ObjectReference
from gptrace.model.selection import UserModelSelection
from gptrace.model.user_code_errors import user_code_errors
from gptrace.model.user_model_call import Call, plan
from gptrace.wording import suggestion

Module = torch.nn.Module


def build_user_model(
    choice: UserModelSelection, device: torch.device
) -> tuple[Module, Architecture | None, str]:
    """Return the module that `choice` means, how to build it at other sizes, and how it was made.

    The random numbers are seeded before its code is imported and again right before it is called; the
    caller's stay as they were. Raises ConfigError for what cannot be called, ModelCodeError for what its
    code raises.
    """
    with _own_random_numbers(choice.seed), _same_folder():
        target = _resolved(choice.target)
        config = _resolved(choice.config)
        if isinstance(target, Module):
            if config is not None or choice.keys:
                raise ConfigError(
                    f"{choice.name} is a module that is built already, so it takes no configuration",
                    "drop --config and --set, or name its class",
                )
            module = meta_copy(target) if device.type == "meta" else target
            return module, None, "its own code"
        if isinstance(target, ModuleType):
            raise ConfigError(f"{choice.name} is a Python module, not a model", _what_there_is(target, ""))
        if not callable(target):
            raise ConfigError(
                f"{choice.name} is a {type(target).__name__}, neither a module nor something that makes one",
                "name a torch.nn.Module, its class, or a function that returns one",
            )
        with user_code_errors(f"while the configuration of {choice.name} was made"):
            call = plan(target, choice.name, config, choice.keys)
        module = _made(call, choice, device)
    how = call.how
    if call.is_plain and isinstance(choice.target, ObjectReference):
        own = _configurations(choice.target)
        how += f" (--config {own[0]} would take the file's own)" if own else ""
    return module, Architecture(call.settings, lambda changes: _again(call, changes, module)), how


def _made(call: Call, choice: UserModelSelection, device: torch.device) -> Module:
    torch.manual_seed(choice.seed)
    with user_code_errors(f"while {choice.name} was made", hint=_advice(choice) if call.is_plain else ""):
        if device.type == "meta":
            with hollow():
                module = call.make({})
        else:
            module = call.make({})
    if not isinstance(module, Module):
        raise ConfigError(
            f"{choice.name} returned a {type(module).__name__}, not a torch.nn.Module",
            "name a class of modules, or a function that returns one",
        )
    return module


def _again(call: Call, changes: Mapping[str, int], first: Module) -> Module:
    made = call.make(changes)
    if not isinstance(made, Module):
        raise TypeError("no module")
    known = {id(one) for one in (first, *first.parameters())}
    if any(id(one) in known for one in (made, *made.parameters())):
        raise TypeError("the same module again")
    return made


def _resolved(value: object) -> object:
    return find_object(value) if isinstance(value, ObjectReference) else value


def find_object(reference: ObjectReference) -> object:
    """Import what a reference means; the folder of a file can be imported from, as with `python FILE.py`."""
    with user_code_errors(f"while {reference.file or reference.module} was imported"):
        found: object = _from_file(reference.file) if reference.file else _from_name(reference)
        for part in reference.name.split("."):
            if not hasattr(found, part):
                raise ConfigError(f"{reference.text}: there is no {part}", _what_there_is(found, part))
            found = getattr(found, part)
    return found


def _from_file(file: Path) -> ModuleType:
    folder, name = str(file.resolve().parent), file.stem
    path = str(file.resolve())
    for known in list(sys.modules.values()):
        if getattr(known, "__file__", None) == path and getattr(known, "__name__", "") != "__main__":
            return known
    # Under its own name, so that other files of its folder import the same one; unless that is a library's.
    if name in sys.modules or _is_importable(name):
        name = f"gptrace_own_{name}_{abs(hash(path)):x}"
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _from_name(reference: ObjectReference) -> ModuleType:
    name = str(reference.module)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as with `python -m`
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise  # it is there, and what it imports is not
        raise ConfigError(
            f"{reference.text}: there is no module {error.name!r}",
            "is it installed in this environment, or in this folder? For a file: FILE.py:OBJECT",
        ) from None


def _what_there_is(place: object, wanted: str) -> str:
    """Return a hint with what could have been meant: modules, and what makes modules."""
    if not isinstance(place, ModuleType):
        return "look at how the name is spelled"
    public = {name: value for name, value in vars(place).items() if not name.startswith("_")}
    made_here = [
        name
        for name, value in public.items()
        if isinstance(value, Module)
        or (callable(value) and getattr(value, "__module__", place.__name__) == place.__name__)
    ]
    return suggestion(wanted, made_here[:12]) if made_here else "it defines no class and no function"


@contextmanager
def _own_random_numbers(seed: int) -> Iterator[None]:
    started: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    used = list(range(torch.cuda.device_count())) if started else []
    with torch.random.fork_rng(devices=used):
        torch.manual_seed(seed)
        yield


@contextmanager
def _same_folder() -> Iterator[None]:
    """Come back to the current folder: code that leaves it must not change what our paths mean."""
    before = os.getcwd()
    try:
        yield
    finally:
        os.chdir(before)


def _advice(choice: UserModelSelection) -> str:
    """Say how a configuration is given, to somebody whose class did not like the one it got."""
    where = choice.target
    if not isinstance(where, ObjectReference):
        return ""
    own = _configurations(where)
    example = own[0] if own else f"{where.text.rpartition(':')[0]}:NAME, a .json or a .toml"
    return (
        f"the configuration is GPT_CONFIG_124M as a plain dict unless --config gives it: --config {example}; "
        "--set KEY=VALUE changes a key"
    )


def _configurations(where: ObjectReference) -> list[str]:
    """Return references to what may be a configuration, in the module that an object was found in."""
    module = next((m for m in list(sys.modules.values()) if _is_of(m, where)), None)
    place = where.text.rpartition(":")[0]
    return [
        f"{place}:{name}"
        for name, value in vars(module or object).items()
        if (isinstance(value, dict) and SIZE_NAMES.intersection(value))
        or (isinstance(value, type) and name.lower().endswith("config"))
    ]


def _is_of(module: ModuleType, where: ObjectReference) -> bool:
    if where.file is not None:
        return getattr(module, "__file__", None) == str(where.file.resolve())
    return getattr(module, "__name__", None) == where.module
