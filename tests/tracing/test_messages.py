"""The messages between processes, by the kernels that send them; a fake group sends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch.distributed as distributed
import torch.distributed._functional_collectives as functional
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.testing._internal.distributed.fake_pg import FakeStore

import gptrace
from gptrace.model.quiet_torch import torch

# torch has new names for some functions, which older versions do not have.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")


@pytest.fixture
def mesh() -> Iterator[Any]:
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    yield init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    distributed.destroy_process_group()


class Sends(torch.nn.Module):
    """Sends each kind of message once, as user code does, among the two processes of "tp"."""

    def __init__(self, mesh: Any) -> None:
        super().__init__()
        self.group = mesh.get_group("tp")
        # Not used; it makes the model one that is spread.
        self.table = torch.nn.Parameter(distribute_tensor(torch.ones(4), mesh["tp"], [Shard(0)]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole, part, group = x.new_zeros(8), x.new_zeros(4), self.group
        distributed.all_reduce(whole, group=group)
        distributed.all_gather([part, part.clone()], part.clone(), group=group)
        distributed.all_gather_into_tensor(whole, part, group=group)
        distributed.reduce_scatter(part, [part.clone(), part.clone()], group=group)
        distributed.reduce_scatter_tensor(part, whole, group=group)
        distributed.all_to_all([part, part.clone()], [part.clone(), part.clone()], group=group)
        distributed.all_to_all_single(whole, whole.clone(), group=group)
        distributed.broadcast(whole, group=group, group_src=0)
        distributed.reduce(whole, group=group, group_dst=0)
        distributed.scatter(part, [part.clone(), part.clone()], group=group, group_src=0)
        distributed.gather(part, [part.clone(), part.clone()], group=group, group_dst=0)
        distributed.send(whole, group=group, group_dst=1)
        distributed.recv(whole, group=group, group_src=1)
        distributed.barrier(group)
        return x


class SendsFunctionally(Sends):
    """Sends by functions that return a new tensor, as DTensor and torch.compile do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole, part, group = x.new_zeros(8), x.new_zeros(4), self.group
        received = [
            functional.all_reduce(whole, "sum", group),
            *functional.all_reduce_coalesced([whole, part], "sum", group),
            functional.all_gather_tensor(part, 0, group),
            functional.reduce_scatter_tensor(whole, "sum", 0, group),
            functional.all_to_all_single(whole, None, None, group),
            functional.broadcast(whole, 0, group),
        ]
        for tensor in received:
            functional.wait_tensor(tensor)  # type: ignore[no-untyped-call]
        return x


def messages(model: torch.nn.Module) -> list[tuple[str, int, int]]:
    """The kind, bytes and count of all messages, of which each is on "tp", between two, in float32."""
    with gptrace.watch(model) as trace:
        model(torch.ones(2))
    here = trace.calls[0].here
    assert here is not None
    assert {(each.mesh_dim, each.group_size, each.dtype) for each in here.traffic} == {("tp", 2, "float32")}
    return sorted((each.kind, each.bytes, each.count) for each in here.traffic)


def test_each_message_counts_its_whole_tensor(mesh: Any) -> None:
    once = ("broadcast", "gather", "receive", "reduce", "scatter", "send", "all_reduce")
    twice = ("all_gather", "all_to_all", "reduce_scatter")
    assert messages(Sends(mesh)) == sorted(
        [*((kind, 32, 1) for kind in once), *((kind, 32, 2) for kind in twice)]
    )


def test_functional_messages_count_alike(mesh: Any) -> None:
    once = ("all_gather", "reduce_scatter", "all_to_all", "broadcast")
    assert messages(SendsFunctionally(mesh)) == sorted(
        [*((kind, 32, 1) for kind in once), ("all_reduce", 32, 2), ("all_reduce", 16, 1)]
    )


def test_a_group_that_is_no_mesh_dimension_has_no_name(mesh: Any) -> None:
    model = Sends(mesh)
    model.group = distributed.new_group([0, 3])
    with gptrace.watch(model) as trace:
        model(torch.ones(2))
    assert trace.totals.here is not None
    assert {each.mesh_dim for each in trace.totals.here.traffic} == {""}
