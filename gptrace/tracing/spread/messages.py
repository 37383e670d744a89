"""Kernels of torch.distributed → the messages between processes: their kind, size and group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from gptrace.model.dtypes import dtype_name
from gptrace.model.quiet_torch import torch
from gptrace.record import Traffic

Tensor = torch.Tensor
# The whole tensor of each message: one tensor, or the parts of it on all ranks.
Payload = Iterable[list[Tensor]]
_Arguments = tuple[Any, ...]


class _Collective(NamedTuple):
    """The kind of a kernel, and how to find its messages and its group in its arguments and its result."""

    kind: str
    payload: Callable[[_Arguments, Any], Payload]
    group: int  # the position of the group among the arguments


def _collective(func: Any) -> _Collective | None:
    return _COLLECTIVES.get(func.namespace, {}).get(func.overloadpacket.__name__)


def _each(position: int) -> Callable[[_Arguments, Any], Payload]:
    """Each tensor of an argument is a message."""
    return lambda args, _: [[tensor] for tensor in _tensors(args[position])]


def _all(position: int) -> Callable[[_Arguments, Any], Payload]:
    """The tensors of an argument are the parts of one message."""
    return lambda args, _: [_tensors(args[position])]


def _lists(position: int) -> Callable[[_Arguments, Any], Payload]:
    """Each list in an argument has the parts of one message."""
    return lambda args, _: args[position]


def _result(_: _Arguments, result: Any) -> Payload:
    """Each tensor that is returned is a message."""
    return [[tensor] for tensor in _tensors(result)]


def _transposed(position: int) -> Callable[[_Arguments, Any], Payload]:
    """The lists in an argument have one part of each message."""
    return lambda args, _: [list(parts) for parts in zip(*args[position], strict=True)]


def _on_root(lists: int, others: int) -> Callable[[_Arguments, Any], Payload]:
    """The root has the parts of the message in a list; of the other ranks, each has one of the parts."""

    def payload(args: _Arguments, _: Any) -> Payload:
        return args[lists] or [_tensors(args[others]) * _group(args[2]).size()]

    return payload


# The kernels that change their arguments, as torch.distributed.all_reduce does, and the functional ones, as
# DTensor uses them. Kernels that only wait, or order what runs, carry nothing and are not in the table.
_COLLECTIVES = {
    "c10d": {
        "allreduce_": _Collective("all_reduce", _each(0), 1),
        "allreduce_coalesced_": _Collective("all_reduce", _each(0), 1),
        "allgather_": _Collective("all_gather", _lists(0), 2),
        "allgather_coalesced_": _Collective("all_gather", _transposed(0), 2),
        "_allgather_base_": _Collective("all_gather", _each(0), 2),
        "allgather_into_tensor_coalesced_": _Collective("all_gather", _each(0), 2),
        "reduce_scatter_": _Collective("reduce_scatter", _lists(1), 2),
        "_reduce_scatter_base_": _Collective("reduce_scatter", _each(1), 2),
        "reduce_scatter_tensor_coalesced_": _Collective("reduce_scatter", _each(1), 2),
        "alltoall_": _Collective("all_to_all", _all(1), 2),
        "alltoall_base_": _Collective("all_to_all", _each(1), 2),
        "broadcast_": _Collective("broadcast", _each(0), 1),
        "reduce_": _Collective("reduce", _each(0), 1),
        "scatter_": _Collective("scatter", _on_root(1, 0), 2),
        "gather_": _Collective("gather", _on_root(0, 1), 2),
        "send": _Collective("send", _each(0), 1),
        "recv_": _Collective("receive", _each(0), 1),
        "recv_any_source_": _Collective("receive", _each(0), 1),
    },
    "_c10d_functional": {
        "all_reduce": _Collective("all_reduce", _each(0), 2),
        "all_reduce_": _Collective("all_reduce", _each(0), 2),
        "all_reduce_coalesced": _Collective("all_reduce", _each(0), 2),
        "all_reduce_coalesced_": _Collective("all_reduce", _each(0), 2),
        "all_gather_into_tensor": _Collective("all_gather", _result, 2),
        "all_gather_into_tensor_out": _Collective("all_gather", _result, 2),
        "all_gather_into_tensor_coalesced": _Collective("all_gather", _result, 2),
        "reduce_scatter_tensor": _Collective("reduce_scatter", _each(0), 3),
        "reduce_scatter_tensor_out": _Collective("reduce_scatter", _each(0), 3),
        "reduce_scatter_tensor_coalesced": _Collective("reduce_scatter", _each(0), 3),
        "all_to_all_single": _Collective("all_to_all", _each(0), 3),
        "broadcast": _Collective("broadcast", _each(0), 2),
        "broadcast_": _Collective("broadcast", _each(0), 2),
        "isend": _Collective("send", _each(0), 3),
        "irecv": _Collective("receive", _each(0), 3),
    },
    "_dtensor": {"shard_dim_alltoall": _Collective("all_to_all", _each(0), 3)},
}
_COLLECTIVES["_c10d_functional_autograd"] = _COLLECTIVES["_c10d_functional"]


def messages_of(func: Any, args: _Arguments, result: Any, mesh_dims: Mapping[str, str]) -> list[Traffic]:
    """Return the messages that a kernel has sent and received, none for a kernel of another kind.

    `mesh_dims` are the mesh dimensions by the names of their groups. The size of a message is that of the
    whole tensor that is reduced, gathered or scattered.
    """
    collective = _collective(func)
    if collective is None:
        return []
    group = _group(args[collective.group])
    mesh_dim = mesh_dims.get(group.group_name, "")
    return [
        _message(collective.kind, mesh_dim, group.size(), dtype_name(parts[0].dtype), sum(map(_bytes, parts)))
        for parts in collective.payload(args, result)
        if parts
    ]


def is_collective(func: Any) -> bool:
    """Tell whether a kernel sends or receives messages."""
    return _collective(func) is not None


def is_awaited_at_once(func: Any, args: _Arguments) -> bool:
    """Tell whether the caller of this kernel waits for its messages before anything else."""
    for position, argument in enumerate(func._schema.arguments):
        if argument.name in ("async_op", "asyncOp"):
            return not (args[position] if position < len(args) else argument.default_value)
    return False


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors in a value of a kernel, and in the lists in it."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


# The blocks of a model send equal messages.
_message = lru_cache(maxsize=1000)(
    lambda kind, mesh_dim, size, dtype, nbytes: Traffic(kind, mesh_dim, size, dtype, nbytes, 1)
)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _tensors(value: Tensor | list[Tensor]) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else list(value)


def _group(value: Any) -> Any:
    """Return a process group, which a kernel gets by its name, as itself, or in a box."""
    if isinstance(value, str):
        return torch._C._distributed_c10d._resolve_process_group(value)  # type: ignore[arg-type]
    kind = torch.distributed.ProcessGroup
    return value if isinstance(value, kind) else kind.unbox(value)
