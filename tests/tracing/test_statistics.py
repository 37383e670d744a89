"""The numbers that a trace shows are those that were there: beside plain hooks, and whatever is measured."""

from __future__ import annotations

import gc
import random
import threading
import warnings
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

import gptrace
from gptrace.measures import MEASURES
from gptrace.model.quiet_torch import torch
from gptrace.tracing.memory import shares_memory
from gptrace.tracing.parameters import count_all, count_by_module, named_modules_with_aliases, parameter_refs
from tests.models.toys import Function

nn = torch.nn
Work = Callable[[torch.Tensor], Any]
Mode = Callable[[], AbstractContextManager[Any]]


class Then(nn.Module):
    """Changes what its part returned, on its way out or on its way into another part."""

    def __init__(self, change: Work) -> None:
        super().__init__()
        self.first, self.change, self.second = nn.Linear(4, 4), change, nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.change(self.first(x)))
        return result


def _in_numpy(x: torch.Tensor) -> torch.Tensor:
    (x.detach() if x.requires_grad else x).numpy()[0] = 7  # in inference mode no kernel runs
    return x


def _tripled(x: torch.Tensor) -> torch.Tensor:
    x.detach().mul_(3)
    return x


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    _scripted = torch.jit.script(_tripled)  # which shows its kernels, and no functions


def _elsewhere(x: torch.Tensor) -> torch.Tensor:
    thread = threading.Thread(target=lambda: x.detach().div_(0).sub_(1))
    thread.start()
    thread.join()
    return x


def _shorter(x: torch.Tensor) -> torch.Tensor:
    x.data = x.data[:1]
    return x


def _in_pieces(x: torch.Tensor) -> torch.Tensor:
    torch._foreach_mul_([x.detach()], 2)
    return x


CHANGES: dict[str, Work] = {
    "nothing": lambda x: x,
    "a view": lambda x: x.view_as(x),
    "numpy": _in_numpy,
    "scripted": _scripted,
    "another thread": _elsewhere,
    "shorter": _shorter,
    "foreach": _in_pieces,
    "apply": lambda x: x.detach().apply_(lambda number: number + 1),
    "map": lambda x: x.detach().map_(torch.ones(2, 4), lambda a, b: a + b),
    "empty": lambda x: x[:0],
    "to NaN": lambda x: x.detach().mul_(float("nan")),
    "to 8 bits": lambda x: x.to(torch.float8_e4m3fn),
    "mean of nothing": lambda x: x[:0].mean(),
}


def shown(trace: gptrace.Trace) -> dict[tuple[str, int], tuple[Any, ...] | None]:
    found = {(call.path, call.call): call.outputs[0].statistics for call in trace.calls}
    return {key: (one.mean, one.nan, one.infinite) if one else None for key, one in found.items()}


def truth(module: nn.Module, run: Callable[[], object]) -> dict[tuple[str, int], tuple[Any, ...] | None]:
    """What plain hooks see, each number by itself."""
    found: dict[tuple[str, int], tuple[Any, ...] | None] = {}
    calls: Counter[str] = Counter()

    def look(path: str) -> Any:
        def hook(_: nn.Module, __: Any, output: torch.Tensor) -> None:
            calls[path] += 1
            values = output.detach().reshape(-1)
            if not values.is_floating_point() or not len(values) or values.dtype == torch.float8_e4m3fn:
                found[path, calls[path]] = None
                return
            finite = [one for one in values.double().tolist() if one - one == 0]
            mean = pytest.approx(sum(finite) / len(finite), rel=1e-5, abs=1e-6) if finite else None
            nan = sum(one != one for one in values.tolist())
            found[path, calls[path]] = (mean, nan, len(values) - len(finite) - nan)

        return hook

    handles = [one.register_forward_hook(look(path)) for path, one in module.named_modules()]
    run()
    for handle in handles:
        handle.remove()
    return found


# In inference mode tensors count no writes, and nobody sees what another thread does.
UNSEEN = ("another thread", torch.inference_mode)
MODES: list[Mode] = [torch.no_grad, torch.enable_grad, torch.inference_mode]
KNOWN = [(name, mode) for name in CHANGES for mode in MODES if (name, mode) != UNSEEN]


@pytest.mark.parametrize("measure", [["statistics"], ["statistics", "macs"], ["all"]])
@pytest.mark.parametrize(("name", "mode"), KNOWN)
def test_the_statistics_are_those_of_that_moment(name: str, mode: Mode, measure: list[str]) -> None:
    module, x = Then(CHANGES[name]), torch.linspace(-1, 1, 8).view(2, 4)
    with mode():
        expected = truth(module, lambda: module(x))
        with gptrace.watch(module, measure=measure) as trace:
            module(x)
    assert shown(trace) == expected


@pytest.mark.parametrize(("name", "mode"), KNOWN)
def test_the_first_nan_is_the_same_whatever_else_is_measured(name: str, mode: Mode) -> None:
    module, x = nn.Sequential(Then(CHANGES[name]), Function(lambda x: x.float().mean())), torch.ones(2, 4)
    notes = []
    for measure in (["statistics"], ["all"]):
        with mode(), gptrace.watch(module, measure=measure) as trace:
            module(x)
        notes.append(trace.notes)
    assert notes[0] == notes[1]
    assert bool(notes[0]) == (name in ("another thread", "empty", "to NaN", "mean of nothing"))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_buffer_that_is_filled_again_is_looked_at_again(mode: Mode) -> None:
    numpy = pytest.importorskip("numpy")
    buffer = numpy.ones((3, 4), dtype="float32")
    module, x = nn.Sequential(nn.Identity(), nn.Linear(4, 4)), torch.from_numpy(buffer)
    with mode(), gptrace.watch(module, measure="all") as trace:
        for value in (1, 5, float("nan")):
            buffer[...] = value
            module(x)
    seen = [call.outputs[0].statistics for call in trace.calls if call.path == "0"]
    assert [one.mean if one else 0 for one in seen] == [1, 5, None]
    assert trace.notes == ()


def test_running_statistics_are_looked_at_again() -> None:
    norm = nn.BatchNorm1d(4)
    norm.num_batches_tracked = None
    running = Function(lambda _: norm.running_mean)
    module = nn.ModuleDict({"running": running, "norm": norm})

    def run() -> None:
        for part in (running, norm, running):
            part(torch.full((3, 4), 50.0))

    with torch.no_grad(), gptrace.watch(module, measure="all") as trace:
        run()
    seen = [call.outputs[0].statistics for call in trace.calls if call.path == "running"]
    assert [one and one.mean for one in seen] == [0, 5]


def test_what_runs_in_somebodys_own_kernel_is_looked_at_again() -> None:
    inner, outer = nn.Linear(4, 4), nn.Identity()

    @torch.library.custom_op("gptrace_tests::around", mutates_args=())
    def around(x: torch.Tensor) -> torch.Tensor:
        return outer(inner(x).mul_(3)).clone()  # type: ignore[no-any-return]

    module = nn.ModuleDict({"inner": inner, "outer": outer})
    x = torch.ones(2, 4)
    with torch.no_grad(), gptrace.watch(module, measure="all") as trace:
        around(x)
    (before, after) = (call.outputs[0].statistics for call in trace.calls)
    assert before is not None
    assert after is not None
    assert after.mean == pytest.approx(3 * (before.mean or 0), rel=1e-5)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.GELU(), nn.ReLU(inplace=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.parts(x)
        return result


def _masked(x: torch.Tensor) -> torch.Tensor:
    return x.masked_fill(torch.ones_like(x, dtype=torch.bool).triu(1), float("-inf"))


@pytest.mark.parametrize("measure", [*MEASURES, "all"])
@pytest.mark.parametrize("backward_inside", [True, False])
@pytest.mark.parametrize(
    "part",
    [Residual(), nn.Sequential(nn.Linear(4, 4), Function(_masked), nn.Softmax(-1))],
    ids=["residual", "masked"],
)
def test_a_checkpoint_saves_what_it_saves_untraced(
    part: nn.Module, backward_inside: bool, measure: str
) -> None:
    from torch.utils.checkpoint import checkpoint

    run: Any = checkpoint
    x = torch.randn(4, 4, requires_grad=True)
    run(part, x, use_reentrant=False).sum().backward()
    expected, x.grad = x.grad, None
    with gptrace.watch(part, measure=[measure]) as trace:
        output = run(part, x, use_reentrant=False)
        if backward_inside:
            output.sum().backward()
    if not backward_inside:
        output.sum().backward()
    assert x.grad is not None
    assert expected is not None
    assert torch.equal(x.grad, expected)
    assert trace.error is None


def test_a_graph_holds_nothing_of_the_tracers() -> None:
    module = nn.Sequential(nn.Linear(4, 4), Function(_masked), nn.Softmax(-1))
    saved: list[list[tuple[int, ...]]] = []
    for measure in ([], ["all"]):
        shapes: list[tuple[int, ...]] = []

        def keep(tensor: torch.Tensor, shapes: list[tuple[int, ...]] = shapes) -> torch.Tensor:
            shapes.append(tuple(tensor.shape))
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            if measure:
                with gptrace.watch(module, measure=measure):
                    module(torch.ones(4, 4))
            else:
                module(torch.ones(4, 4))
        saved.append(shapes)
    assert saved[0] == saved[1]


@pytest.mark.parametrize("measure", [[], *([one] for one in MEASURES), ["all"]])
def test_nothing_is_held_when_the_block_has_ended(measure: list[str]) -> None:
    module, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), torch.ones(2, 4)
    alive = weakref.ref(module)
    gc.collect()
    gc.disable()
    try:
        with gptrace.watch(module, measure=measure) as trace:
            output = module(x)
        del module
        assert alive() is None
    finally:
        gc.enable()
    assert len(trace.calls) == 3
    assert not weakref.getweakrefcount(x)
    assert not weakref.getweakrefcount(output)


def test_fake_tensors_are_not_touched() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), warnings.catch_warnings():
        warnings.simplefilter("error")
        module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        with gptrace.watch(module, measure="all") as trace:
            module(torch.ones(2, 4))
    assert [call.outputs[0].shape for call in trace.calls] == [(2, 4)] * 3
    assert [call.outputs[0].statistics for call in trace.calls] == [None] * 3


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


def test_what_calls_the_functions_that_it_is_given_has_an_unknown_cost() -> None:
    def chosen(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.ops.higher_order.cond(
            x.sum() > 0, lambda x: (x @ x,), lambda x: (x,), (x,)
        )[0]
        return result

    module = Function(chosen)
    with torch.no_grad(), gptrace.watch(module, measure="all") as trace:
        assert torch.equal(module(torch.ones(2, 2)), torch.full((2, 2), 2.0))
    assert trace.calls[0].cost is not None
    assert trace.calls[0].cost.unknown == ("cond",)


def test_what_is_written_where_the_caller_says_is_no_new_memory() -> None:
    buffer, x = torch.empty(1000), torch.ones(1000)
    with torch.no_grad():
        module = Function(lambda x: torch.add(x, 1, out=buffer))
        with gptrace.watch(module, measure=["memory", "ops"]) as trace:
            module(x)
        assert trace.totals.peak_bytes == 0
        module = Function(lambda x: torch.transpose(input=x, dim0=0, dim1=1))
        with gptrace.watch(module, measure="ops") as trace:
            module(torch.ones(2, 3))
    assert [op.is_view for op in trace.calls[0].ops] == [True]


def test_sharing_memory() -> None:
    x = torch.ones(2, 3)
    assert shares_memory(x[0], [None, 1, torch.ones(2), x])
    assert not shares_memory(x + 1, [x, torch.ones(2).to_sparse(), torch.ones(2, device="meta")])
    assert not shares_memory(torch.ones(2).to_sparse(), [x])


KNOWN_ERROR = ValueError("known")


def _caught(x: torch.Tensor) -> torch.Tensor:
    with suppress(ValueError):
        raise KNOWN_ERROR
    return x


def _while_handling(error: Exception, module: nn.Module) -> gptrace.Trace:
    with suppress(ValueError), gptrace.watch(module) as trace:
        try:
            raise error
        except ValueError:
            module(torch.ones(1))
    return trace


def test_an_exception_that_is_raised_again_is_a_failure() -> None:
    def again(_: torch.Tensor) -> None:
        raise known

    known = ValueError("known")
    trace = _while_handling(known, nn.Sequential(Function(again)))
    assert [call.failed for call in trace.calls] == [True, True]
    assert trace.error is not None
    assert trace.error.path == "0"


@pytest.mark.parametrize("work", [lambda x: x, lambda x: _caught(x)], ids=["returns", "catches it again"])
def test_an_exception_that_is_only_being_handled_is_no_failure(work: Work) -> None:
    trace = _while_handling(KNOWN_ERROR, nn.Sequential(Function(work)))
    assert [call.failed for call in trace.calls] == [False, False]
    assert trace.error is None


def _random_module(rng: random.Random, pool: list[nn.Module], depth: int) -> nn.Module:
    module = nn.Module()
    for index in range(rng.randint(0, 2)):
        module.register_parameter(
            f"p{index}", rng.choice([None, nn.Parameter(torch.ones(rng.randint(0, 5)))])
        )
    held = [one for other in pool for one in other._parameters.values() if one is not None]
    if held and rng.random() < 0.3:
        module.tied = rng.choice(held)
    for index in range(rng.randint(0, 3) if depth else 0):
        shared = rng.random() < 0.2 and depth < 3
        child = rng.choice(pool) if shared and pool else _random_module(rng, pool, depth - 1)
        module.add_module(f"m{index}", child)
    pool.append(module)
    return module


def test_parameters_are_counted_once_in_whatever_holds_them() -> None:
    rng = random.Random(5)
    for _ in range(200):
        module = _random_module(rng, [], 4)
        modules = list(named_modules_with_aliases(module))
        held = parameter_refs(modules)
        counts = count_by_module(modules, held)
        assert count_all(held).unique == sum(one.numel() for one in module.parameters())
        named = dict(module.named_modules(remove_duplicate=False))
        assert [path for path, _ in modules] == list(named)
        for path, one in named.items():
            total = sum({id(p): p.numel() for p in one.parameters()}.values())
            own = sum({id(p): p.numel() for p in one.parameters(recurse=False)}.values())
            known = counts.get(path)
            found = (known.own, known.total, known.bytes) if known else (0, 0, 0)
            assert found == (own, total, 4 * total)
