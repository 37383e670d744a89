"""What a trace says of a model that is spread over processes, against closed forms and the unspread model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import gptrace
from gptrace.record import Here, ModuleCall, TensorSpec, Trace
from tests.parallel.conftest import Jobs
from tests.parallel.ways_to_spread import BATCH, ON_FOUR, SEQ_LEN, SIZES

pytestmark = [pytest.mark.slow, pytest.mark.processes]

_D, _V, _FLOAT = SIZES["emb_dim"], SIZES["vocab_size"], 4
_SUM = BATCH * SEQ_LEN * _D * _FLOAT  # bytes of what a block adds up over all processes


class Traces:
    """The traces that the processes have written, by name of the model."""

    def __init__(self, folder: Path, processes: int) -> None:
        self._folder, self._processes = folder, processes

    def ranks(self, name: str, run: str = "first") -> list[Trace]:
        return [self.rank(name, rank, run) for rank in range(self._processes)]

    def rank(self, name: str, rank: int = 0, run: str = "first") -> Trace:
        trace = gptrace.load(self._folder / f"{name}.{run}.{rank}.json")
        assert isinstance(trace, Trace)
        return trace


@pytest.fixture
def two(jobs: Jobs) -> Traces:
    return Traces(jobs.folder("spread traces 2"), 2)


@pytest.fixture
def four(jobs: Jobs) -> Traces:
    return Traces(jobs.folder("spread traces 4"), 4)


def here(record: Trace | ModuleCall) -> Here:
    part = record.totals.here if isinstance(record, Trace) else record.here
    assert part is not None
    return part


def call(trace: Trace, path: str) -> ModuleCall:
    return next(call for call in trace.calls if call.path.removeprefix("module.") == path)


def tensors(trace: Trace) -> Iterator[tuple[object, TensorSpec]]:
    """Every tensor of a trace, with its place."""
    for each in trace.calls:
        path = each.path.removeprefix("module").removeprefix(".")
        for side, specs in (("input", each.inputs), ("output", each.outputs)):
            yield from (((path, each.call, side, spec.name), spec) for spec in specs)
        for number, op in enumerate(each.ops):
            for side, specs in (("input", op.inputs), ("output", op.outputs)):
                yield from (((path, each.call, number, op.name, side, spec.name), spec) for spec in specs)


def traffic(record: Trace | ModuleCall) -> dict[tuple[str, str, int], int]:
    """How many messages there are, by kind, mesh dimension and bytes."""
    return {(each.kind, each.mesh_dim, each.bytes): each.count for each in here(record).traffic}


def assert_parts_make_the_whole(ranks: list[Trace], whole: Trace) -> None:
    """Every tensor has the shape and names of the whole model's, and the parts of all ranks make it up."""
    sizes = ranks[0].mesh
    assert sizes is not None
    parts = [dict(tensors(rank)) for rank in ranks]
    expected = dict(tensors(whole))
    for place, spec in expected.items():
        of_ranks = [part[place] for part in parts]
        assert {(each.shape, each.dims) for each in of_ranks} == {(spec.shape, spec.dims)}, place
        for axis, size in enumerate(spec.shape):
            dims = of_ranks[0].split_by[axis]
            copies = len(ranks) // math.prod(sizes.dims[name] for name in dims)
            local = [each.local_shape[axis] for each in of_ranks if each.local_shape is not None]
            assert len(local) == len(ranks)
            assert sum(local) == copies * size, (place, local)


def test_a_model_that_is_not_spread_has_no_mesh(two: Traces) -> None:
    for name in ("whole", "llama"):
        trace = two.rank(name)
        assert (trace.mesh, trace.totals.here, trace.calls[0].here) == (None, None, None)
        assert {spec.local_shape for _, spec in tensors(trace)} == {None}


def test_the_mesh_and_the_place_in_it_are_those_of_torch(two: Traces, four: Traces) -> None:
    of_rank = two.rank("tensor parallel", 1).mesh
    assert of_rank is not None
    assert (of_rank.dims, of_rank.rank, of_rank.coordinate) == ({"tp": 2}, 1, {"tp": 1})
    assert (of_rank.backend, of_rank.simulated, of_rank.plan) == ("gloo", False, "")
    for name in ON_FOUR[1:]:
        of_rank = four.rank(name, 2).mesh
        assert of_rank is not None
        assert (of_rank.dims, of_rank.coordinate) == ({"dp": 2, "tp": 2}, {"dp": 1, "tp": 0})
    unnamed, distributed = (two.rank(name).mesh for name in ("fully sharded, unnamed mesh", "distributed"))
    assert unnamed is not None
    assert distributed is not None
    assert (unnamed.dims, distributed.dims) == ({"fsdp": 2}, {"dp": 2})


@pytest.mark.parametrize("name", ["tensor parallel", "tensor parallel, fused", "llama by transformers"])
def test_under_tensor_parallelism_the_work_of_all_ranks_is_that_of_the_whole(two: Traces, name: str) -> None:
    ranks, whole = two.ranks(name), two.rank("llama" if "llama" in name else "whole")
    assert [rank.totals.macs for rank in ranks] == [whole.totals.macs] * 2
    assert sum(here(rank).macs or 0 for rank in ranks) == whole.totals.macs
    for parts in zip(*(rank.calls for rank in ranks), strict=True):
        assert sum(here(part).macs or 0 for part in parts) == parts[0].macs
        assert [(part.macs_unknown, here(part).macs_unknown) for part in parts] == [((), ())] * 2
        for ops in zip(*(part.ops for part in parts), strict=True):
            assert sum(op.here.macs or 0 for op in ops if op.here is not None) == ops[0].macs


def test_of_a_block_each_rank_does_half_the_work_of_the_whole_one(two: Traces) -> None:
    block = call(two.rank("tensor parallel"), "trf_blocks.0")
    # Four projections, two layers of four times the width, and two products for each pair of tokens.
    macs = 12 * BATCH * SEQ_LEN * _D * _D + 2 * BATCH * SEQ_LEN * SEQ_LEN * _D
    assert (block.macs, here(block).macs) == (macs, macs // 2)


def test_what_a_plan_leaves_whole_every_rank_does(two: Traces) -> None:
    ranks, whole = two.ranks("llama by plan"), two.rank("llama")
    assert [rank.totals.macs for rank in ranks] == [whole.totals.macs] * 2
    head = call(whole, "lm_head").macs
    assert head
    assert whole.totals.macs
    assert [here(rank).macs for rank in ranks] == [(whole.totals.macs + head) // 2] * 2


@pytest.mark.parametrize(
    "name", ["tensor parallel", "fully sharded", "llama by plan", "llama by transformers"]
)
def test_the_parts_of_every_tensor_make_the_whole(two: Traces, name: str) -> None:
    assert_parts_make_the_whole(two.ranks(name), two.rank("llama" if "llama" in name else "whole"))


@pytest.mark.parametrize("name", ON_FOUR[1:])
def test_the_parts_make_the_whole_on_a_mesh_of_two_dimensions(four: Traces, name: str) -> None:
    assert_parts_make_the_whole(four.ranks(name), four.rank("whole"))


def test_classes_operations_and_notes_are_those_of_the_whole_model(two: Traces) -> None:
    whole = two.rank("whole")
    for name in ("tensor parallel", "fully sharded"):
        trace = two.rank(name)
        assert [each.type for each in trace.calls] == [each.type for each in whole.calls]
        assert [op.name for each in trace.calls for op in each.ops] == [
            op.name for each in whole.calls for op in each.ops
        ]
        assert (trace.notes, trace.dims, trace.flow) == (whole.notes, whole.dims, whole.flow)


def test_axes_are_split_by_the_dimension_that_splits_them(two: Traces) -> None:
    trace = two.rank("tensor parallel", 1)
    query, weights = call(trace, "trf_blocks.0.att.W_query"), call(trace, "trf_blocks.0.att.dropout")
    assert query.outputs[0].split_by == ((), (), ("tp",))
    assert weights.outputs[0].split_by == ((), ("tp",), (), ())
    assert weights.outputs[0].dims == ("batch", "n_heads", "seq_len", "seq_len")
    table = call(trace, "tok_emb").ops[0].inputs[1]
    assert (table.shape, table.local_shape, table.split_by) == ((_V, _D), (500, _D), (("tp",), ()))
    product, merge = query.ops[0].outputs[0], call(trace, "trf_blocks.0.att.out_proj").ops[0].outputs[0]
    assert (product.placements, merge.placements) == ({"tp": "Shard(dim=2)"}, {"tp": "Partial(sum)"})


def test_the_bytes_of_all_ranks_make_the_model(two: Traces, four: Traces) -> None:
    whole = two.rank("whole").model.parameters
    for traces, name in ((two, "fully sharded"), (two, "distributed"), (four, "hybrid")):
        ranks = traces.ranks(name)
        copies = 1 if name == "fully sharded" else 2  # of the model
        assert sum(here(rank).parameter_bytes or 0 for rank in ranks) == copies * whole.bytes
        assert {rank.model.parameters.unique for rank in ranks} == {whole.unique}
        assert {rank.model.parameters.bytes for rank in ranks} == {whole.bytes}
    # The rows of the vocabulary and the heads are shared; positions, norms, and the biases that are added
    # last are on every rank.
    replicated = _FLOAT * _D * (SIZES["context_length"] + 2 + SIZES["n_layers"] * (4 + 2))
    parallel = two.ranks("tensor parallel")
    assert sum(here(rank).parameter_bytes or 0 for rank in parallel) == whole.bytes + replicated
    assert [here(call(rank, "out_head")).parameters for rank in parallel] == [501 * _D, 500 * _D]
    assert {rank.model.parameters for rank in parallel} == {whole}
    for name in ("tensor parallel, fully sharded", "tensor parallel, distributed"):
        copies = 1 if "sharded" in name else 2
        sharded = four.ranks(name)
        assert sum(here(rank).parameter_bytes or 0 for rank in sharded) == copies * (whole.bytes + replicated)
        assert {rank.model.parameters.bytes for rank in sharded} == {whole.bytes}


def test_a_block_adds_up_its_output_over_the_ranks_twice(two: Traces, four: Traces) -> None:
    for trace in (two.rank("tensor parallel"), two.rank("tensor parallel, fused")):
        assert traffic(call(trace, "trf_blocks.1")) == {("all_reduce", "tp", _SUM): 2}
        assert traffic(call(trace, "trf_blocks.1.att")) == {("all_reduce", "tp", _SUM): 1}
        # 501 rows of the vocabulary from each rank.
        head = {("all_gather", "tp", 2 * 501 * BATCH * SEQ_LEN * _FLOAT): 1}
        assert traffic(call(trace, "out_head")) == head
        assert traffic(trace) == head | {("all_reduce", "tp", _SUM): 5}
    for name in ("llama by plan", "llama by transformers"):
        block = call(two.rank(name), "model.layers.0")
        assert traffic(block) == {("all_reduce", "tp", BATCH * SEQ_LEN * 32 * _FLOAT): 2}
    distributed = four.rank("tensor parallel, distributed")
    assert traffic(distributed) == traffic(two.rank("tensor parallel"))


def test_fully_sharded_blocks_are_gathered_when_they_run(two: Traces, four: Traces) -> None:
    trace = two.rank("fully sharded")
    block = call(trace, "trf_blocks.0")
    assert traffic(block) == {("all_gather", "fsdp", block.parameters.bytes): 1}
    # What is in no block: its rows are made even for the message, 2 · 501 of the vocabulary, twice.
    outside = _FLOAT * _D * (2 * 1002 + SIZES["context_length"] + 2)
    assert traffic(trace) == {
        ("all_gather", "fsdp", outside): 1,
        ("all_gather", "fsdp", block.parameters.bytes): SIZES["n_layers"],
    }
    # The root keeps its parameters after a forward pass, for the backward pass.
    assert traffic(two.rank("fully sharded", run="again")) == {
        ("all_gather", "fsdp", block.parameters.bytes): SIZES["n_layers"]
    }
    assert here(two.rank("fully sharded", run="again")) != here(trace)
    both = call(four.rank("tensor parallel, fully sharded"), "trf_blocks.0")
    replicated = _FLOAT * _D * (4 + 2)
    assert traffic(both) == {
        ("all_gather", "dp", (both.parameters.bytes + replicated) // 2): 1,
        ("all_reduce", "tp", _SUM): 2,
    }
    assert traffic(call(four.rank("hybrid"), "trf_blocks.0")) == {
        ("all_gather", "tp", block.parameters.bytes): 1
    }


def test_what_data_parallelism_gathers_is_no_work_and_no_activation(two: Traces, four: Traces) -> None:
    for traces, name in ((two, "fully sharded"), (two, "distributed"), (four, "hybrid")):
        whole, trace = traces.rank("whole"), traces.rank(name)
        assert (here(trace).macs, trace.totals.macs) == (whole.totals.macs, whole.totals.macs)
        assert (here(trace).peak_bytes, trace.totals.peak_bytes) == (whole.totals.peak_bytes,) * 2


def test_activations_are_those_of_the_part_and_of_the_whole(two: Traces) -> None:
    whole, trace = two.rank("whole"), two.rank("tensor parallel")
    for path in ("trf_blocks.0", "trf_blocks.0.att", "trf_blocks.1.ff"):
        # In the twin, no ids were made beside the call.
        assert call(trace, path).peak_bytes == (call(whole, path).peak_bytes or 0)
        assert (here(call(trace, path)).peak_bytes or 0) < (call(whole, path).peak_bytes or 0)


def test_finding_out_shapes_takes_no_memory_and_no_work(two: Traces) -> None:
    for name in ("tensor parallel", "llama by plan", "llama by transformers"):
        first, again = (two.rank(name, run=run) for run in ("first", "again"))
        assert [each.here for each in first.calls] == [each.here for each in again.calls]


def test_averages_are_sent_before_a_forward_pass(two: Traces) -> None:
    trace = two.rank("distributed, averages")
    kinds = {(each.kind, each.mesh_dim, each.group_size) for each in here(trace).traffic}
    assert kinds == {("broadcast", "dp", 2)}
    # Two averages of four features, and the number of batches.
    assert here(trace).buffer_bytes == 2 * 4 * _FLOAT + 8


def test_a_failure_has_the_whole_shapes_up_to_it(two: Traces) -> None:
    trace = two.rank("too long")
    assert trace.error is not None
    assert trace.error.path == "pos_emb"
    embedded = call(trace, "tok_emb").outputs[0]
    assert embedded.dims == ("batch", "seq_len", "emb_dim")
    assert embedded.local_shape == (1, 3 * SEQ_LEN, _D)


def test_parameters_count_as_they_are_kept(two: Traces) -> None:
    name = "gathered in bfloat16"
    # In the second run, the model holds the parameters that were gathered in the first.
    ranks = [(run, trace) for run in ("first", "again") for trace in two.ranks(name, run)]
    whole = two.rank("whole").model.parameters
    for run, trace in ranks:
        assert (trace.model.parameters.bytes, trace.model.dtype) == (whole.bytes, "float32"), run
        assert trace.calls[0].outputs[0].dtype == "bfloat16"
    assert sum(here(trace).parameter_bytes or 0 for run, trace in ranks if run == "again") == whole.bytes


def test_a_copy_that_would_make_wider_heads_is_not_the_whole(two: Traces) -> None:
    trace = two.rank("heads divided")
    assert any("could not be run on device meta" in note for note in trace.notes)
    view = trace.calls[0].ops[0]
    assert (view.name, view.outputs[0].shape) == ("view", (3, 2, 8))
    assert (trace.totals.macs, trace.totals.peak_bytes) == (None, None)
    assert here(trace).macs == 2 * 3 * 8 * 16


def test_the_whole_of_fused_attention_has_no_peak(two: Traces) -> None:
    # The twin on device meta would make a tensor of all attention weights, which no rank does.
    eager, fused = two.rank("tensor parallel"), two.rank("tensor parallel, fused")
    assert (fused.totals.macs, fused.totals.peak_bytes) == (eager.totals.macs, None)
    assert any("fused attention" in note for note in fused.notes)
    assert eager.totals.peak_bytes is not None
    assert here(fused).peak_bytes


def test_without_a_twin_only_what_is_known_is_said(two: Traces) -> None:
    trace = two.rank("needs numbers")
    assert any("whole model could not be run on device meta" in note for note in trace.notes)
    up = call(trace, "up")
    assert (up.outputs[0].shape, up.outputs[0].local_shape, up.macs) == ((3, 6), None, None)
    assert trace.totals.macs is None
    assert (here(trace).macs, here(up).macs) == (2 * 3 * 8 * 6, 3 * 8 * 6)
    product = up.ops[0].outputs[0]
    assert (product.shape, product.local_shape, product.split_by) == ((3, 12), (3, 6), ((), ("tp",)))
