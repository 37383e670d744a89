"""One rank of a mesh that is simulated: the plans, what they refuse, and that nothing is left behind."""

from __future__ import annotations

import logging
import random
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import gptrace
from gptrace import GPTModel, Session
from gptrace.errors import ConfigError, DeviceError, GptraceError, ModelCodeError, RunError
from gptrace.model.quiet_torch import torch
from gptrace.sharding.request import SpreadRequest
from gptrace.sharding.simulated_group import SimulatedTensors
from gptrace.sharding.spread_model import SpreadModel, spread_model
from tests.support import Cli

_SIZES = {"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 1001, "context_length": 16}


def spread(mesh: str, rank: int = 0, model: Any = None, parallel: Any = None) -> SpreadModel:
    """Return a model that is spread over a mesh; its process group is gone."""
    request = SpreadRequest.of(mesh, rank, parallel)
    assert request is not None
    source = Session(model or GPTModel(_SIZES))._source()
    with spread_model(source, request, None) as result:
        return result


def local_shapes(model: SpreadModel) -> dict[str, tuple[int, ...]]:
    """Return the shape of this rank's part of each parameter."""
    parameters = model.module.named_parameters()
    return {name: tuple(getattr(value, "_local_tensor", value).shape) for name, value in parameters}


def test_tensor_parallelism_splits_the_layers_of_a_gpt() -> None:
    whole = local_shapes(spread("tp=1"))
    ranks = [local_shapes(spread("tp=4", rank)) for rank in range(4)]
    block = "trf_blocks.1."
    assert whole[f"{block}att.W_query.weight"] == (48, 48)
    for rank in ranks:
        assert rank[f"{block}att.W_query.weight"] == rank[f"{block}att.W_value.weight"] == (12, 48)
        assert rank[f"{block}att.out_proj.weight"] == (48, 12)
        assert rank[f"{block}ff.layers.0.bias"] == (48,)  # of 192
        assert rank[f"{block}ff.layers.2.weight"] == (48, 48)
        assert rank["final_norm.scale"] == (48,)
    # Four ranks do not divide 1001 rows: the last has fewer.
    assert [rank["out_head.weight"] for rank in ranks] == [(251, 48), (251, 48), (251, 48), (248, 48)]


@pytest.mark.parametrize("mesh", ["fsdp=4", "fsdp=2,tp=2", "fsdp=3", "fsdp=2,tp=4"])
def test_the_ranks_together_hold_the_model_once(mesh: str) -> None:
    whole = {name: value.numel() for name, value in GPTModel(_SIZES).named_parameters()}
    held = dict.fromkeys(whole, 0)
    request = SpreadRequest.of(mesh, 0, None)
    assert request is not None
    tp = request.shape.dims.get("tp", 1)
    for rank in range(request.shape.size):
        for name, shape in local_shapes(spread(mesh, rank)).items():
            held[name] += torch.Size(shape).numel()
    # Tensor parallelism leaves the norms, the positions and the biases of row-wise layers whole.
    for name, count in whole.items():
        assert held[name] in (count, count * tp), name


def test_hybrid_sharding_repeats_the_shards() -> None:
    assert local_shapes(spread("dp=2,fsdp=2")) == local_shapes(spread("fsdp=2"))
    assert local_shapes(spread("dp=2")) == local_shapes(spread("tp=1"))


def test_uncaught_exceptions_are_shown_as_before() -> None:
    before = sys.excepthook
    spread("tp=2")
    assert sys.excepthook is before


@pytest.mark.parametrize("mesh", ["tp=2", "fsdp=2", "fsdp=2,tp=2"])
def test_tied_weights_stay_tied(mesh: str) -> None:
    module: Any = spread(mesh, model=GPTModel({**_SIZES, "tie_head": True})).module
    assert module.out_head.weight is module.tok_emb.weight


def test_a_model_that_is_given_stays_as_it_is() -> None:
    module = GPTModel(_SIZES).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trace = gptrace.trace(ids=[1, 2, 3], model=module, mesh="fsdp=2,tp=2", rank=3)
    assert trace.mesh is not None
    assert (trace.mesh.coordinate, trace.mesh.plan, trace.mesh.backend) == (
        {"fsdp": 1, "tp": 1},
        "built in",
        "fake",
    )
    assert trace.predictions == ()
    assert type(module) is GPTModel
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert gptrace.trace(ids=[1, 2, 3], model=module).predictions


def test_meshes_can_follow_each_other_in_one_process() -> None:
    session = Session("tiny")
    meshes = [session.trace("Hello", mesh=mesh).mesh for mesh in ("tp=2", "fsdp=4", "tp=2")]
    assert [mesh and mesh.dims for mesh in meshes] == [{"tp": 2}, {"fsdp": 4}, {"tp": 2}]
    assert not torch.distributed.is_initialized()
    assert not session.is_loaded


@pytest.mark.parametrize(
    ("mesh", "message", "hint"),
    [
        ("tp=3", "tp=3 does not divide n_heads 4", "1, 2, 4"),
        ("pp=2", "no plan shards along the mesh dimension 'pp'", "dp, fsdp, tp"),
        ("tp=2,fsdp=2", "the dimensions of the mesh tp=2,fsdp=2 are in another order", "--mesh fsdp=2,tp=2"),
    ],
)
def test_a_mesh_that_the_plan_of_a_gpt_cannot_have(mesh: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        gptrace.trace("Hello", model="tiny", mesh=mesh)
    assert message in raised.value.message
    assert hint in raised.value.hint
    assert not torch.distributed.is_initialized()


class Own(torch.nn.Module):
    """A model that nobody has a plan for."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(100, 8)
        self.head = torch.nn.Linear(8, 100)
        self.positions = torch.arange(100.0)[:, None]  # neither a parameter nor a buffer

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embedding(ids) + self.positions[: ids.shape[1]])
        return logits


def split_head(model: Own, mesh: Any) -> Own:
    from torch.distributed.tensor import Replicate
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    style = ColwiseParallel(output_layouts=Replicate())
    parallelize_module(model, mesh["columns"], {"head": style}, src_data_rank=None)
    return model


def test_a_plan_of_ones_own_may_name_its_dimensions() -> None:
    model = spread("replicas=2,columns=4", 3, model=Own(), parallel=split_head)
    assert local_shapes(model)["head.weight"] == (25, 8)
    trace = gptrace.trace(ids=[1, 2, 3], model=Own(), mesh="columns=2", parallel=split_head)
    assert trace.mesh is not None
    assert trace.mesh.plan == "split_head"
    assert trace.calls[0].outputs[0].shape == (1, 3, 100)


_PLANS = """
def fine(model, mesh):
    return model

def nothing(model, mesh):
    model.eval()

async def later(model, mesh):
    return model

def wrong(model, mesh):
    return mesh["colums"]

def alone(model):
    return model

number = 3
"""


@pytest.mark.parametrize(
    ("name", "code", "message", "hint"),
    [
        ("nothing", 2, "nothing returned a value of type NoneType", "returns the model"),
        ("later", 2, "later returned a value of type coroutine", "returns the model"),
        ("wrong", 1, "KeyError", "GPTRACE_DEBUG=1"),
        ("alone", 2, "alone(model) cannot be called with a model and a mesh", "a function (model, mesh)"),
        ("number", 2, "number is of type int, not a function", "a function (model, mesh)"),
        ("missing", 2, "there is no missing", "fine"),
    ],
)
def test_what_is_wrong_with_a_plan_is_told(
    cli: Cli, tmp_path: Path, name: str, code: int, message: str, hint: str
) -> None:
    (tmp_path / "plan.py").write_text(_PLANS)
    outcome = cli("run", "Hello", "-m", "tiny", "--mesh", "a=2", "--parallel", f"{tmp_path}/plan.py:{name}")
    outcome.is_error(code, message, hint)
    if name == "wrong":
        assert 'return mesh["colums"]' in outcome.err


def test_a_model_without_a_plan_needs_one() -> None:
    with pytest.raises(ConfigError, match=r"no plan that shards Own .write a plan: --parallel"):
        gptrace.trace(ids=[1, 2], model=Own(), mesh="tp=2")


def test_a_simulated_rank_has_no_device() -> None:
    with pytest.raises(DeviceError, match="a simulated rank has no device, but the device is cuda"):
        gptrace.trace("Hello", model="tiny", device="cuda", mesh="tp=2")


class Failing(Own):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.embedding(ids)
        raise ValueError("always")


def test_a_failure_is_traced_with_its_mesh() -> None:
    with pytest.raises(ModelCodeError, match="always") as raised:
        gptrace.trace(ids=[1, 2], model=Failing(), mesh="columns=2", parallel=split_head)
    trace = raised.value.trace
    assert isinstance(trace, gptrace.Trace)
    assert trace.mesh is not None
    assert [call.path for call in trace.calls] == ["", "embedding"]
    assert not torch.distributed.is_initialized()


def test_a_process_in_a_group_simulates_nothing() -> None:
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        with pytest.raises(RunError, match="already in a process group"):
            gptrace.trace("Hello", model="tiny", mesh="tp=2")
        assert torch.distributed.is_initialized()
    finally:
        torch.distributed.destroy_process_group()


def test_a_model_that_is_spread_already_is_refused() -> None:
    with pytest.raises(GptraceError, match=r"already spread over a mesh .trace it with gptrace\.watch"):
        gptrace.trace(ids=[1], model=spread("tp=2").module, mesh="tp=2")


class _Attention(torch.nn.Module):
    """A user's model, which views by a number of heads of its own, and has one table in two modules."""

    def __init__(self) -> None:
        super().__init__()
        self.n_heads = 4
        self.emb = torch.nn.Embedding(101, 32)
        self.up, self.down = torch.nn.Linear(32, 64), torch.nn.Linear(64, 32)
        self.head = torch.nn.Linear(32, 101)
        table = torch.ones(16, 32)
        self.table: torch.Tensor
        self.register_buffer("table", table)
        self.head.register_buffer("table", table)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.emb(ids) + self.table[: ids.shape[1]]
        heads = self.up(x).view(*x.shape[:-1], self.n_heads, -1).transpose(1, 2)
        mixed = torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
        result: torch.Tensor = self.head(self.down(mixed.transpose(1, 2).flatten(-2)))
        return result


def _divide_heads(model: Any, mesh: Any) -> Any:
    model.n_heads //= mesh.size()
    return parallelize_module(model, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})


def _cut_by_hand(model: Any, mesh: Any) -> Any:
    model.n_heads //= mesh.size()
    model.up = torch.nn.Linear(32, 64 // mesh.size(), device="meta")
    model.down = torch.nn.Linear(64 // mesh.size(), 32, device="meta")
    return model


def _sizes(trace: gptrace.Trace) -> list[object]:
    """The shapes of all tensors and the costs of a trace, without what is said of this rank."""
    traced: list[Any] = [*trace.calls, *(op for call in trace.calls for op in call.ops)]
    tensors = [
        (spec.name, spec.shape, spec.dims) for each in traced for spec in (*each.inputs, *each.outputs)
    ]
    return [*tensors, *[(call.path, call.macs, call.parameters) for call in trace.calls]]


def test_a_plan_may_change_the_model_and_the_whole_is_as_before() -> None:
    options: Any = {"ids": [[1, 2, 3]], "measure": ["ops", "macs"]}
    whole = gptrace.trace(model=_Attention(), **options)
    ranks = [
        gptrace.trace(model=_Attention(), mesh="tp=2", rank=rank, parallel=_divide_heads, **options)
        for rank in range(2)
    ]
    for trace in ranks:
        assert _sizes(trace) == _sizes(whole)
        view = next(op for op in trace.calls[0].ops if op.name == "view")
        assert (view.outputs[0].shape, view.outputs[0].local_shape) == ((1, 3, 4, 16), (1, 3, 2, 16))
        assert view.outputs[0].split_by == ((), (), ("tp",), ())


def test_a_buffer_in_two_modules_counts_once_in_a_simulation() -> None:
    trace = gptrace.trace(ids=[[1, 2, 3]], model=_Attention(), mesh="tp=2", parallel=_divide_heads)
    assert trace.model.buffers.bytes == 16 * 32 * 4
    assert trace.totals.here is not None
    assert trace.totals.here.buffer_bytes == 16 * 32 * 4


def test_what_a_plan_cuts_by_hand_is_said_to_be_of_one_rank() -> None:
    options: Any = {"ids": [[1, 2, 3]], "model": _Attention(), "mesh": "tp=2"}
    by_hand = gptrace.trace(parallel=_cut_by_hand, **options)
    assert by_hand.totals.here is None
    assert "of this rank alone" in by_hand.notes[0]
    sharded = gptrace.trace(parallel=_divide_heads, **options)
    assert not any("of this rank alone" in note for note in sharded.notes)


def test_the_memory_of_a_rank_has_a_column_where_that_of_the_whole_is_unknown(cli: Cli) -> None:
    sizes = ("--set", "emb_dim=48", "--set", "n_heads=4", "--set", "n_layers=1", "--set", "attention=sdpa")
    outcome = cli("run", "--ids", "1 2 3", *sizes, "--mesh", "tp=2", "--columns", "memory")
    assert outcome.code == 0
    assert "Peak memory here" in outcome.out


_WRONG_PLANS = """
import warnings
import torch
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

def queries_alone(model, mesh):
    plan = {"trf_blocks.0.att.W_query": ColwiseParallel()}
    return parallelize_module(model, mesh, plan, src_data_rank=None)

def another(model, mesh):
    return torch.nn.Linear(3, 4)

def scripted(model, mesh):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        return torch.jit.script(torch.nn.Linear(2, 2))

def lazy(model, mesh):
    model.extra = torch.nn.LazyLinear(3)
    return model

def ends_the_group(model, mesh):
    torch.distributed.destroy_process_group()
    return model
"""


@pytest.mark.parametrize(
    ("name", "code", "message", "hint"),
    [
        ("queries_alone", 1, "must match the size", ""),
        ("another", 2, "", ""),
        ("scripted", 2, "is a block, not a model", "give the whole model"),
        ("lazy", 2, "GPTModel cannot be simulated: Attempted to use an uninitialized parameter", "torchrun"),
        ("ends_the_group", 0, "", ""),
    ],
)
def test_a_plan_that_breaks_the_model_is_no_fault_of_gptrace(
    cli: Cli, tmp_path: Path, name: str, code: int, message: str, hint: str
) -> None:
    (tmp_path / "plan.py").write_text(_WRONG_PLANS)
    outcome = cli("run", "Hello", "-m", "tiny", "--mesh", "tp=2", "--parallel", f"{tmp_path}/plan.py:{name}")
    assert outcome.code == code, outcome.err
    assert "may be a bug" not in outcome.err
    # torch logs the traceback of a kernel that fails on simulated tensors.
    said = [line.split(":")[0] for line in outcome.err.splitlines()]
    assert said == (["error", "hint"] if code else []), outcome.err
    assert message in outcome.out + outcome.err
    assert hint in outcome.err
    assert not torch.distributed.is_initialized()


def test_other_threads_hear_what_torch_logs() -> None:
    log, heard = logging.getLogger("torch._subclasses.fake_tensor"), list[str]()
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    try:
        with SimulatedTensors().running():
            log.error("of the simulation")
            thread = threading.Thread(target=log.error, args=("of another",))
            thread.start()
            thread.join()
        log.error("later")
    finally:
        log.removeHandler(handler)
    assert heard == ["of another", "later"]


def test_threads_simulate_one_after_the_other() -> None:
    meshes: list[Any] = []
    ready = threading.Barrier(3)

    def use(mesh: str) -> None:
        ready.wait()
        trace = gptrace.trace("Hello", model="tiny", mesh=mesh)
        meshes.append(trace.mesh and trace.mesh.dims)

    threads = [threading.Thread(target=use, args=(mesh,)) for mesh in ("tp=2", "fsdp=2", "dp=2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, meshes)) == ["{'dp': 2}", "{'fsdp': 2}", "{'tp': 2}"]
    assert not torch.distributed.is_initialized()


def draws(model: Own, mesh: Any) -> Own:
    model.head = torch.nn.Linear(8, 100)
    random.seed(1)
    torch.manual_seed(1)
    return model


def test_a_plan_leaves_the_random_numbers_as_they_were() -> None:
    model = Own()
    before = torch.get_rng_state(), random.getstate()
    gptrace.trace(ids=[1, 2], model=model, mesh="a=2", parallel=draws)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_a_rank_holds_the_whole_along_dp_alone() -> None:
    options: Any = {"ids": [[1, 2, 3]], "model": "tiny", "measure": "all"}
    alone, trace = gptrace.trace(**options), gptrace.trace(mesh="dp=2", **options)
    here = trace.totals.here
    assert here is not None
    assert (here.macs, here.parameters, here.parameter_bytes, here.traffic) == (
        alone.totals.macs, alone.model.parameters.unique, alone.model.parameters.bytes, (),
    )  # fmt: skip
    for call, whole in zip(trace.calls, alone.calls, strict=True):
        assert call.here is not None
        assert call.here.macs == whole.macs
        assert [spec.local_shape for spec in call.outputs] == [spec.shape for spec in whole.outputs]
