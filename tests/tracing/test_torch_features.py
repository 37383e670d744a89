"""What torch makes of modules and tensors: compiled, scripted, quantised, sparse, nested, spread or fake."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from tests.support import traced

nn = torch.nn


def shapes(trace: gptrace.Trace) -> list[tuple[str, list[tuple[int, ...]]]]:
    return [(call.path, [spec.shape for spec in call.outputs]) for call in trace.calls]


@pytest.mark.filterwarnings("ignore")
def test_quantised_modules() -> None:
    quantize: Any = torch.ao.quantization.quantize_dynamic
    layers = quantize(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), {nn.Linear}, dtype=torch.qint8)
    with torch.no_grad(), gptrace.watch(layers, measure=["macs"]) as trace:
        layers(torch.ones(2, 8))
    assert shapes(trace) == [("", [(2, 4)]), ("0", [(2, 4)]), ("1", [(2, 4)])]
    assert trace.totals.cost is not None
    assert trace.totals.cost.unknown != ()  # it multiplies, in a kernel that nobody told us about


def test_sparse_tensors() -> None:
    class Sparse(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.to_sparse()

    with gptrace.watch(sparse := Sparse(), measure=["all"]) as trace:
        sparse(torch.eye(3))
    assert trace.calls[0].outputs[0].shape == (3, 3)


def test_scripted_modules_are_one_row() -> None:
    make: Any = torch.jit.script
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has plans to part with it
        scripted = make(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
    trace = traced(nn.Sequential(scripted, nn.Linear(4, 2)), torch.ones(1, 3))
    assert [(call.path, call.outputs[0].shape) for call in trace.calls] == [
        ("", (1, 2)), ("0", (1, 4)), ("1", (1, 2)),
    ]  # fmt: skip
    assert trace.uncalled == ()


def test_the_axes_of_a_model_that_was_recorded_have_names() -> None:
    """A copy of such a module is of another class than the module itself."""
    record: Any = torch.jit.trace
    ids = torch.tensor([[1, 2, 3, 4]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recorded = record(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9)), ids)
    trace = gptrace.trace(ids=ids.tolist(), model=recorded)
    assert trace.calls[0].outputs[0].dims == ("batch", "seq_len", "9")


def test_compiled_modules_are_traced_as_they_were_written() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    compiled: Any = torch.compile(layers, backend="eager")
    trace = traced(compiled, torch.ones(1, 3))
    assert [call.path for call in trace.calls] == ["", "_orig_mod", "_orig_mod.0", "_orig_mod.1"]
    assert trace.notes == ("compiled modules run uncompiled while they are traced: the model itself",)


def test_data_parallel() -> None:
    trace = traced(nn.DataParallel(nn.Linear(3, 4)), torch.ones(2, 3))
    assert shapes(trace) == [("", [(2, 4)]), ("module", [(2, 4)])]


@pytest.fixture
def two_processes() -> Iterator[Any]:
    """A process group of two that is one, and pretends."""
    from torch import distributed
    from torch.testing._internal.distributed.fake_pg import FakeStore

    init: Any = distributed.init_process_group
    init("fake", store=FakeStore(), rank=0, world_size=2)
    yield distributed.device_mesh.init_device_mesh("cpu", (2,))
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore")
def test_tensors_spread_over_processes_say_what_is_here(two_processes: Any) -> None:
    from torch.distributed.tensor import DTensor, Shard, distribute_module

    sharded: Any = distribute_module(nn.Linear(4, 4), two_processes)
    x = DTensor.from_local(torch.ones(3, 4), two_processes, [Shard(0)])
    trace = traced(sharded, x)
    assert (trace.calls[0].inputs[0].shape, trace.calls[0].inputs[0].local_shape) == ((6, 4), (3, 4))
    assert trace.to_dict()["calls"][0]["outputs"][0]["local_shape"] == [3, 4]
    assert "6/dim_0" in str(trace)  # the column "here": an axis without a name by its size


def test_the_fused_encoder_is_said_to_be_off() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    trace = traced(layer, torch.ones(1, 3, 8))
    assert "linear1" in [call.path for call in trace.calls]
    assert trace.notes == (
        "traced without the fused fast path of TransformerEncoderLayer: the submodules run one by one, "
        "and the last digits may differ",
    )
    assert traced(layer.train(), torch.ones(1, 3, 8)).notes == ()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("measure", [[], ["macs"], ["statistics"], ["all"]])
def test_tensors_of_odd_kinds_pass_through(measure: list[str]) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    layer = nn.Linear(4, 8)
    for layout in (torch.jagged, torch.strided):
        nested = torch.nested.nested_tensor([torch.randn(3, 4), torch.randn(2, 4)], layout=layout)
        with torch.no_grad(), gptrace.watch(layer, measure=measure) as trace:
            layer(nested)
        json.dumps(trace.to_dict())
    with FakeTensorMode():
        fake = nn.Linear(4, 8)
        with gptrace.watch(fake, measure=measure) as trace:
            fake(torch.randn(3, 4))
        assert trace.calls[0].outputs[0].shape == (3, 8)
    with gptrace.watch(layer, measure=measure):
        torch.func.vmap(layer)(torch.ones(3, 4))
    with gptrace.watch(layer, measure=measure):
        torch.export.export(layer, (torch.ones(3, 4),), strict=False)


def test_fake_tensors_are_not_touched() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), warnings.catch_warnings():
        warnings.simplefilter("error")
        module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        with gptrace.watch(module, measure="all") as trace:
            module(torch.ones(2, 4))
    assert [call.outputs[0].shape for call in trace.calls] == [(2, 4)] * 3
    assert [call.outputs[0].statistics for call in trace.calls] == [None] * 3


class Flexible(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Any) -> Any:
        from torch.nn.attention.flex_attention import flex_attention

        q, k, v = self.qkv(x).view(*x.shape[:2], 3, 2, 4).permute(2, 0, 3, 1, 4)
        return flex_attention(q, k, v, score_mod=lambda score, b, h, i, j: torch.where(i >= j, score, -9.0))


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("measure", [[], ["ops"], ["macs"], ["all"]])
def test_what_torch_compiles_itself_is_one_operation(measure: list[str]) -> None:
    model, x = Flexible(), torch.randn(1, 5, 8)
    with torch.no_grad():
        expected = model(x)
        with gptrace.watch(model, measure=measure) as trace:
            assert torch.equal(model(x), expected)
    found = [operation for operation in trace.calls[0].ops if operation.name == "flex_attention"]
    assert len(found) == (measure in (["ops"], ["all"]))
    for operation in found:
        assert "test_torch_features.py" in str(operation.source)
        assert [spec.shape for spec in operation.inputs[:3]] == [(1, 2, 5, 4)] * 3
        assert operation.outputs[0].shape == (1, 2, 5, 4)
    if measure in (["macs"], ["all"]):
        assert trace.totals.cost is not None
        assert any("flex_attention" in name for name in trace.totals.cost.unknown)
