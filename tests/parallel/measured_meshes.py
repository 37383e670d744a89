"""Writes the trace of a model on every rank of a mesh, as `Session.trace` measures it."""

from __future__ import annotations

import sys
from pathlib import Path

from gptrace.ranks import rank
from tests.parallel.meshes import LLAMA, traced


def run(folder: Path, model: str, mesh: str) -> None:
    """Write the trace of this process."""
    before = sys.excepthook
    trace = traced(model, folder.parent / LLAMA, mesh)
    (folder / f"{rank()}.json").write_text(trace.to_json())
    assert sys.excepthook is before  # else tracebacks would begin with the number of the rank for ever
