"""The manifest of a folder of results: the facts that a run must share to add to the folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gptrace.errors import OptionError, OutputError
from gptrace.input_files import InputFile
from gptrace.model.config import GPTConfig
from gptrace.model.selection import DTYPES, ModelSelection
from gptrace.record.writing import to_json
from gptrace.wording import shortened

# Programs that read a folder of JSON Lines or Parquet leave out names that begin with an underscore or a dot.
NAME = "_manifest.json"
_CHUNK = 1 << 20
_LARGEST = 1 << 20  # bytes


def facts_of(selection: ModelSelection, task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that decide the results: the model, the hashes of its weights, and the options."""
    selected = {name: getattr(selection, name) for name in ("name", "seed", "dtype", "typed", "keys")}
    config = getattr(selection, "config", None)
    if isinstance(config, GPTConfig):
        selected["config"] = asdict(config)
    return {
        "task": task,
        "model": selected | {"files": _hashes(selection)},
        "options": {name: value for name, value in options.items() if value is not None},
    }


def check_or_write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest of a new folder; raise an OptionError if the folder is of a run with other facts."""
    path = folder / NAME
    facts = json.loads(to_json(facts))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            before = _read(folder)
        elif any(folder.iterdir()):
            raise OptionError(f"--to {folder}: the folder holds other files", "name a new or empty folder")
        else:
            temporary = path.with_suffix(".new")
            temporary.write_text(to_json(facts, indent=2) + "\n", encoding="utf-8")
            temporary.replace(path)
            return
    except (OSError, ValueError) as error:
        raise cannot_be_used(folder, error) from None
    if before != facts:
        key, old, new = next(_differences(before, facts, ""))
        raise OptionError(
            f"--to {folder} holds results of another run: {key} was {old}, and is {new}",
            "repeat the options of that run to continue it, or name a new folder",
        )


def cannot_be_used(folder: Path, error: Exception) -> OutputError:
    """Return the error about a folder that cannot be read or written."""
    problem = getattr(error, "strerror", None) or str(error)
    return OutputError(f"--to {folder} cannot be used: {problem}", "name another folder")


def dtype_of(folder: Path) -> str | None:
    """Return the dtype in the manifest of a folder; None where there is none."""
    try:
        dtype = _read(folder)["model"]["dtype"]
    except (OptionError, KeyError, TypeError):
        return None
    return dtype if dtype in DTYPES else None


def _read(folder: Path) -> Any:
    """Return the manifest of a folder; raise an OptionError for one that is not readable."""
    name, hint = f"--to {folder}: its {NAME}", "name a new or empty folder"
    text = InputFile(folder / NAME, name, hint, OptionError).text(_LARGEST)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{name} is damaged: {error}", hint) from None


def _differences(before: Any, now: Any, key: str) -> Any:
    """Yield each value that differs, by its keys with dots between them."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *(name for name in now if name not in before)]:
            inside = f"{key}.{name}".lstrip(".")
            yield from _differences(before.get(name), now.get(name), inside)
    elif before != now:
        yield key, *(shortened(to_json(value), 60) for value in (before, now))


def _hashes(selection: ModelSelection) -> dict[str, str]:
    """Return the SHA-256 of each file that the model is made of, by its name, or its path in the folder."""
    references = [getattr(selection, name, None) for name in ("target", "config")]
    places = [selection.weights, getattr(selection, "folder", None)]
    places += [getattr(reference, "file", None) for reference in references]
    hashes: dict[str, str] = {}
    for place in places:
        if place is not None:
            files, folder = (sorted(place.rglob("*")), place) if place.is_dir() else ([place], place.parent)
            hashes |= {file.relative_to(folder).as_posix(): _sha256(file) for file in files if file.is_file()}
    return hashes


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
