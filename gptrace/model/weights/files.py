"""A path → named tensors, and the settings stored with them. Independent of any model.

Reads safetensors and PyTorch's format, a single file or shards. A pickle never runs code.
"""

from __future__ import annotations

import errno
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from gptrace.errors import WeightsError
from gptrace.input_files import InputFile
from gptrace.model.quiet_torch import torch
from gptrace.model.weights.torch_files import check_torch_file
from gptrace.wording import one_line, quoted_value, readable_bytes

Tensors = dict[str, torch.Tensor]
_HINT = "give a folder with model.safetensors or pytorch_model.bin, or a .safetensors, .bin, .pt or .pth file"
_AGAIN = "download it again, completely"
_DAMAGED = "the file is truncated or damaged; download it again"
_CONVERT = (
    "save model.state_dict() instead of the whole model, best as safetensors, where the file was made: "
    "safetensors.torch.save_file(model.state_dict(), ...)"
)
# The limit of safetensors itself: a larger number at the start of a file is not the size of a header.
_HEADER_LIMIT = 100_000_000
_JSON_LIMIT = 64 << 20  # bytes of an index of shards; those of the largest models have 10 MiB
# A mask may be stored once and expanded; a weight has all its numbers.
_REPEATED_LIMIT = 64 << 20
_DTYPES = frozenset(
    ("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F8_E5M2", "F8_E4M3", "F8_E8M0",
     "F16", "BF16", "F32", "F64", "C64")
)  # fmt: skip
_FILES = ("model.safetensors", "pytorch_model.bin")
_FOLDER_NAMES = [name + suffix for name in _FILES for suffix in ("", ".index.json")]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """The content of a path: tensors by name, and the settings in config.json or in the checkpoint."""

    tensors: Tensors
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_weights(path: Path) -> WeightFile:
    """Read the file or folder at `path`; raise WeightsError if it holds no weights."""
    try:
        files = [path / name for name in _FOLDER_NAMES if (path / name).exists()] if path.is_dir() else [path]
        if not files:
            raise _error(path, f"the folder holds none of {', '.join(_FOLDER_NAMES)}")
        file = files[0]
        tensors, settings = _read_shards(file) if file.name.endswith(".index.json") else _read_file(file)
        beside = file.parent / "config.json"
        return WeightFile(tensors, settings or (_read_json(beside) if beside.is_file() else {}))
    except OSError as error:
        raise _error(path, str(error.strerror or error)) from None


def _error(path: Path, problem: str, hint: str = _HINT) -> WeightsError:
    return WeightsError(f"--weights {path}: {problem}", hint)


def _read_shards(index: Path) -> tuple[Tensors, dict[str, Any]]:
    """Return each tensor from the shard that the index names for it: another one may hold a stale copy.

    A tensor that the index does not list is taken, too, as transformers does.
    """
    weight_map = _read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise _error(index, "it has no weight_map", _AGAIN)
    tensors: Tensors = {}
    for shard in sorted(set(map(str, weight_map.values()))):
        # A shard must be in the folder of its index: a path could lead anywhere.
        if Path(shard).name != shard:
            raise _error(index, f"the shard {shard!r} is not beside it", _AGAIN)
        if not (index.parent / shard).exists():
            raise _error(index, f"the shard {shard} is missing", _AGAIN)
        held = _read_file(index.parent / shard)[0]
        tensors.update({name: held[name] for name in held if weight_map.get(name, shard) == shard})
    absent = next((name for name in weight_map if name not in tensors), None)
    if absent is not None:
        problem = f"it lists {absent} in {weight_map[absent]}, which does not hold it"
        raise _error(index, problem, _AGAIN)
    return tensors, {}


def _file(path: Path) -> InputFile:
    return InputFile(path, f"--weights {path}", _HINT, WeightsError)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(_file(path).text(_JSON_LIMIT))
    except (ValueError, RecursionError) as error:
        raise _error(path, f"it is not JSON: {one_line(error)}", _AGAIN) from None
    if not isinstance(settings, dict):
        raise _error(path, "it holds no keys and values", _AGAIN)
    return settings


def _read_file(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors of a file, and the settings that are stored with them."""
    if not _file(path).size():
        raise _error(path, "the file is empty")
    with path.open("rb") as file:
        start = file.read(9)
    # Safetensors starts with 8 bytes of length and then a JSON object; PK is the start of PyTorch's format.
    is_safetensors = path.suffix == ".safetensors" or (start[8:] == b"{" and start[:2] != b"PK")
    return _state_dict(_read_safetensors(path, start[:8]) if is_safetensors else _read_pickle(path), path)


def _read_safetensors(path: Path, start: bytes) -> Tensors:
    from safetensors import SafetensorError, safe_open

    size = path.stat().st_size
    length = int.from_bytes(start, "little") if len(start) == 8 else 0
    if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
        raise _error(
            path,
            f"the header claims {length} bytes of a file of {size}",
            "the file is truncated or not safetensors; download it again",
        )
    try:
        # Each tensor is a view of the memory-mapped file.
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a safe_open cannot be iterated
    except SafetensorError as error:
        # The library calls a type that it does not know a fault of the header.
        problem = _unreadable_tensor(path, length)
        if problem:
            raise _error(path, problem, "save it in float32, float16 or bfloat16") from None
        raise _error(path, one_line(error), _DAMAGED) from None


def _unreadable_tensor(path: Path, length: int) -> str:
    """Return which tensor of a whole safetensors file has a type that cannot be read, else nothing."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(8 + length)[8:])
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        size = max(int(entry["data_offsets"][1]) for entry in tensors.values())
        kinds = {name: str(entry["dtype"]) for name, entry in tensors.items()}
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ""
    if path.stat().st_size != 8 + length + size:
        return ""
    unknown = [name for name, kind in kinds.items() if kind not in _DTYPES]
    return f"{unknown[0]} is stored as {quoted_value(kinds[unknown[0]])}" if unknown else ""


def _read_pickle(path: Path) -> Any:
    is_torch_file = check_torch_file(path, f"--weights {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below replaces torch's advice on old pickles
            return _load_tensors(path)
    except (
        UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, OSError,
    ) as error:  # fmt: skip
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that of an offset that cannot be
            raise
        # "Unsupported global: GLOBAL posix.system was not an allowed global by default."
        if refused := re.search(r"GLOBAL (\S+)", str(error)):
            problem = f"the file wants to run {refused.group(1)}, so it was not loaded"
            raise _error(path, problem, _CONVERT) from None
        if isinstance(error, UnpicklingError) or not is_torch_file:
            problem = "it is neither a safetensors file nor a PyTorch file that holds only tensors"
            raise _error(path, problem, _CONVERT) from None
        reason = one_line(error, 200) or "it ends too early"
        raise _error(path, f"it cannot be read: {reason}", _DAMAGED) from None


def _load_tensors(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap can only be used" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)  # PyTorch's format before 1.6


def _unusable_kind(tensor: torch.Tensor) -> str:
    """Return what a tensor is, where it cannot be copied into a parameter; else an empty string."""
    if tensor.is_meta or tensor.is_nested:
        return "meta" if tensor.is_meta else "nested"
    if tensor.layout is not torch.strided:
        return str(tensor.layout).removeprefix("torch.")
    name = str(tensor.dtype).removeprefix("torch.")
    return name if tensor.is_quantized or name.startswith(("float4", "bits")) else ""


def _check_repetition(tensors: Tensors, path: Path) -> None:
    """Raise WeightsError for tensors that repeat the numbers in the file to many times its size."""
    repeated = 0
    for name, tensor in tensors.items():
        size, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        repeated += max(0, size - stored)
        if repeated > _REPEATED_LIMIT:
            problem = f"{name} has the shape {list(tensor.shape)}, but {readable_bytes(stored)} in the file"
            raise _error(path, problem, "save it with tensor.contiguous(), so that every number is there")


def _tensors(saved: Mapping[Any, Any]) -> Tensors:
    return {str(name): value for name, value in saved.items() if isinstance(value, torch.Tensor)}


def _state_dict(saved: Any, path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors and the settings in a saved object: a state dict, or a dict that contains one."""
    if isinstance(saved, Mapping):
        parts = {key: value for key, value in saved.items() if isinstance(value, Mapping)}
        settings = dict(next((parts[key] for key in ("model_args", "config") if key in parts), {}))
        states = [_tensors(parts[key]) for key in ("model", "model_state_dict", "state_dict") if key in parts]
        # One of these names may stand for settings, which are no tensors, or few.
        tensors = max(states, key=len, default={}) or _tensors(saved)
        for name, value in tensors.items():
            if kind := _unusable_kind(value):
                raise _error(path, f"{name} is a {kind} tensor", "save it dense, in floating point")
        _check_repetition(tensors, path)
        if tensors:
            return tensors, settings
    hint = "save one with torch.save(model.state_dict(), path)"
    raise _error(path, f"it holds no state dict, only a value of type {type(saved).__name__}", hint)
