"""Checkpoints that claim more than they hold: each is one true error, before memory is taken for it."""

from __future__ import annotations

import json
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gptrace.errors import WeightsError
from gptrace.model.build import load
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from tests.support import Cli

SIZES = {"vocab_size": 60, "context_length": 8, "emb_dim": 8, "n_heads": 2, "n_layers": 1}


class Allocating:
    """Its pickle asks for 40 GB of zeros."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (40 * 10**9,)


def state(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    return dict(GPTModel(SIZES).state_dict()) | {k.replace("__", "."): v for k, v in changes.items()}


def repacked(path: Path, compression: int = zipfile.ZIP_STORED, pickled: bytes | None = None) -> None:
    """Write a checkpoint again, compressed, or with another pickle in it."""
    torch.save(state(), path)
    with zipfile.ZipFile(path) as archive:
        records = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            is_pickle = pickled is not None and name.endswith("data.pkl")
            archive.writestr(name, pickled if is_pickle and pickled is not None else content)


def old_file(path: Path) -> None:
    """Write a file as torch did before version 1.6, with a pickle that allocates."""
    numbers = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "protocol_version": 1001}
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in (*numbers, {"a": Allocating()})))


def expanded(path: Path) -> None:
    torch.save(state(tok_emb__weight=torch.ones(1).expand(2**31 - 1, 8)), path)


def block(number: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        torch.save(state() | {f"trf_blocks.{number}.norm1.scale": torch.ones(8)}, path)

    return write


def claiming_safetensors(path: Path) -> None:
    tensor = {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}
    header = json.dumps({"tok_emb.weight": tensor}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))


def cut(path: Path) -> None:
    torch.save(state(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "deflated": (lambda path: repacked(path, zipfile.ZIP_DEFLATED), "compressed .* torch.save never does"),
    "bzipped": (lambda path: repacked(path, zipfile.ZIP_BZIP2), "compressed .* torch.save never does"),
    "allocating": (lambda path: repacked(path, pickled=pickle.dumps(Allocating(), 2)), "to run bytearray"),
    "many objects": (lambda path: repacked(path, pickled=bytes(9 << 20)), "list of tensors has 9.0 MiB"),
    "old": (old_file, "wants to run bytearray"),
    "expanded": (expanded, r"tok_emb.weight has the shape \[2147483647, 8\], but 4 B in the file"),
    "block 9999": (block(9999), "have block 9999, and no block 1"),
    "block 999999": (block(999999), "have block 999999, and no block 1"),
    "claims": (claiming_safetensors, "header"),
    "cut": (cut, "cannot be read"),
    "endless": (endless, "neither a safetensors file nor a PyTorch file"),
    "zeros": (lambda path: path.write_bytes(bytes(10_000)), "neither a safetensors file nor a PyTorch file"),
    "empty pickle": (lambda path: repacked(path, pickled=b""), "it ends too early"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_one_error_and_takes_no_memory(tmp_path: Path, kind: str) -> None:
    write, message = HOSTILE[kind]
    path = tmp_path / ("weights.safetensors" if kind == "claims" else "weights.pt")
    write(path)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=message):
            load(select_model(weights=path, settings=["n_heads=2"]))
        # Of Python's objects: ten times the largest file here that is read.
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_the_weights_in_the_folder_of_a_model_are_checked_too(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    repacked(tmp_path / "pytorch_model.bin", zipfile.ZIP_DEFLATED)
    cli("run", "Hi", "--model", f"hf:{tmp_path}").is_error(2, "pytorch_model.bin", "compressed")


def test_a_small_expanded_tensor_is_read(tmp_path: Path) -> None:
    torch.save(state(tok_emb__weight=torch.ones(1).expand(60, 8)), tmp_path / "weights.pt")
    module = load(select_model(weights=tmp_path / "weights.pt", settings=["n_heads=2"])).module
    assert torch.equal(module.get_parameter("tok_emb.weight"), torch.ones(60, 8))
