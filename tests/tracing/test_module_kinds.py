"""Every kind of module that people have: what the record says of it, and what the table shows."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import transformers

import gptrace
from gptrace.model.quiet_torch import torch
from tests.models.toys import Function
from tests.support import Cli, traced

nn = torch.nn


def rows(trace: gptrace.Trace) -> list[str]:
    """The rows of the table, without the gaps between columns."""
    lines = str(trace).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("──"))
    return [" ".join(line.split()) for line in lines[start + 1 : lines.index("", start)]]


def test_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            return self.layer(self.layer(x))

    trace = traced(Twice(), torch.ones(2, 3))
    assert [(call.path, call.call, call.calls) for call in trace.calls[1:]] == [
        ("layer", 1, 2),
        ("layer", 2, 2),
    ]
    assert rows(trace) == [
        "Twice [2, 3] → same 12", "├ layer Linear [2, 3] → same 12", "└ layer (2) Linear [2, 3] → same above",
    ]  # fmt: skip
    assert trace.model.parameters.unique == 12


def test_shared_by_two_parents() -> None:
    shared = nn.Linear(3, 3)
    both = nn.Sequential(nn.Sequential(shared), nn.Sequential(shared))
    trace = traced(both, torch.ones(2, 3))
    assert [(call.path, call.parameters.total) for call in trace.calls] == [
        ("", 12), ("0", 12), ("0.0", 12), ("1", 12), ("0.0", 12),
    ]  # fmt: skip
    assert trace.uncalled == ()
    assert trace.model.parameters.unique == 12
    assert trace.model.parameters.tied == (("0.0.weight", "1.0.weight"), ("0.0.bias", "1.0.bias"))


def test_calling_itself() -> None:
    class Recursive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Any, depth: int) -> Any:
            return self(self.layer(x), depth - 1) if depth else x

    trace = traced(Recursive(), torch.ones(1, 3), 2)
    assert [(call.depth, call.path, call.call) for call in trace.calls] == [
        (0, "", 1), (1, "layer", 1), (1, "", 2), (2, "layer", 2), (2, "", 3),
    ]  # fmt: skip


def test_never_called_and_containers() -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
            self.by_name = nn.ModuleDict({"a": nn.ReLU(), "b": nn.GELU()})
            self.spare = nn.Linear(9, 9)

        def forward(self, x: Any) -> Any:
            for block in self.blocks:
                x = self.by_name["a"](block(x))
            return x

    trace = traced(Holder(), torch.ones(1, 3))
    assert trace.uncalled == ("by_name.b", "spare")
    assert "not called: by_name.b, spare" in str(trace)
    assert trace.notes == ()


def test_modules_that_were_not_reached_are_told_in_a_few_words() -> None:
    blocks = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)) for _ in range(12)))
    network = nn.Sequential(nn.Linear(3, 4), blocks, nn.ReLU(), nn.ModuleDict({"norm": nn.LayerNorm(3)}))
    with pytest.raises(RuntimeError), gptrace.watch(network) as trace:
        network(torch.ones(1, 2))
    assert len(trace.uncalled) > 30
    assert "not reached: 1–3\n" in str(trace)
    blocks[1] = nn.Sequential(nn.Linear(3, 3), nn.Linear(9, 3))
    with pytest.raises(RuntimeError), gptrace.watch(blocks) as trace:
        blocks(torch.ones(1, 3))
    assert "not reached: 2–11\n" in str(trace)


def test_forward_called_directly() -> None:
    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block: Any = nn.Sequential(nn.Linear(3, 3))

        def forward(self, x: Any) -> Any:
            return self.block.forward(x)

    trace = traced(Direct(), torch.ones(1, 3))
    assert [call.path for call in trace.calls] == ["", "block.0"]
    assert trace.notes == (
        "no row for block: submodules ran, but nothing called the module itself; "
        "module(x) is traced, module.forward(x) skips the hooks",
    )
    assert "note: no row for block" in str(trace)


def test_several_inputs_and_keywords_alone() -> None:
    class Keywords(nn.Module):
        def forward(self, *, left: Any, right: Any, scale: float = 1.0, name: str = "x") -> Any:
            return left + right * scale

    trace = traced(Keywords(), left=torch.ones(2), right=torch.ones(2, 2), name="\x1b[31m")
    assert [(spec.name, spec.shape) for spec in trace.calls[0].inputs] == [("left", (2,)), ("right", (2, 2))]
    assert rows(trace) == ["Keywords [2], [2, 2] → [2, 2] –"]
    many = traced(nn.Bilinear(2, 3, 4), torch.ones(5, 2), torch.ones(5, 3))
    assert [spec.name for spec in many.calls[0].inputs] == ["input1", "input2"]


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass
class Record:
    hidden: Any
    rest: Any


def test_outputs_of_every_kind() -> None:
    class Nested(nn.Module):
        def forward(self, x: Any) -> Any:
            return {
                "pair": Pair(x, [x, (x[0], None, 5, "text")]),
                "record": Record(x[:0], torch.tensor(1.0)),
                7: transformers.modeling_outputs.BaseModelOutput(last_hidden_state=x),
                "ints": torch.arange(3),
            }

    trace = traced(Nested(), torch.ones(2, 3))
    assert [(spec.name, spec.shape) for spec in trace.calls[0].outputs] == [
        ("output.pair.first", (2, 3)), ("output.pair.second[0]", (2, 3)), ("output.pair.second[1][0]", (3,)),
        ("output.record.hidden", (0, 3)), ("output.record.rest", ()), ("output[7].last_hidden_state", (2, 3)),
        ("output.ints", (3,)),
    ]  # fmt: skip
    assert "… 4 more" in str(trace)


def test_a_cache_of_keys_and_values() -> None:
    config = transformers.GPT2Config(n_embd=8, n_head=2, n_layer=2, n_positions=16, vocab_size=20)
    model = transformers.GPT2LMHeadModel(config).eval()
    trace = traced(model, torch.tensor([[1, 2, 3]]), use_cache=True)
    names = {spec.name: spec.shape for spec in trace.calls[0].outputs}
    assert names["output.logits"] == (1, 3, 20)
    assert names["output.past_key_values.layers[1].values"] == (1, 2, 3, 4)


def test_in_place_operations_after_a_module() -> None:
    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            y = self.layer(x)
            return y.unsqueeze_(0).double()

    trace = traced(Grows(), torch.ones(2, 3))
    assert trace.calls[1].outputs[0].shape == (2, 3)
    assert (trace.calls[0].outputs[0].shape, trace.calls[0].outputs[0].dtype) == ((1, 2, 3), "float64")


def test_parametrised_modules() -> None:
    module = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    trace = traced(nn.Sequential(module), torch.ones(2, 3))
    assert [call.type for call in trace.calls] == [
        "Sequential",
        "ParametrizedLinear",
        "ParametrizationList",
        "_WeightNorm",
    ]
    assert trace.model.parameters.unique == 4 + 4 + 12
    assert traced(nn.Sequential(module), torch.ones(2, 3)).calls[1].outputs[0].shape == (2, 4)


def test_lazy_modules() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that they may change
        lazy = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    trace = traced(lazy, torch.ones(2, 3))
    assert [(call.type, call.parameters.total) for call in trace.calls] == [
        ("Sequential", 16), ("Linear", 16), ("ReLU", 0),
    ]  # fmt: skip


def test_buffers_alone_and_nothing_at_all() -> None:
    trace = traced(nn.BatchNorm1d(4, affine=False).eval(), torch.ones(2, 4))
    assert (trace.model.parameters.unique, trace.model.buffers.bytes) == (0, 4 * 4 * 2 + 8)
    assert trace.model.dtype == "none"
    assert rows(traced(nn.Identity(), torch.ones(2))) == ["Identity [2] → same –"]


def test_frozen_and_half() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).requires_grad_(False)).bfloat16()
    trace = traced(layers, torch.ones(1, 3, dtype=torch.bfloat16))
    assert (trace.model.parameters.trainable, trace.model.parameters.bytes) == (12, 48)
    assert trace.calls[2].parameters.trainable == 0
    assert trace.calls[2].outputs[0].dtype == "bfloat16"


def test_device_meta_for_ones_own_class(cli: Cli, tmp_path: Any) -> None:
    (tmp_path / "wide.py").write_text(
        "from torch import nn\n"
        "class Wide(nn.Module):\n"
        "    def __init__(self, vocab_size=50257, emb_dim=1_000_000):\n"
        "        super().__init__()\n"
        "        self.emb = nn.Embedding(vocab_size, emb_dim)\n"
        "        self.head = nn.Linear(emb_dim, vocab_size)\n"
        "    def forward(self, ids):\n"
        "        return self.head(self.emb(ids))\n"
    )
    outcome = cli(
        "run", "Hello", "-m", f"{tmp_path}/wide.py:Wide", "--device", "meta", "--columns", "macs", "--json"
    )
    trace = json.loads(outcome.out)
    assert (trace["totals"]["macs"], trace["predictions"]) == (50257 * 1_000_000, [])
    assert trace["calls"][2]["outputs"][0]["dims"] == ["batch", "seq_len", "vocab_size"]
    cli("run", "--ids", "60000", "-m", f"{tmp_path}/wide.py:Wide", "--device", "meta").is_error(2, "id 60000")


def test_a_module_with_its_own_equality() -> None:
    class Odd(nn.Linear):
        def __eq__(self, other: object) -> Any:
            return torch.ones(2)

        __hash__ = nn.Module.__hash__

    assert len(traced(Odd(3, 3), torch.ones(1, 3)).calls) == 1


def test_a_container_that_gives_more_each_time_breaks_nothing() -> None:
    class Growing(dict[str, torch.Tensor]):
        def items(self) -> Any:
            self[f"more{len(self)}"] = torch.ones(2)
            return dict(self).items()

    module = Function(lambda x: Growing(x=x))
    with gptrace.watch(module, measure="all") as trace:
        module(torch.ones(1))
    assert [spec.name for spec in trace.calls[0].outputs] == ["output.x", "output.more1"]
    assert all(spec.statistics for spec in trace.calls[0].outputs)
