"""A trace → its graph: a box for each call, a node for each operation, an edge for each tensor that flows."""

from __future__ import annotations

from gptrace.graph.call_tree import CallTree
from gptrace.graph.edges import GraphEdges
from gptrace.graph.folding import Folds, folds_of
from gptrace.graph.nodes import GraphNodes
from gptrace.graph.uses import TensorUses
from gptrace.record import Trace
from gptrace.record.graph import Graph


def graph_of(trace: Trace, *, fold: bool = True) -> Graph:
    """Return the graph of a trace. Tensors between modules are in it only if the trace has operations.

    With `fold`, equal blocks in a row are one node.

    >>> import gptrace
    >>> graph = graph_of(gptrace.trace("Hello", model="tiny", measure="ops"))
    >>> [node.label for node in graph.nodes if node.parent is None]
    ['in_idx', 'GPTModel', 'output']
    """
    tree = CallTree(trace.calls, trace.model.parameters.tied)
    uses = TensorUses(trace)
    folds = folds_of(trace, tree, uses) if fold else Folds([call.index for call in trace.calls], {})
    nodes = GraphNodes(trace, tree, folds, uses)
    return Graph(tuple(nodes.nodes), GraphEdges(trace, nodes, folds, uses).edges)
