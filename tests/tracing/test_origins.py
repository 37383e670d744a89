"""Where each tensor came from: `from` in the inputs of calls and operations and in the outputs of calls."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.record import Origin, TensorSpec
from gptrace.record.reading import parse
from tests.models.collection import build
from tests.models.right_models import RIGHT_MODELS
from tests.models.toys import Function
from tests.tracing.autograd_truth import AutogradSpy, differences
from tests.tracing.fx_truth import steps_by_fx, steps_by_trace

nn = torch.nn
Tensor = torch.Tensor


def traced(module: nn.Module, *args: Any, inference: bool = False, **kwargs: Any) -> gptrace.Trace:
    with torch.inference_mode(inference), gptrace.watch(module, measure=["ops"]) as trace:
        module(*args, **kwargs)
    return trace


def of(origin: Origin | None) -> str:
    """Say where a tensor came from, as in `1.0` (operation 0 of call 1), `x`, `0.weight` or `?`."""
    if origin is None:
        return "?"
    text = (
        origin.input
        or origin.parameter
        or f"{origin.call}" + (f".{origin.op}" if origin.op is not None else "")
    )
    text += "" if origin.output is None else f"#{origin.output}"
    return " ".join([text, *map(of, origin.also)])


def each(specs: tuple[TensorSpec, ...]) -> list[str]:
    return [of(spec.origin) for spec in specs]


def ops(trace: gptrace.Trace, call: int = 0) -> list[tuple[str, list[str]]]:
    return [(op.name, each(op.inputs)) for op in trace.calls[call].ops]


def function(run: Callable[..., Any], *args: Any, inference: bool = False) -> list[tuple[str, list[str]]]:
    """Return the operations of a function, without the number of the only call."""
    found = ops(traced(Function(run), *args, inference=inference))
    return [(name, [text.replace("0.", "") for text in texts]) for name, texts in found]


@pytest.mark.parametrize("name", RIGHT_MODELS)
def test_autograd_knows_the_same_makers(name: str) -> None:
    model, ids, spy = build(RIGHT_MODELS[name]), torch.arange(16).view(2, 8) % 11 + 1, AutogradSpy()
    with gptrace.watch(model, measure=["ops"]) as trace, spy:
        model(ids)
    assert differences(trace, spy, model) == []
    inputs = [spec for call in trace.calls for op in call.ops for spec in op.inputs]
    unknown = sum(spec.origin is None for spec in inputs)
    # Tables that are plain attributes, which nothing says the origin of.
    assert unknown == {"rotary_complex": 1, "lazy_tables": 2}.get(name, 0)
    assert all(spec.origin is not None for call in trace.calls for spec in (*call.inputs, *call.outputs))


# Others iterate over tensors or ask for sizes, which torch.fx cannot follow.
@pytest.mark.parametrize(
    "name",
    ["einsum_style", "sdpa_causal", "reshape_permute", "sliding_window", "gemma_like", "gru_model",
     "causal_convolution", "batch_second", "functional_dropout", "kept_scores", "attention_sink",
     "softmax_by_hand", "flipped_time", "differential_attention"],
)  # fmt: skip
def test_torch_fx_knows_the_same_steps(name: str) -> None:
    model, ids = build(RIGHT_MODELS[name]), torch.arange(16).view(2, 8) % 11 + 1
    assert steps_by_trace(traced(model, ids), model) == steps_by_fx(model, ids)


@pytest.mark.parametrize("name", ["course_gpt", "blockwise_softmax", "static_cache", "rolled_shift"])
def test_origins_do_not_depend_on_the_mode(name: str) -> None:
    """Tensors of inference mode have no version that tells of writes."""
    ids = torch.arange(16).view(2, 8) % 11 + 1
    assert (
        traced(build(RIGHT_MODELS[name]), ids).calls
        == traced(build(RIGHT_MODELS[name]), ids, inference=True).calls
    )


class Block(nn.Module):
    """A residual block, whose norm begins with a conversion that changes nothing, as that of Llama does."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix, self.drop = Function(self.normalise), nn.Linear(4, 4), nn.Dropout()

    @staticmethod
    def normalise(x: Tensor) -> Tensor:
        x = x.to(torch.float32)
        return x * x.pow(2).mean(-1, keepdim=True)

    def forward(self, x: Tensor) -> Any:
        return x + self.drop(self.mix(self.norm(x)))


@pytest.mark.parametrize("inference", [False, True])
def test_a_residual_connection_starts_at_the_block_before(inference: bool) -> None:
    trace = traced(nn.Sequential(Block(), Block()).eval(), torch.ones(2, 4), inference=inference)
    by_path = {call.path: call for call in trace.calls}
    first, second = by_path["0"].index, by_path["1"].index
    assert ops(trace, first) == [("add", ["input", f"{by_path['0.drop'].index}.0"])]
    assert ops(trace, second) == [("add", [f"{first}.0", f"{by_path['1.drop'].index}.0"])]
    norm = by_path["1.norm"].index
    assert ops(trace, norm) == [
        ("to", [f"{first}.0"]), ("pow", [f"{norm}.0"]), ("mean", [f"{norm}.1"]),
        ("mul", [f"{norm}.0", f"{norm}.2"]),
    ]  # fmt: skip
    assert each(by_path["1.mix"].inputs) == [f"{norm}.3"]
    assert each(by_path["1.drop"].outputs) == [f"{by_path['1.drop'].index}.0"]
    assert each(trace.calls[0].outputs) == each(by_path["1"].outputs) == [f"{second}.0"]


def test_a_module_that_returns_its_input_hands_it_on() -> None:
    trace = traced(nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.ReLU()), torch.ones(2, 4))
    assert [each(call.inputs) for call in trace.calls] == [["input"], ["input"], ["1.0"], ["2"]]
    assert [each(call.outputs) for call in trace.calls] == [["3.0"], ["1.0"], ["1.0"], ["3.0"]]


def test_a_skip_across_containers_and_a_module_that_is_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Sequential(nn.Linear(4, 4)), nn.Sequential(nn.Linear(8, 4))

        def forward(self, x: Tensor) -> Any:
            kept = self.down(x)
            return self.up(torch.cat([self.down(kept), kept], 1))

    trace = traced(Twice(), torch.ones(2, 4))
    assert [(call.path, each(call.inputs)) for call in trace.calls] == [
        ("", ["x"]), ("down", ["x"]), ("down.0", ["x"]), ("down", ["2.0"]), ("down.0", ["2.0"]),
        ("up", ["0.0"]), ("up.0", ["0.0"]),
    ]  # fmt: skip
    assert ops(trace) == [("cat", ["4.0", "2.0"])]


def test_parameters_and_buffers_have_their_first_path() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emb, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
            self.head.weight = self.emb.weight
            self.register_buffer("scale", torch.ones(4))
            self.constant = torch.ones(4)

        def forward(self, ids: Tensor) -> Any:
            # A conversion that changes nothing returns the parameter: it stays one.
            weight = self.emb.weight.to(torch.float32)
            return self.head(self.emb(ids) * self.scale * self.constant) @ weight

    trace = traced(Tied(), torch.tensor([[1, 2]]))
    assert ops(trace) == [
        ("to", ["emb.weight"]), ("mul", ["1.0", "scale"]), ("mul", ["0.1", "?"]),
        ("matmul", ["2.0", "emb.weight"]),
    ]  # fmt: skip
    assert ops(trace, 1) == [("embedding", ["ids", "emb.weight"])]
    assert ops(trace, 2) == [("linear", ["0.2", "emb.weight"])]


def test_the_number_of_an_output_is_there_where_there_are_several() -> None:
    def run(x: Tensor) -> Tensor:
        first, second = x.chunk(2)
        values, order = second.sort()
        return first + values + order

    assert function(run, torch.ones(4, 3)) == [
        ("chunk", ["inputs[0]"]), ("sort", ["0#1"]), ("add", ["0#0", "1#0"]), ("add", ["2", "1#1"]),
    ]  # fmt: skip


@pytest.mark.parametrize("inference", [False, True])
def test_a_write_in_place_is_the_origin_of_all_that_overlaps(inference: bool) -> None:
    def run(x: Tensor) -> Any:
        base = x * 2  # 0
        left, right = base[:, :2], base[:, 2:]  # 1, 2
        flat = base.view(-1)  # 3
        left.add_(1)  # 4
        return base + 1, left + 1, right + 1, flat + 1

    assert function(run, torch.ones(2, 4), inference=inference)[4:] == [
        ("add_", ["1"]), ("add", ["4"]), ("add", ["4"]), ("add", ["2"]), ("add", ["4"]),
    ]  # fmt: skip


@pytest.mark.parametrize("inference", [False, True])
def test_parts_that_different_writes_made_have_several_origins(inference: bool) -> None:
    def run(x: Tensor) -> Any:
        base = torch.empty(2, 4)  # 0
        even, odd = base[:, ::2], base[:, 1::2]  # 1, 2
        even.copy_(x)  # 3
        odd.copy_(x)  # 4
        both = base + 1  # 5
        even.mul_(2)  # 6
        base[0, 0] = 7.0  # 7, which overlaps what 6 has made
        return both, base + 1  # 8

    found = function(run, torch.ones(2, 2), inference=inference)
    assert [found[number] for number in (5, 6, 8)] == [("add", ["4 3"]), ("mul_", ["3"]), ("add", ["7"])]
    # What 7 took came from 6, and from 4 where 6 has not written.
    assert found[7] == ("setitem_", ["6 4"])


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda y: nn.functional.relu(y, inplace=True), "relu"),
        (lambda y: torch.add(y, 1, out=y), "add"),
        (lambda y: y.data.mul_(3), "mul_"),
        (lambda y: y.__setitem__(0, 2.0), "setitem_"),
        (lambda y: y.__imul__(2), "mul_"),
        (torch.relu_, "relu_"),
        (lambda y: torch._foreach_add_([y], 1.0), "_foreach_add_"),
    ],
)
def test_all_ways_to_write_in_place(write: Callable[[Tensor], Any], name: str, inference: bool) -> None:
    def run(x: Tensor) -> Any:
        y = x + 1  # 0
        view = y[1:]  # 1
        write(y)  # 2
        return y + 1, view * y[1:]

    found = function(run, torch.ones(3, 4), inference=inference)
    assert found[2][0] == name
    assert found[3:] == ([("add", ["2"]), ("getitem", ["2"]), ("mul", ["2", "4"])] if name != "setitem_" else
                         [("add", ["2"]), ("getitem", ["2"]), ("mul", ["1", "4"])])  # fmt: skip


@pytest.mark.parametrize("inference", [False, True])
def test_a_change_of_axes_in_place_changes_no_element_of_other_views(inference: bool) -> None:
    def run(x: Tensor) -> Any:
        y = x + 1  # 0
        view = y[:1]  # 1
        y.t_()  # 2
        return view + 1, y + 1

    assert function(run, torch.ones(3, 4), inference=inference)[3:] == [("add", ["1"]), ("add", ["2"])]


def test_buffers_that_are_written_into_come_from_the_writer() -> None:
    norm = nn.BatchNorm1d(4).train()
    trace = traced(nn.Sequential(norm, norm), torch.rand(3, 4))
    assert ops(trace, 1) == [
        ("add_", ["0.num_batches_tracked"]),
        ("batch_norm", ["input", "0.running_mean", "0.running_var", "0.weight", "0.bias"]),
    ]
    assert ops(trace, 2) == [
        ("add_", ["1.0"]), ("batch_norm", ["1.1", "1.1", "1.1", "0.weight", "0.bias"]),
    ]  # fmt: skip


def test_what_is_written_unseen_comes_from_nowhere() -> None:
    """In the backward pass, in C++ or in scripted code no operation is seen; the version tells of it."""
    make: Any = torch.jit.script
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write = make(_adds_one)

    def run(x: Tensor) -> Any:
        y = x + 1
        view = y[1:]
        write(y)
        return y + 1, view + 1, y.add_(1), y + 1

    assert function(run, torch.ones(3))[2:] == [
        ("add", ["?"]), ("add", ["?"]), ("add_", ["?"]), ("add", ["4"]),
    ]  # fmt: skip


def _adds_one(x: Tensor) -> None:
    x.add_(1)


def test_data_is_followed_to_another_tensor() -> None:
    def run(x: Tensor) -> Any:
        y, z = x + 1, x + 2
        alias = y.data
        z.data = y
        return alias * 2, z * 2

    assert function(run, torch.ones(3))[2:] == [("mul", ["0"]), ("mul", ["0"])]


def test_a_module_whose_inside_is_not_recorded_is_the_origin() -> None:
    make: Any = torch.jit.script
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = make(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    fused = nn.TransformerEncoderLayer(4, 2, batch_first=True).eval()
    around = nn.Sequential(nn.Sequential(scripted), fused)
    trace = traced(around, torch.ones(1, 3, 4), inference=True)
    script = next(call for call in trace.calls if call.path == "0.0")
    attention = next(call for call in trace.calls if call.path.endswith("self_attn"))
    assert each(script.outputs) == ["?"]
    assert each(trace.calls[1].outputs) == [f"{script.index}"]
    assert each(attention.inputs)[:1] == [f"{script.index}"]
    dropout = next(call for call in trace.calls if call.path.endswith("dropout1"))
    assert each(dropout.inputs) == [f"{attention.index}"]


def test_hooks_that_replace_what_goes_in_and_out() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    first.register_forward_hook(lambda module, args, output: output * 2)
    second.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    trace = traced(nn.Sequential(first, second), torch.ones(2, 4))
    assert ops(trace, 1) == [("linear", ["input", "0.weight", "0.bias"]), ("mul", ["1.0"])]
    assert each(trace.calls[2].inputs) == ["1.1"]
    assert ops(trace, 2) == [("add", ["1.1"]), ("linear", ["2.0", "1.weight", "1.bias"])]


def test_a_tensor_that_is_freed_is_not_taken_for_another_with_its_id() -> None:
    make: Any = torch.jit.script
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ones = make(_ones)
    ids: list[int] = []

    def run(x: Tensor) -> Any:
        for _ in range(20):
            made = x + 1
            ids.append(id(made))
            del made
            unseen = ones()  # by scripted code: nothing tells where it came from
            ids.append(id(unseen))
            torch.mul(unseen, 2)
            del unseen
        return x

    found = function(run, torch.ones(3))
    assert len(set(ids)) < len(ids)
    assert [texts for name, texts in found if name == "mul"] == [["?"]] * 20


def _ones() -> Tensor:
    return torch.ones(3)


def test_a_storage_that_is_freed_is_not_taken_for_another() -> None:
    keys: list[int] = []

    def run(x: Tensor) -> Any:
        for _ in range(20):
            written = x + 1
            view = written[:2]
            view.add_(1)
            keys.append(written.untyped_storage()._cdata)
            del written, view
            later = x * 2
            keys.append(later.untyped_storage()._cdata)
            x.add(later)
            del later
        return x

    found = function(run, torch.ones(3))
    assert len(set(keys)) < len(keys)
    taken = [(number, texts) for number, (name, texts) in enumerate(found) if texts[1:]]
    assert taken == [(number, ["inputs[0]", f"{number - 1}"]) for number, _ in taken]
    assert len(taken) == 20


def test_no_tensor_is_kept_alive() -> None:
    alive: list[Any] = []

    def run(x: Tensor) -> Any:
        y = x + 1
        view = y[1:]
        view.add_(1)
        alive.extend([weakref.ref(y), weakref.ref(view), weakref.ref(y.untyped_storage())])
        del y, view
        alive.append([each() for each in alive])
        return x

    gc.disable()
    try:
        traced(Function(run), torch.ones(3))
    finally:
        gc.enable()
    assert alive[-1] == [None] * 3


def test_the_inputs_of_a_failed_call_and_a_failed_operation_have_origins() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 2))
    with pytest.raises(RuntimeError), gptrace.watch(model, measure=["ops"]) as trace:
        model(torch.ones(1, 4))
    assert trace.error is not None
    assert each(trace.error.inputs) == each(trace.calls[2].inputs) == ["1.0"]
    (failed,) = trace.calls[2].ops
    assert failed.failed
    assert each(failed.inputs) == ["1.0", "1.weight", "1.bias"]


def test_what_a_failed_call_passed_on_is_undone() -> None:
    def fail(x: Tensor) -> Tensor:
        x.contiguous()
        raise ZeroDivisionError

    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fails = Function(fail)

        def forward(self, x: Tensor) -> Tensor:
            y = x + 1
            with suppress(ZeroDivisionError):
                self.fails(y)
            return y + 1

    assert ops(traced(Tries(), torch.ones(2))) == [("add", ["x"]), ("add", ["0.0"])]


def test_operations_outside_of_all_calls_make_what_nobody_made() -> None:
    layer, kept = nn.Linear(3, 3), torch.ones(2, 3)
    with gptrace.watch(layer, measure=["ops"]) as trace:
        x = kept + 1
        layer(x)
        layer.weight.data.mul_(2)
        layer(x)
    assert [ops(trace, call) for call in (0, 1)] == [
        [("linear", ["input", "weight", "bias"])], [("linear", ["input", "?", "bias"])],
    ]  # fmt: skip


def test_other_threads_have_no_origins() -> None:
    inner = nn.Linear(3, 3)

    class Threaded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.last = inner, nn.ReLU()

        def forward(self, x: Tensor) -> Any:
            found: list[Tensor] = []
            thread = threading.Thread(target=lambda: found.append(self.inner(x)))
            thread.start()
            thread.join()
            return self.last(found[0] + x)

    trace = traced(Threaded(), torch.ones(2, 3))
    assert each(trace.calls[1].inputs) == ["?"]
    assert ops(trace) == [("add", ["?", "x"])]
    assert each(trace.calls[2].inputs) == ["0.0"]


def test_a_pass_of_the_same_shapes_has_its_own_origins() -> None:
    """The specs of the last pass are kept with its names, and only where they are the same."""

    class Routes(gptrace.GPTModel):
        is_crossed = False

        def forward(self, in_idx: Tensor) -> Any:
            a, b = self.tok_emb(in_idx), self.tok_emb(in_idx)
            a, b = a + 1, b + 1
            return self.out_head(b if self.is_crossed else a)

    model = Routes({"emb_dim": 12, "n_heads": 3, "n_layers": 1, "vocab_size": 50, "context_length": 8})
    ids = torch.tensor([[1, 2, 3]])
    found = []
    for model.is_crossed in (False, False, True, False):
        trace = traced(model, ids)
        found.append(each(next(call for call in trace.calls if call.path == "out_head").inputs))
    assert found == [["0.0"], ["0.0"], ["0.1"], ["0.0"]]


def test_each_of_several_passes_has_its_own_numbers() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    with gptrace.watch(layers, measure=["ops"]) as trace:
        for _ in range(3):
            layers(torch.ones(2, 3))
    assert [each(call.inputs) for call in trace.calls if call.path == "1"] == [["1.0"], ["4.0"], ["7.0"]]


def test_without_operations_there_are_no_origins() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    with gptrace.watch(layers, measure=["macs"]) as trace:
        layers(torch.ones(2, 3))
    assert "from" not in trace.to_json()


def test_origins_are_read_back() -> None:
    trace = traced(nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.ReLU()), torch.ones(2, 4))
    assert trace.to_dict()["calls"][2]["inputs"][0]["from"] == {"call": 1, "op": 0}
    assert parse(trace.to_json()) == trace
