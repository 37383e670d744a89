"""What is simulated of each rank of a mesh is what real processes measure, on gloo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gptrace
from gptrace.record import Trace
from tests.parallel.conftest import Jobs
from tests.parallel.meshes import LLAMA, MESHES, MODELS, VOCAB_SIZE, traced
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


@pytest.fixture
def llama(jobs: Jobs) -> Path:
    return jobs.folder(LLAMA)


def measured(jobs: Jobs, model: str, mesh: str, rank: int) -> Trace:
    trace = gptrace.load(jobs.folder(f"mesh {mesh} {model}") / f"{rank}.json")
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
    jobs: Jobs, llama: Path, model: str, mesh: str, rank: int
) -> None:
    real, simulated = measured(jobs, model, mesh, rank), traced(model, llama, mesh, rank)
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
def test_the_logits_are_those_of_the_model_as_a_whole(jobs: Jobs, llama: Path, model: str, mesh: str) -> None:
    whole = traced(model, llama, None).predictions
    ranks = [rank for *spread, rank in _SPREAD if spread == [model, mesh]]
    for rank in ranks:
        for prediction, expected in zip(measured(jobs, model, mesh, rank).predictions, whole, strict=True):
            logits, of_whole = logits_by_id(prediction.candidates), logits_by_id(expected.candidates)
            assert len(of_whole) == VOCAB_SIZE
            # Sums are added up in another order.
            assert logits == pytest.approx(of_whole, rel=0, abs=1e-5)


@pytest.mark.parametrize(("model", "mesh"), sorted({(model, mesh) for model, mesh, _ in _SPREAD}))
def test_every_rank_is_in_the_record_of_the_first(jobs: Jobs, model: str, mesh: str) -> None:
    first = measured(jobs, model, mesh, 0).mesh
    assert first is not None
    for facts_of_rank in first.ranks:
        trace = measured(jobs, model, mesh, facts_of_rank.rank)
        assert trace.totals.here == facts_of_rank.here
        assert trace.mesh is not None
        assert trace.mesh.coordinate == facts_of_rank.coordinate
    assert [each.rank for each in first.ranks] == list(range(first.size))
    assert first.differing == ()
