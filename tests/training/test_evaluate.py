"""The table of losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from gptrace.model.config import GPTConfig
from training import evaluate
from training.ids import write_ids
from training.small_model import new_model

TINY = GPTConfig(vocab_size=50, context_length=8, emb_dim=16, n_heads=2, n_layers=1, tie_head=True)


def test_each_model_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("training", "held-out-novels", "held-out-tales"):
        write_ids(tmp_path / f"{name}.npy.xz", np.tile(np.arange(50, dtype=np.uint16), 3))
    weights = tmp_path / "weights.safetensors"
    tensors = new_model(TINY, seed=1).state_dict()
    save_file({name: tensor for name, tensor in tensors.items() if name != "out_head.weight"}, weights)
    evaluate.main(["--ids", str(tmp_path), "--weights", str(weights), "--heads", "2"])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["novels", "tales"]
    losses = {name: float(loss) for name, loss, _ in (line.split() for line in lines)}
    assert list(losses) == ["uniform", "unigram", "bigram", "weights.safetensors"]
    # Every token is as frequent as any other, and each is always followed by the same one.
    assert losses["uniform"] == losses["unigram"] == pytest.approx(np.log(50), abs=1e-4)
    assert losses["bigram"] < 1
    assert losses["weights.safetensors"] == pytest.approx(np.log(50), abs=0.2)  # before any training
