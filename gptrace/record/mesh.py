"""A model that is spread over devices: the mesh, the part of one rank, and the messages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from msgspec.structs import replace

from gptrace.record.base import Count, Positive, Record, about
from gptrace.record.cost import HasCost

Coordinate = Annotated[
    dict[str, Count], about("place of the rank in the mesh: its number along each dimension")
]

# The bytes that each of n ranks sends along a ring, as a multiple of the bytes of the message. nccl-tests
# computes the bandwidth of a bus with the same factors.
_RING_FACTORS = {
    "all_reduce": lambda n: 2 * (n - 1) / n,
    "all_gather": lambda n: (n - 1) / n,
    "reduce_scatter": lambda n: (n - 1) / n,
    "all_to_all": lambda n: (n - 1) / n,
}


class Traffic(Record, frozen=True):
    """Equal messages between the ranks of one group.

    >>> Traffic("all_reduce", "tp", 8, "bfloat16", 1_000_000, 2).ring_bytes
    3500000
    """

    kind: Annotated[str, about("all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, send, …")]
    mesh_dim: Annotated[
        str, about("the mesh dimension along which it travels; empty where its group is none of the mesh's")
    ]
    group_size: Annotated[Positive, about("how many ranks take part")]
    dtype: Annotated[str, about("dtype of the numbers, as torch calls it")]
    bytes: Annotated[
        Count, about("of one message: the whole tensor that is reduced, gathered, scattered or sent")
    ]
    count: Annotated[Positive, about("how many such messages there are")]

    @property
    def total_bytes(self) -> int:
        """The bytes of all these messages."""
        return self.bytes * self.count

    @property
    def ring_bytes(self) -> int | None:
        """An estimate of what each rank sends, if its library uses a ring; None for kinds without one."""
        factor = _RING_FACTORS.get(self.kind)
        return None if factor is None else round(self.total_bytes * factor(self.group_size))


def counted(messages: Iterable[Traffic]) -> tuple[Traffic, ...]:
    """Return the messages with equal ones as one entry, in order of the first of them.

    >>> message = Traffic("all_gather", "fsdp", 2, "float32", 512, 1)
    >>> [each.count for each in counted([message, message, message])]
    [3]
    """
    counts: Counter[Traffic] = Counter()
    for message in messages:
        counts[replace(message, count=1)] += message.count
    return tuple(replace(message, count=count) for message, count in counts.items())


class Here(Record, HasCost, frozen=True):
    """The part of one rank in a module, an operation or the whole model; only what was measured is there.

    Of a call, with that of the calls inside it.
    """

    macs: Annotated[Count | None, about("multiply-accumulates of this rank")] = None
    macs_unknown: Annotated[tuple[str, ...], about("kernels of unknown cost, which are not in macs")] = ()
    parameters: Annotated[Count | None, about("how many numbers of the parameters this rank holds")] = None
    parameter_bytes: Annotated[Count | None, about("bytes of the parameters that this rank holds")] = None
    buffer_bytes: Annotated[Count | None, about("bytes of the buffers that this rank holds")] = None
    peak_bytes: Annotated[Count | None, about("peak memory of activations on this rank")] = None
    traffic: Annotated[
        tuple[Traffic, ...], about("the messages in which this rank takes part, equal ones as one entry")
    ] = ()


class RankFacts(Record, frozen=True):
    """The totals of one rank of a measured run."""

    rank: Annotated[Count, about("number of the rank")]
    coordinate: Coordinate
    here: Annotated[Here, about("what this rank holds and does")]


class RankDifference(Record, frozen=True):
    """A fact in which a rank differs from rank 0, beyond the sizes of its shards."""

    rank: Annotated[Count, about("number of the rank")]
    what: Annotated[str, about("what differs, such as calls or traffic")]
    here: Annotated[str, about("how it is on this rank")]
    there: Annotated[str, about("how it is on rank 0")]
    path: Annotated[str, about("path of the module; empty for the model itself")] = ""


class Mesh(Record, frozen=True):
    """The mesh of devices that a model is spread over, seen by one rank.

    >>> Mesh({"fsdp": 128, "tp": 8}, 9, {"fsdp": 1, "tp": 1}, True, "fake", "built in").size
    1024
    """

    dims: Annotated[
        dict[str, Positive],
        about("size of each dimension of the mesh, the outermost first"),
    ]
    rank: Annotated[Count, about("number of the rank whose record this is")]
    coordinate: Coordinate
    simulated: Annotated[bool, about("true where one process stands for all ranks, and nothing travels")]
    backend: Annotated[str, about("what carries the messages, as torch calls it: gloo, nccl, fake, …")]
    plan: Annotated[
        str, about("what spread the model: built in, transformers, FILE.py:FUNCTION; empty for its own code")
    ]
    ranks: Annotated[tuple[RankFacts, ...], about("the totals of every rank, where they were measured")] = ()
    differing: Annotated[
        tuple[RankDifference, ...], about("the facts in which a rank differs from rank 0")
    ] = ()

    @property
    def size(self) -> int:
        """How many ranks the mesh has."""
        return math.prod(self.dims.values())
