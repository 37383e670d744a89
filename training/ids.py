"""Files of token ids. Nothing here loads a tokenizer."""

from __future__ import annotations

import io
import lzma
from pathlib import Path

import numpy as np
import torch

Tensor = torch.Tensor
TRAINING, HELD_OUT = "training", "held-out-"


def read_ids(path: Path) -> np.ndarray:
    """Return the array in a .npy or .npy.xz file."""
    content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    ids: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return ids


def write_ids(path: Path, ids: np.ndarray) -> None:
    """Write an array as a .npy.xz file."""
    content = io.BytesIO()
    np.save(content, ids, allow_pickle=False)
    path.write_bytes(lzma.compress(content.getvalue()))


def read_texts(folder: Path, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the ids to train on (N,) and those of each held-out collection, by name, on a device.

    `folder` is what `training.prepare` wrote. Raises ValueError for another one.
    """
    names = {path: path.name.partition(".")[0] for path in sorted(folder.glob("*.npy*"))}
    paths = {name: path for path, name in names.items() if name.startswith((TRAINING, HELD_OUT))}
    texts = {
        name: torch.from_numpy(read_ids(path).astype("int32")).to(device) for name, path in paths.items()
    }
    if TRAINING not in texts or len(texts) == 1:
        raise ValueError(f"{folder} is not a folder of prepared ids: see python -m training.prepare --help")
    training = texts.pop(TRAINING)
    return training, {name.removeprefix(HELD_OUT): ids for name, ids in texts.items()}
