"""Every kind of module that people have: what the record says of it, and what the table shows."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jsonschema
import pytest
import transformers

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.report.schemas import SCHEMAS
from tests.conftest import Outcome

nn = torch.nn
Cli = Callable[..., Outcome]


def traced(module: nn.Module, *inputs: Any, **named: Any) -> gptrace.Trace:
    """Trace a call; check that the table has a row for each call, and that the JSON is as its schema says."""
    with torch.no_grad(), gptrace.watch(module) as trace:
        module(*inputs, **named)
    jsonschema.validate(json.loads(trace.to_json()), SCHEMAS["trace"])
    assert "\x1b" not in str(trace)
    return trace


def rows(trace: gptrace.Trace) -> list[str]:
    """The rows of the table, without the gaps between columns."""
    lines = str(trace).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("──"))
    return [" ".join(line.split()) for line in lines[start + 1 : lines.index("", start)]]


def shapes(trace: gptrace.Trace) -> list[tuple[str, list[tuple[int, ...]]]]:
    return [(call.path, [spec.shape for spec in call.outputs]) for call in trace.calls]


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
    assert (trace.model.parameters.unique, trace.model.buffer_bytes) == (0, 4 * 4 * 2 + 8)
    assert trace.model.dtype == "none"
    assert rows(traced(nn.Identity(), torch.ones(2))) == ["Identity [2] → same –"]


def test_frozen_and_half() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).requires_grad_(False)).bfloat16()
    trace = traced(layers, torch.ones(1, 3, dtype=torch.bfloat16))
    assert (trace.model.parameters.trainable, trace.model.parameters.bytes) == (12, 48)
    assert trace.calls[2].parameters.trainable == 0
    assert trace.calls[2].outputs[0].dtype == "bfloat16"


@pytest.mark.filterwarnings("ignore")
def test_quantised_modules() -> None:
    made: Any = torch.ao.quantization.quantize_dynamic
    layers = made(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), {nn.Linear}, dtype=torch.qint8)
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
    assert "[6, 4] (local [3, 4])" in str(trace)


def test_the_fused_encoder_is_said_to_be_off() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    trace = traced(layer, torch.ones(1, 3, 8))
    assert "linear1" in [call.path for call in trace.calls]
    assert trace.notes == (
        "traced without the fused fast path of TransformerEncoderLayer: the submodules run one by one, "
        "and the last digits may differ",
    )
    assert traced(layer.train(), torch.ones(1, 3, 8)).notes == ()


@pytest.mark.parametrize(
    "mode",
    [torch.inference_mode, torch.no_grad, torch.enable_grad, lambda: torch.autocast("cpu", torch.bfloat16)],
)
def test_in_every_mode(mode: Callable[[], Any]) -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.ones(2, 3)
    with mode():
        plain = layers(x)
        with gptrace.watch(layers, measure=["all"]) as trace:
            seen = layers(x)
    assert torch.equal(plain, seen)
    assert trace.totals.cost is not None
    assert trace.totals.cost.macs == 2 * (3 * 4 + 4 * 2)
    assert plain.requires_grad == seen.requires_grad
    assert plain.dtype == seen.dtype


def test_two_threads_that_watch_one_module_see_each_its_own() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    barrier, found = threading.Barrier(2), {}

    def work(rows: int) -> None:
        with gptrace.watch(layers) as trace:
            barrier.wait()
            for _ in range(50):
                layers(torch.ones(rows, 3))
            barrier.wait()
        found[rows] = trace

    threads = [threading.Thread(target=work, args=(rows,)) for rows in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows_, trace in found.items():
        assert len(trace.calls) == 150
        assert {spec.shape[0] for call in trace.calls for spec in call.inputs} == {rows_}


def fingerprint(module: nn.Module) -> str:
    """Everything of a module and of torch that a trace must leave alone."""
    digest = hashlib.sha256()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name} {tensor.dtype} {tensor.requires_grad} {id(tensor)}".encode())
        digest.update(tensor.detach().numpy().tobytes())
    for name, part in module.named_modules():
        hooks = [
            len(value)
            for key, value in sorted(vars(part).items())
            if "hook" in key and isinstance(value, dict)
        ]
        digest.update(f"{name} {part.training} {hooks} {sorted(vars(part))}".encode())
    digest.update(torch.get_rng_state().numpy().tobytes())
    digest.update(f"{torch.is_grad_enabled()} {torch.is_inference_mode_enabled()}".encode())
    return digest.hexdigest()


class Stateful(nn.Module):
    def __init__(self, error: type[BaseException] | None) -> None:
        super().__init__()
        self.emb, self.drop = nn.Embedding(50257, 6), nn.Dropout(0.5)
        self.norm, self.head = nn.BatchNorm1d(6), nn.Linear(6, 50257)
        self.error = error

    def forward(self, ids: Any) -> Any:
        x = self.drop(self.emb(ids))
        x = self.norm(x.transpose(1, 2)).transpose(1, 2) + torch.rand(1)
        if self.error:
            raise self.error("now")
        return self.head(x)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("measure", [[], ["all"]])
def test_everything_is_as_it_was(error: type[BaseException] | None, measure: list[str]) -> None:
    model = Stateful(error).train()
    model.drop.eval()
    before = fingerprint(model)
    if error is None:
        gptrace.trace("Hello, I am", model=model, measure=measure)
    else:
        with pytest.raises((gptrace.GptraceError, KeyboardInterrupt)):
            gptrace.trace("Hello, I am", model=model, measure=measure)
    assert fingerprint(model) == before
    # What the caller's own call changes is the caller's: watching it changes nothing more.
    torch.manual_seed(3)
    other = Stateful(error).train()
    other.load_state_dict(model.state_dict())
    other.drop.eval()
    ids = torch.tensor([[1, 2, 3]])
    found: list[object] = []
    for each in (model, other):
        torch.manual_seed(3)
        try:
            if each is model:
                with gptrace.watch(each, measure=measure):
                    each(ids)
            else:
                each(ids)
        except BaseException as raised:
            found.append(type(raised))
        found.append(torch.get_rng_state().tolist())
        found.append({name: value.tolist() for name, value in each.named_buffers()})
    assert found[: len(found) // 2] == found[len(found) // 2 :]


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
    done = cli(
        "run", "Hello", "-m", f"{tmp_path}/wide.py:Wide", "--device", "meta", "--columns", "macs", "--json"
    )
    trace = json.loads(done.out)
    assert (trace["totals"]["macs"], trace["predictions"]) == (50257 * 1_000_000, [])
    assert trace["calls"][2]["outputs"][0]["dims"] == ["batch", "seq_len", "vocab_size"]
    cli("run", "--ids", "60000", "-m", f"{tmp_path}/wide.py:Wide", "--device", "meta").is_error(2, "id 60000")
    assert os.path.exists(tmp_path)


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


def test_a_module_with_its_own_equality() -> None:
    class Odd(nn.Linear):
        def __eq__(self, other: object) -> Any:
            return torch.ones(2)

        __hash__ = nn.Module.__hash__

    assert len(traced(Odd(3, 3), torch.ones(1, 3)).calls) == 1


def test_other_threads_and_backward_passes_are_said_to_be_uncounted() -> None:
    layer = nn.Linear(4, 4)
    with gptrace.watch(layer, measure=["macs"]) as trace:
        thread = threading.Thread(target=lambda: layer(torch.ones(1, 4)))
        thread.start()
        thread.join()
        layer(torch.ones(1, 4)).sum().backward()
    assert [call.cost and (call.cost.macs, call.cost.unknown) for call in trace.calls] == [
        (0, ("another thread",)), (16, ()),
    ]  # fmt: skip
    assert trace.notes == ("16 more MACs ran outside of any call, for example in a backward pass",)


def test_checkpointed_parts_have_not_failed() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))

        def forward(self, x: Any) -> Any:
            from torch.utils.checkpoint import checkpoint

            run: Any = checkpoint
            return run(self.inner, x, use_reentrant=False)

    model = Checkpointed()
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 3, requires_grad=True)).sum().backward()
    assert not any(call.failed for call in trace.calls)
