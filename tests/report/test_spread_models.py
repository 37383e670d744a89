"""The report of a spread model: its mesh, the part of one rank, and what travels between the ranks."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

import gptrace
from gptrace.record import RankDifference, Trace, Traffic
from gptrace.report import View, render
from gptrace.report.mesh_parts import in_one_unit, numbers_text
from gptrace.report.shards import local_text, traffic_text
from tests.models.spread import shard_size, spread
from tests.support import Cli

VOCABULARY = 50257
ALL_REDUCE = 4 * 1 * 4 * 48  # bytes of float32[1, 4, 48]


@pytest.fixture(scope="module")
def whole() -> Trace:
    return gptrace.trace("Hello, I am", model="tiny", measure=["ops", "macs", "memory"])


@pytest.fixture(scope="module")
def simulated(whole: Trace) -> Trace:
    return spread(whole, {"fsdp": 2, "tp": 8}, 7)


@pytest.fixture(scope="module")
def measured(whole: Trace) -> Trace:
    difference = RankDifference(1, "calls", "38", "39", "trf_blocks.0")
    trace = spread(whole, {"tp": 2}, 1, simulated=False)
    assert trace.mesh is not None
    return replace(trace, mesh=replace(trace.mesh, differing=(difference,)))


def lines_of(text: str) -> dict[str, str]:
    """The first line with each first word."""
    return {line.split()[0]: line for line in reversed(text.splitlines()) if line.split()}


def test_the_header_says_what_mesh_and_which_rank(simulated: Trace, measured: Trace) -> None:
    lines = lines_of(re.sub(" +", " ", render(simulated, "table")))
    mesh = "mesh fsdp 2 × tp 8: 16 ranks, simulated in one process, spread by the built-in plan"
    assert lines["mesh"] == mesh
    assert lines["rank"] == "rank 7 (fsdp 0, tp 7), this rank: 1.2 of 18.6 MiB parameters"
    lines = lines_of(re.sub(" +", " ", render(measured, "table")))
    assert lines["mesh"] == "mesh tp 2: 2 ranks, measured with gloo, spread by the built-in plan"


def test_the_part_of_a_rank_stands_beside_whole_shapes(simulated: Trace) -> None:
    rows = lines_of(re.sub("[│├└]", " ", render(simulated, "table", View(full=True)).partition("Module")[2]))
    assert "whole → emb_dim/tp " in rows["W_query"]
    assert "emb_dim/tp → whole " in rows["out_proj"]
    assert f"all_reduce {ALL_REDUCE} B, tp" in rows["out_proj"]
    # 50,257 rows by 8 are uneven: the last rank has fewer.
    assert shard_size(VOCABULARY, 8, 0) == 6283
    assert "whole → vocab_size/tp = 6276 " in rows["out_head"]
    assert "all_reduce" not in rows["norm1"]


def test_figures_of_this_rank_stand_beside_those_of_the_whole(measured: Trace) -> None:
    shown = render(measured, "table", View(columns=("params", "bytes", "macs", "memory")))
    head = next(line for line in shown.splitlines() if line.startswith("Module"))
    assert re.split("  +", head)[1:] == [
        "Parameters", "Parameters here", "Bytes", "Bytes here", "MACs", "MACs here", "Peak memory",
        "Peak memory here",
    ]  # fmt: skip
    row = re.split("  +", next(line for line in shown.splitlines() if "└ out_head" in line))[1:]
    of_rank = shard_size(VOCABULARY, 2, 1)
    assert row[:2] == [f"{48 * VOCABULARY:,}", f"{48 * of_rank:,}"]
    assert row[4:6] == [f"{4 * 48 * VOCABULARY:,}", f"{4 * 48 * of_rank:,}"]


def test_the_footer_sums_up_what_travels(simulated: Trace) -> None:
    rows = lines_of(render(simulated, "table").partition("Messages of this rank")[2])
    # Two for each of two blocks, and one for tok_emb.
    sent, ring = 5 * ALL_REDUCE, 2 * 7 * 5 * ALL_REDUCE // 8
    assert rows["tp"].split()[1:4] == ["all_reduce", "8", "5"]
    assert f"{sent / 1024:.1f} KiB" in rows["tp"]
    assert f"{ring / 1024:.1f} KiB" in rows["tp"]
    assert "ring estimate:" in rows["ring"]
    assert rows["fsdp"].split()[1:4] == ["all_gather", "2", "2"]
    assert "18.6 MiB" in rows["parameters"]
    assert "no gradients, no optimizer state, no allocator overhead" in rows["of"]


def test_ranks_that_hold_the_same_share_a_row_and_one_that_differs_has_a_line(measured: Trace) -> None:
    shown = render(measured, "table").partition("All ranks")[2]
    assert [row.split()[0] for row in shown.splitlines()[3:5]] == ["0", "1"]  # 25,129 and 25,128 rows
    assert "rank 1 differs from rank 0: calls of trf_blocks.0 38, on rank 0 39" in shown
    assert measured.mesh is not None
    alike = replace(measured.mesh.ranks[0], rank=1)
    same = replace(measured, mesh=replace(measured.mesh, ranks=(measured.mesh.ranks[0], alike), differing=()))
    shown = render(same, "table").partition("All ranks")[2]
    assert shown.splitlines()[3].split()[0] == "0–1"
    assert "differs" not in shown


def test_the_time_of_a_simulation_is_not_shown(simulated: Trace, measured: Trace) -> None:
    view = View(columns=("time", "own"))
    assert " ms" in render(measured, "table", view)
    assert " ms" not in render(simulated, "table", view)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_width_loses_the_part_of_the_rank_or_the_messages(simulated: Trace, width: int) -> None:
    columns = ("path", "type", "input", "output", "here", "sent", "params")
    table = render(simulated, "table", View(width=width, full=True, columns=columns))
    assert max(map(len, table.splitlines())) <= width
    joined = re.sub(r"[\s│]+", "", table)
    assert "whole→emb_dim/tp" in joined
    assert f"all_reduce{ALL_REDUCE}B×2,tp" in joined
    assert "vocab_size/tp=6276" in joined
    assert ("Here: " in table) == (width < 200)


def test_programs_get_the_figures_as_csv(measured: Trace) -> None:
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(render(measured, "csv")))}
    assert rows["out_head"]["output_shape_here"] == f"[1, 4, {shard_size(VOCABULARY, 2, 1)}]"
    assert rows["trf_blocks.0.att.out_proj"]["input_shape_here"] == "[1, 4, 24]"
    assert (rows[""]["messages"], rows[""]["message_bytes"]) == ("5", str(5 * ALL_REDUCE))
    assert int(rows[""]["macs_here"]) < int(rows[""]["macs"])
    assert int(rows[""]["parameters_here"]) < int(rows[""]["total_parameters"])


def test_a_trace_of_one_device_has_no_such_columns(whole: Trace, simulated: Trace) -> None:
    assert "here" not in render(whole, "csv").splitlines()[0]
    everything = ("path", "input", "output", "here", "sent", "params")
    assert "Sent" in render(simulated, "table", View(columns=everything))


def test_a_kept_trace_is_shown_again(simulated: Trace, whole: Trace, cli: Cli, tmp_path: Path) -> None:
    spread_file, whole_file = tmp_path / "spread.json", tmp_path / "whole.json"
    spread_file.write_text(simulated.to_json())
    whole_file.write_text(whole.to_json())
    assert cli("show", str(spread_file)).out == render(simulated, "table")
    assert "all_reduce" in cli("show", str(spread_file), "--columns", "sent").out
    assert "Sent" not in cli("show", str(whole_file), "--columns", "all").out
    cli("show", str(whole_file), "--columns", "here,macs").is_error(
        2,
        "is of a model on one device, so it has no here",
        "gptrace run --mesh tp=2 --columns here,macs -o FILE",
    )
    cli("run", "Hello", "-m", "tiny", "--columns", "sent").is_error(
        2,
        "the trace is of a model on one device, so it has no sent",
        "gptrace run --mesh tp=2 --columns sent",
    )
    outcome = cli("diff", str(spread_file), str(whole_file))
    assert "mesh" in outcome.out


def test_a_picture_shows_which_mesh_dimension_splits_an_axis(simulated: Trace, whole: Trace) -> None:
    root = simulated.calls[0]
    split = replace(simulated.calls[-1].outputs[0], origin=root.outputs[0].origin)
    with_split = replace(simulated, calls=(replace(root, outputs=(split,)), *simulated.calls[1:]))
    for form, sign in (("dot", "/"), ("mermaid", "#47;"), ("svg", "/")):
        assert f"vocab_size{sign}tp" in with_split.picture(form)
        assert f"vocab_size{sign}tp" not in whole.picture(form)


def test_parts_and_messages_in_words(simulated: Trace) -> None:
    call = next(call for call in simulated.calls if call.path.endswith("W_query"))
    assert str(local_text(call, {"fsdp": 2, "tp": 8})) == "whole → emb_dim/tp"
    unnamed = tuple(replace(spec, split_by=()) for spec in call.outputs)
    assert str(local_text(replace(call, outputs=unnamed), {})) == "whole → [1, 4, 6]"
    message = Traffic("all_gather", "fsdp", 4, "float32", 1 << 20, 1)
    assert traffic_text([message]) == "all_gather 1.0 MiB, fsdp"
    assert traffic_text([message, message]) == "all_gather 1.0 MiB × 2, fsdp"
    assert traffic_text([message, replace(message, bytes=1024)]) == "all_gather 1.0 MiB in 2 messages, fsdp"
    assert traffic_text([replace(message, mesh_dim="")]) == "all_gather 1.0 MiB, 4 ranks"
    assert traffic_text([]) == "–"
    kinds = [replace(message, kind=kind) for kind in ("a", "b", "c", "d")]
    assert traffic_text(kinds).endswith("c 1.0 MiB, fsdp; … 1 more")
    assert in_one_unit(343597384, 350467400000) == ("0.32", "326.4 GiB")
    assert in_one_unit(20 << 10, 326 << 30) == ("20.0 KiB", "326.0 GiB")
    assert numbers_text([0, 1, 2, 5, 7, 8]) == "0–2, 5, 7–8"
