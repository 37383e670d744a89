"""What is simulated of each rank of a mesh is what real processes measure, on gloo."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import transformers

import gptrace
from gptrace.record import Trace
from tests.models.hugging_face import GROUPED, SIZES
from tests.parallel.meshes import MESHES, MODELS, VOCAB_SIZE, file_name, traced
from tests.parallel.starting import start_script
from tests.support import logits_by_id

pytestmark = [pytest.mark.slow, pytest.mark.processes]

# What a simulated rank has not, or has in other words: values, time, and what carries the messages.
_OF_RUN = ("seconds", "predictions", "weights", "mesh", "notes", "logits_per_position")
_SPREAD = [
    (model, mesh, rank)
    for count in MESHES
    for mesh in MESHES[count]
    for model in MODELS
    for rank in range(count)
]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    transformers.LlamaConfig(**SIZES | {"vocab_size": VOCAB_SIZE}, **GROUPED).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> Path:
    """The folder of the measured traces."""
    folder = tmp_path_factory.mktemp("measured")
    with ExitStack() as sockets:  # all at once, so that the ports differ
        for count, meshes in MESHES.items():
            for name in (f"{count}-{mesh}-{model}.port" for mesh in meshes for model in MODELS):
                free = sockets.enter_context(socket.socket())
                free.bind(("localhost", 0))
                (folder / name).write_text(str(free.getsockname()[1]))
    start_script("measured_meshes.py", str(folder), str(llama))
    return folder


def loaded(folder: Path, model: str, mesh: str, rank: int) -> Trace:
    trace = gptrace.load(folder / file_name(model, mesh, rank))
    assert isinstance(trace, Trace)
    return trace


def facts(record: Any, peaks: list[int]) -> Any:
    """Return what must be equal, and add the peaks, which may differ a little, to a list."""
    if isinstance(record, list):
        return [facts(item, peaks) for item in record]
    if not isinstance(record, dict):
        return record
    peaks += [value for key, value in record.items() if key == "peak_bytes"]
    return {key: facts(value, peaks) for key, value in record.items() if key not in (*_OF_RUN, "peak_bytes")}


@pytest.mark.parametrize(("model", "mesh", "rank"), _SPREAD)
def test_a_simulated_rank_is_as_it_is_measured(
    measured: Path, llama: Path, model: str, mesh: str, rank: int
) -> None:
    real, simulated = loaded(measured, model, mesh, rank), traced(model, llama, mesh, rank)
    real_peaks: list[int] = []
    simulated_peaks: list[int] = []
    expected = facts(json.loads(real.to_json()), real_peaks)
    assert facts(json.loads(simulated.to_json()), simulated_peaks) == expected
    assert len(real_peaks) > 30
    assert simulated_peaks == pytest.approx(real_peaks, rel=0.02)
    assert real.totals.here is not None
    assert real.totals.here.traffic
    assert real.totals.here.macs
    assert real.mesh is not None
    assert simulated.mesh is not None
    same = (real.mesh.dims, real.mesh.rank, real.mesh.coordinate, real.mesh.plan)
    other = (simulated.mesh.dims, simulated.mesh.rank, simulated.mesh.coordinate, simulated.mesh.plan)
    assert same == other
    assert (real.mesh.simulated, real.mesh.backend) == (False, "gloo")


@pytest.mark.parametrize(("model", "mesh"), sorted({(model, mesh) for model, mesh, _ in _SPREAD}))
def test_the_logits_are_those_of_the_model_as_a_whole(
    measured: Path, llama: Path, model: str, mesh: str
) -> None:
    whole = traced(model, llama, None).predictions
    ranks = [rank for *spread, rank in _SPREAD if spread == [model, mesh]]
    for rank in ranks:
        for prediction, expected in zip(loaded(measured, model, mesh, rank).predictions, whole, strict=True):
            logits, of_whole = logits_by_id(prediction.candidates), logits_by_id(expected.candidates)
            assert len(of_whole) == VOCAB_SIZE
            # Sums are added up in another order.
            assert logits == pytest.approx(of_whole, rel=0, abs=1e-5)


@pytest.mark.parametrize(("model", "mesh"), sorted({(model, mesh) for model, mesh, _ in _SPREAD}))
def test_every_rank_is_in_the_record_of_the_first(measured: Path, model: str, mesh: str) -> None:
    first = loaded(measured, model, mesh, 0).mesh
    assert first is not None
    for facts_of_rank in first.ranks:
        trace = loaded(measured, model, mesh, facts_of_rank.rank)
        assert trace.totals.here == facts_of_rank.here
        assert trace.mesh is not None
        assert trace.mesh.coordinate == facts_of_rank.coordinate
    assert [each.rank for each in first.ranks] == list(range(first.size))
    assert first.differing == ()
