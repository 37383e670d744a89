"""Graphs of models as people write them: every edge has a recorded origin, every origin a path of edges."""

from __future__ import annotations

from typing import Any

import pytest
import transformers

import gptrace
from gptrace.graph import graph_of
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace
from gptrace.record.graph import Graph
from tests.graph.explained import Explanation
from tests.models.collection import build
from tests.models.right_models import RIGHT_MODELS

nn = torch.nn
IDS = torch.tensor([[1, 5, 2, 7]])


def traced(model: Any, *args: Any, **kwargs: Any) -> Trace:
    with torch.no_grad(), gptrace.watch(model, measure="ops") as trace:
        model(*args, **kwargs)
    return trace


def drawn(trace: Trace) -> Graph:
    graph = graph_of(trace)
    explanation = Explanation(trace, graph)
    assert (explanation.unexplained, explanation.unfounded) == ([], [])
    assert explanation.uses > len(trace.calls)
    return graph


def blocks(graph: Graph) -> list[str]:
    return [node.label for node in graph.nodes if node.layers]


@pytest.mark.parametrize("name", RIGHT_MODELS)
def test_every_edge_of_a_right_model_is_recorded(name: str) -> None:
    drawn(traced(build(RIGHT_MODELS[name]), IDS))


def test_the_blocks_of_a_gpt_are_one_box() -> None:
    graph = drawn(gptrace.trace("Hello, I am", model="tiny", measure="ops"))
    assert blocks(graph) == ["0–1"]
    labels = [node.label for node in graph.nodes]
    [block] = [node.id for node in graph.nodes if node.layers]
    inside = [(labels[edge.source], labels[edge.target]) for edge in graph.edges if edge.box == block]
    assert inside == [
        ("0–1", "norm1"), ("norm1", "att"), ("att", "drop_shortcut"), ("0–1", "add"),
        ("drop_shortcut", "add"), ("add", "norm2"), ("norm2", "ff"), ("ff", "drop_shortcut (2)"),
        ("add", "add"), ("drop_shortcut (2)", "add"), ("add", "0–1"),
    ]  # fmt: skip
    assert [edge.dims for edge in graph.edges if edge.target == len(labels) - 1] == [
        ("batch", "seq_len", "vocab_size")
    ]


def test_a_llama() -> None:
    config = transformers.LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    graph = drawn(traced(transformers.LlamaForCausalLM(config).eval(), input_ids=IDS, use_cache=False))
    assert blocks(graph) == ["layers.0–3"]


def test_the_memory_of_an_encoder_goes_into_every_block_of_the_decoder() -> None:
    config = transformers.T5Config(
        vocab_size=300, d_model=32, d_kv=8, d_ff=64, num_layers=4, num_heads=4, decoder_start_token_id=0
    )
    model = transformers.T5ForConditionalGeneration(config).eval()
    trace = traced(model, input_ids=IDS, decoder_input_ids=IDS, use_cache=False)
    graph = drawn(trace)
    assert blocks(graph) == ["block.1–3", "block.1–3"]  # the first has the relative positions
    [encoder, decoder] = [node.id for node in graph.nodes if node.label in ("encoder", "decoder")]
    [memory] = {edge.tensor for edge in graph.edges if (edge.source, edge.target) == (encoder, decoder)}
    into = [
        graph.nodes[edge.target].label
        for edge in graph.edges
        if edge.box == decoder and edge.tensor == memory
    ]
    assert into == ["block.0", "block.1–3"]


class Skips(nn.Module):
    """A convolutional net with a skip across its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(channels, 8, 3, padding=1) for channels in (3, 8, 8))
        self.up = nn.ModuleList(nn.Conv2d(16, 8, 3, padding=1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for layer in self.down:
            x = layer(x).relu_()
            kept.append(x)
        for layer, skip in zip(self.up, reversed(kept[:-1]), strict=True):
            x = layer(torch.cat([x, skip], 1))
        return x


def test_a_net_with_skips_and_writes_in_place() -> None:
    graph = drawn(traced(Skips(), torch.ones(1, 3, 16, 16)))
    labels = [node.label for node in graph.nodes]
    assert [(edge.source, edge.target) for edge in graph.edges if labels[edge.target] == "cat"] == [
        (7, 8),
        (5, 8),
        (9, 10),
        (3, 10),
    ]  # the tensors after each relu_, the skips second
    assert [labels[number] for number in (3, 5, 7, 9)] == ["relu_", "relu_", "relu_", "up.0"]
