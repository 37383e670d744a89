"""A trace → the graph that its pictures draw: nested boxes, and the tensors that flow between them.

Nothing here imports torch.
"""

from gptrace.graph.building import graph_of

__all__ = ["graph_of"]
