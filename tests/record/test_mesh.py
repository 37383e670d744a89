"""The record of a spread model: read back, described by the schema, absent where nothing is spread."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator
from msgspec.structs import replace

import gptrace
from gptrace.record import Here, Mesh, RankDifference, RankFacts, Trace, Traffic
from gptrace.record.mesh import counted
from gptrace.record.reading import parse
from gptrace.record.schema import json_schema

SENT = Traffic("all_reduce", "tp", 2, "float32", 4096, 3)


def spread_trace() -> Trace:
    """A trace with each fact of a spread model, the figures of which are not those of any model."""
    trace = gptrace.trace("Hello", model="tiny", measure=("ops", "macs"))
    here = Here(macs=1, parameters=2, parameter_bytes=8, buffer_bytes=4, peak_bytes=16, traffic=(SENT,))
    mesh = Mesh(
        {"dp": 1, "tp": 2},
        1,
        {"dp": 0, "tp": 1},
        simulated=False,
        backend="gloo",
        plan="built in",
        ranks=(RankFacts(0, {"dp": 0, "tp": 0}, here), RankFacts(1, {"dp": 0, "tp": 1}, Here())),
        differing=(RankDifference(1, "calls", "4", "5", "trf_blocks.0"),),
    )
    root = trace.calls[0]
    logits = replace(
        root.outputs[0],
        local_shape=(1, 1, 25129),
        split_by=((), (), ("tp",)),
        placements={"dp": "Replicate()", "tp": "Shard(2)"},
    )
    ops = tuple(replace(op, here=here) for op in root.ops)
    calls = (replace(root, outputs=(logits,), ops=ops, here=here), *trace.calls[1:])
    return replace(trace, calls=calls, totals=replace(trace.totals, here=here), mesh=mesh)


def test_a_spread_trace_is_read_back_equal_and_fits_the_schema() -> None:
    trace = spread_trace()
    again = parse(trace.to_json())
    assert again == trace
    assert again.to_json() == trace.to_json()
    assert hash(again) == hash(trace)
    Draft202012Validator(json_schema("trace")).validate(json.loads(trace.to_json()))
    written = trace.to_dict()
    assert written["mesh"]["dims"] == {"dp": 1, "tp": 2}
    assert written["calls"][0]["outputs"][0]["split_by"] == [[], [], ["tp"]]
    assert written["totals"]["here"]["traffic"][0]["bytes"] == 4096
    assert written["mesh"]["ranks"][1]["here"] == {}


def test_a_trace_that_is_not_spread_has_none_of_it() -> None:
    text = gptrace.trace("Hello", model="tiny", measure="all").to_json()
    assert not [
        name for name in ("mesh", "here", "split_by", "placements", "local_shape") if f'"{name}"' in text
    ]


def test_a_ring_sends_what_its_closed_form_says() -> None:
    def ring_bytes(kind: str) -> int | None:
        return replace(SENT, kind=kind, group_size=4).ring_bytes

    assert SENT.total_bytes == 3 * 4096
    assert SENT.ring_bytes == 3 * 4096  # of two ranks, each sends one half twice
    assert ring_bytes("all_reduce") == 2 * 3 * 4096 * 3 // 4
    assert [ring_bytes(kind) for kind in ("all_gather", "reduce_scatter", "all_to_all")] == [
        3 * 4096 * 3 // 4
    ] * 3
    assert ring_bytes("send") is None
    assert replace(SENT, group_size=1).ring_bytes == 0


def test_equal_messages_are_one_entry() -> None:
    other = replace(SENT, mesh_dim="dp")
    assert counted([SENT, other, SENT]) == (replace(SENT, count=6), other)
