"""The command, from ids to weights, a log and a plot."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from training import train
from training.ids import write_ids
from training.log import Row, append_row, keep_rows, read_rows
from training.plot import losses_svg

SIZES = [
    *("--emb-dim", "8", "--heads", "2", "--layers", "1", "--context", "8", "--batch", "2"),
    *("--checks", "3", "--save-every", "0", "--device", "cpu"),
]


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    numbers = np.random.default_rng(1).integers(50, size=100).astype(np.uint16)
    for name in ("training", "held-out-tales"):
        write_ids(tmp_path / f"{name}.npy.xz", numbers)
    return tmp_path


def test_a_run_leaves_weights_a_log_a_plot_and_its_plan(
    ids: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ids / "run"
    train.main(["--ids", str(ids), "--output", str(output), "--tokens", "96", *SIZES])
    assert "6 steps: --tokens 96" in capsys.readouterr().out
    rows = read_rows(output / "log.csv")
    assert [row.step for row in rows] == [2, 4, 6]
    assert rows[-1].tokens == 96
    assert rows[-1].held_out.keys() == {"tales"}
    assert json.loads((output / "plan.json").read_text())["tokens"] == 96
    assert "out_head.weight" not in load_file(output / "weights.safetensors")
    ET.fromstring((output / "losses.svg").read_text())
    before = load_file(output / "weights.safetensors")
    train.main(["--ids", str(ids), "--output", str(output), "--tokens", "96", "--resume", *SIZES])
    assert [row.step for row in read_rows(output / "log.csv")] == [2, 4, 6]
    assert all(
        (before[name] == tensor).all() for name, tensor in load_file(output / "weights.safetensors").items()
    )
    with pytest.raises(SystemExit, match="another plan"):
        train.main(["--ids", str(ids), "--output", str(output), "--tokens", "32", "--resume", *SIZES])


def test_minutes_become_tokens(
    ids: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "PROBE_SECONDS", 0.01)
    arguments = ["--ids", str(ids), "--output", str(ids / "run"), *SIZES]
    train.main([*arguments, "--minutes", "1e-9"])  # no time is left, and every check has a step
    assert "3 steps: --tokens 48" in capsys.readouterr().out
    measured = load_file(ids / "run" / "weights.safetensors")
    train.main([*arguments, "--tokens", "48"])
    again = load_file(ids / "run" / "weights.safetensors")
    assert all((again[name] == tensor).all() for name, tensor in measured.items())


def test_the_log_of_a_resumed_run_has_no_row_twice(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [Row(step, step * 10, step / 2, 1e-3, 5 - step / 10, {"tales": 6.0}) for step in (1, 2, 3)]
    for row in rows:
        append_row(path, row)
    assert read_rows(path) == rows
    keep_rows(path, last_step=2)
    assert read_rows(path) == rows[:2]
    keep_rows(path, last_step=0)
    assert not path.exists()


def test_a_plot_needs_two_rows() -> None:
    with pytest.raises(ValueError, match="needs two rows"):
        losses_svg([])
