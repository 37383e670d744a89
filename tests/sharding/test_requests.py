"""Which mesh, rank and plan are asked for, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gptrace.errors import GptraceError
from gptrace.sharding.divisible import check_divides
from gptrace.sharding.mesh_shape import MOST_RANKS, MeshShape
from gptrace.sharding.request import SpreadRequest
from tests.support import Cli


def test_neighbouring_ranks_differ_in_the_last_dimension() -> None:
    shape = MeshShape.parse(" dp=2 , fsdp=3,tp=4")
    assert shape.size == 24
    coordinates = [tuple(shape.coordinate(rank).values()) for rank in range(24)]
    assert coordinates[:5] == [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 0, 3), (0, 1, 0)]
    assert coordinates[23] == (1, 2, 3)
    assert len(set(coordinates)) == 24


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        ("", "mesh '': '' is not NAME=SIZE"),
        ("tp", "mesh 'tp': 'tp' is not NAME=SIZE"),
        ("tp=2,", "mesh 'tp=2,': '' is not NAME=SIZE"),
        ("tp=two", "mesh 'tp=two': 'tp=two' is not NAME=SIZE"),
        ("tp=-1", "mesh 'tp=-1': 'tp=-1' is not NAME=SIZE"),
        ("tp=²", "mesh 'tp=²': 'tp=²' is not NAME=SIZE"),
        ("tp=0", "mesh dimension 'tp' has size 0"),
        ("t p=2", "mesh has a dimension named 't p'"),
        ("=2", "mesh has a dimension named ''"),
        ("tp=2,tp=2", "mesh 'tp=2,tp=2' has the dimension 'tp' twice"),
        (f"dp={MOST_RANKS},tp=2", f"mesh dp={MOST_RANKS},tp=2 has {2 * MOST_RANKS:,} ranks"),
        ({}, "mesh has no dimensions"),
        ({"tp": True}, "mesh dimension 'tp' has size True"),
        ({2: 2}, "mesh has a dimension named 2"),
        (8, "mesh is of type int"),
    ],
)
def test_a_mesh_that_cannot_be_says_what_is_wrong(mesh: Any, message: str) -> None:
    with pytest.raises(GptraceError) as raised:
        SpreadRequest.of(mesh, None, None)
    assert (raised.value.message, raised.value.option) == (message, "mesh")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("tp=2", 2, None), "rank is 2, but the mesh tp=2 has 2 ranks"),
        (("tp=2", True, None), "rank is True, but the mesh tp=2 has 2 ranks"),
        ((None, 1, None), "rank is given without a mesh"),
        ((None, None, "plan.py:f"), "parallel is given without a mesh"),
        (("tp=2", None, 3), "parallel is of type int, not a function"),
        (("tp=2", None, "nowhere.py:f"), "--parallel: 'nowhere.py' does not exist"),
        (("tp=2", None, "plan"), "--parallel: 'plan' does not exist"),
    ],
)
def test_options_that_do_not_fit_say_what_is_wrong(options: Any, message: str) -> None:
    with pytest.raises(GptraceError) as raised:
        SpreadRequest.of(*options)
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("world_size", "arguments", "message"),
    [
        ("3", ["--mesh", "tp=2"], "the mesh tp=2 is for 2 processes, but WORLD_SIZE is 3"),
        ("1", ["--mesh", "tp=2"], "the mesh tp=2 is for 2 processes, but WORLD_SIZE is 1"),
        ("2", ["--mesh", "tp=2", "--rank", "1"], "--rank is given, but torchrun gives each process its own"),
        (
            "2",
            ["--mesh", "tp=2", "--device", "meta"],
            "a mesh is measured on cpu or cuda, but the device is meta",
        ),
    ],
)
def test_processes_that_are_no_ranks_of_the_mesh_are_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, world_size: str, arguments: list[str], message: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", world_size)
    monkeypatch.setenv("RANK", "0")
    cli("run", "Hello", "-m", "tiny", *arguments).is_error(2, message)


def test_the_variables_of_a_launcher_belong_together(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    cli("run", "Hello", "-m", "tiny", "--mesh", "tp=1").is_error(2, "WORLD_SIZE is set, but other variables")


@pytest.mark.parametrize("number", ["2", "-1", "two", "9" * 5000])
def test_a_rank_that_is_not_there_is_not_waited_for(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    for name, value in {"WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", number)
    outcome = cli("run", "Hello", "-m", "tiny", "--mesh", "tp=1")
    outcome.is_error(2, "but WORLD_SIZE is 1", "number the processes from 0 to 0")


def test_sizes_that_divide_are_soon_found() -> None:
    with pytest.raises(GptraceError, match=r"pick a size of tp that does: 1, 2147483647\b"):
        check_divides({"n_heads": 2**31 - 1}, "tp", 2)


def test_the_options_have_variables(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GPTRACE_MESH", "tp=2")
    monkeypatch.setenv("GPTRACE_RANK", "2")
    outcome = cli("run", "Hello", "-m", "tiny")
    outcome.is_error(2, "--rank is 2, but the mesh tp=2 has 2 ranks", "the variable GPTRACE_RANK")
    monkeypatch.setenv("GPTRACE_RANK", "1")
    monkeypatch.setenv("GPTRACE_PARALLEL", f"{tmp_path}/plan.py:f")
    cli("run", "Hello", "-m", "tiny").is_error(2, "does not exist", "the variable GPTRACE_PARALLEL")
