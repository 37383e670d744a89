"""A path → named tensors, and the settings stored with them. Independent of any model.

Reads safetensors and PyTorch's format, a single file or shards. A pickle never runs code.
"""

from __future__ import annotations

import json
import os
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from gptrace.errors import WeightsError
from gptrace.model.quiet_torch import torch

_HINT = "give a folder with model.safetensors or pytorch_model.bin, or a .safetensors, .bin, .pt or .pth file"
_AGAIN = "download it again, completely"
_CONVERT = (
    "save model.state_dict() instead of the whole model, best as safetensors, where the file was made: "
    "safetensors.torch.save_file(model.state_dict(), ...)"
)
# The limit of safetensors itself: a larger number at the start of a file is not the size of a header.
_HEADER_LIMIT = 100_000_000
_FOLDER_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """The content of a path: tensors by name, and the settings in config.json or in the checkpoint."""

    path: Path
    tensors: dict[str, torch.Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_weights(path: Path) -> WeightFile:
    """Read the file or folder at `path`; raise WeightsError if it holds no weights."""
    try:
        return _read_folder(path) if path.is_dir() else _read_single(path)
    except OSError as error:
        raise WeightsError(f"--weights {path}: {error.strerror or error}", _HINT) from None


def _read_folder(folder: Path) -> WeightFile:
    file = next((folder / name for name in _FOLDER_NAMES if (folder / name).exists()), None)
    if file is None:
        raise WeightsError(f"--weights {folder}: the folder holds none of {', '.join(_FOLDER_NAMES)}", _HINT)
    return _read_single(file)


def _read_single(path: Path) -> WeightFile:
    if path.is_file() and path.stat().st_size == 0:
        raise WeightsError(f"--weights {path}: the file is empty", _HINT)
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    tensors, settings = _state_dict(_read_file(path), path)
    return WeightFile(path, tensors, settings or _config_beside(path.parent))


def _read_shards(index: Path) -> WeightFile:
    weight_map = _weight_map(index)
    tensors: dict[str, torch.Tensor] = {}
    for shard in _shards(index, weight_map):
        tensors.update(_state_dict(_read_file(shard), shard)[0])
    absent = [name for name in weight_map if name not in tensors]
    if absent:
        raise WeightsError(f"--weights {index}: it lists {absent[0]}, which no shard holds", _AGAIN)
    return WeightFile(index, tensors, _config_beside(index.parent))


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = _read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"--weights {index}: it has no weight_map", _AGAIN)
    return {name: str(shard) for name, shard in weight_map.items()}


def _shards(index: Path, weight_map: Mapping[str, str]) -> list[Path]:
    names = sorted(set(weight_map.values()))
    for name in names:
        # A shard must be in the folder of its index: a path could lead anywhere.
        if Path(name).name != name:
            raise WeightsError(f"--weights {index}: the shard {name!r} is not beside it", _AGAIN)
        if not (index.parent / name).exists():
            raise WeightsError(f"--weights {index}: the shard {name} is missing", _AGAIN)
    return [index.parent / name for name in names]


def _config_beside(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    return _read_json(path) if path.is_file() else {}


def _must_be_file(path: Path) -> None:
    if not path.is_file():  # reading a pipe would block
        raise WeightsError(f"--weights {path} is not a file", _HINT)


def _read_json(path: Path) -> dict[str, Any]:
    _must_be_file(path)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"--weights: {path} is not JSON: {error}", _AGAIN) from None
    if not isinstance(settings, dict):
        raise WeightsError(f"--weights: {path} holds no keys and values", _AGAIN)
    return settings


def _read_file(path: Path) -> Any:
    _must_be_file(path)
    with path.open("rb") as file:
        start = file.read(16)
    return _read_safetensors(path) if _looks_like_safetensors(path, start) else _read_pickle(path)


def _looks_like_safetensors(path: Path, start: bytes) -> bool:
    """Tell whether a file is safetensors, which starts with 8 bytes of length and then a JSON object."""
    return path.suffix == ".safetensors" or (len(start) >= 9 and start[8:9] == b"{" and start[:2] != b"PK")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    size = os.path.getsize(path)
    with path.open("rb") as file:
        start = file.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
        raise WeightsError(
            f"--weights {path}: the header claims {length} bytes of a file of {size}",
            "the file is truncated or not safetensors; download it again",
        )
    try:
        # Each tensor is a view of the memory-mapped file.
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a safe_open cannot be iterated
    except SafetensorError as error:
        raise WeightsError(
            f"--weights {path}: {error}", "the file is truncated or damaged; download it again"
        ) from None


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below replaces torch's advice on old pickles
            return _load_tensors(path)
    except UnpicklingError as error:
        # "Unsupported global: GLOBAL posix.system was not an allowed global by default."
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise WeightsError(
                f"--weights {path}: the file wants to run {refused.group(1)}, so it was not loaded", _CONVERT
            ) from None
        raise WeightsError(
            f"--weights {path}: neither safetensors nor a PyTorch file of tensors alone", _CONVERT
        ) from None
    except (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"--weights {path}: it cannot be read: {reason}",
            "the file is truncated or damaged; download it again",
        ) from None


def _load_tensors(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap can only be used" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)  # PyTorch's format before 1.6


def _state_dict(loaded: Any, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors and the settings in a saved object: a state dict, or a dict that contains one."""
    settings: dict[str, Any] = {}
    if isinstance(loaded, Mapping):
        for key in ("model_args", "config"):
            if isinstance(loaded.get(key), Mapping):
                settings = dict(loaded[key])
                break
        for key in ("model", "model_state_dict", "state_dict"):
            if isinstance(loaded.get(key), Mapping):
                loaded = loaded[key]
                break
        tensors = {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
        for name, value in tensors.items():
            if value.layout is not torch.strided or value.is_meta or value.is_quantized:
                kind = "meta" if value.is_meta else str(value.layout).removeprefix("torch.")
                raise WeightsError(
                    f"--weights {path}: {name} is a {kind} tensor", "save it dense, in floating point"
                )
        if tensors:
            return {str(name): value for name, value in tensors.items()}, settings
    raise WeightsError(
        f"--weights {path}: it holds no state dict, only a {type(loaded).__name__}",
        "save one with torch.save(model.state_dict(), path)",
    )
