"""The boxes of a picture of a trace, and the tensors that flow between them."""

from __future__ import annotations

from typing import Annotated, Literal

from gptrace.record.base import Count, Record, about
from gptrace.record.trace import Dims, Shape, SplitBy


class Node(Record, frozen=True):
    """A call of a module, an operation, or an end of the graph where a tensor enters or leaves it.

    Nodes stand in order of execution, a box before what it contains. Equal blocks are one node: `layers` has
    the index of the call of each. What is inside of block n is found from what is inside of the first: its
    `call` is greater by layers[n] - layers[0].
    """

    id: Count
    parent: Annotated[Count | None, about("id of the box around it; null of the whole model and the ends")]
    kind: Annotated[
        Literal["module", "operation", "input", "output", "parameter"],
        about("a call, an operation, or an end of the graph"),
    ]
    label: Annotated[str, about("name of the attribute, the operation or the argument")]
    call: Annotated[Count | None, about("index of the call, or of that which made the operation")] = None
    op: Annotated[Count | None, about("number of the operation among the ops of the call")] = None
    layers: Annotated[tuple[Count, ...], about("of equal blocks, the indexes of all their calls")] = ()


class Edge(Record, frozen=True):
    """A tensor that flows from one node to another inside of one box.

    `box` is the id of the box whose picture the edge is in, null outside of the model. An edge whose `source`
    is the box itself brings one of its inputs in; one whose `target` is the box takes an output out.
    """

    box: Annotated[Count | None, about("id of the box whose picture it is in; null outside of the model")]
    source: Annotated[Count, about("id of the node that it leaves")]
    target: Annotated[Count, about("id of the node that it enters")]
    shape: Annotated[Shape, about("sizes of the axes")]
    dims: Dims
    tensor: Annotated[Count, about("number of the tensor: edges of one tensor have the same")]
    split_by: SplitBy = ()


class Graph(Record, frozen=True):
    """The nodes and edges of a trace that was recorded with its operations."""

    nodes: Annotated[tuple[Node, ...], about("the nodes in order of execution")]
    edges: Annotated[tuple[Edge, ...], about("the tensors between them")]
