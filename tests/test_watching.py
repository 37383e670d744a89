"""`gptrace.watch`: every call recorded, nothing changed, nothing left behind."""

from __future__ import annotations

import copy
import hashlib
import pickle
import threading
from io import BytesIO
from typing import Any

import pytest
from llms_from_scratch.ch04 import GPTModel as CourseModel

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.tracing import resized_runs

nn = torch.nn
IDS = torch.tensor([[15496, 11, 314, 716]])


def state_of(module: Any) -> str:
    """A hash of all that a trace must leave as it was."""
    digest = hashlib.sha256()
    saved = BytesIO()
    torch.save([[*module.named_parameters()], [*module.named_buffers()], torch.get_rng_state()], saved)
    digest.update(saved.getvalue())
    for path, submodule in module.named_modules():
        hooks = [*submodule._forward_hooks.values(), *submodule._forward_pre_hooks.values()]
        extra = [submodule._forward_hooks_with_kwargs, submodule._forward_hooks_always_called]
        digest.update(repr((path, submodule.training, hooks, [len(one) for one in extra])).encode())
    digest.update(repr((torch.is_grad_enabled(), torch.is_inference_mode_enabled())).encode())
    return digest.hexdigest()


def test_the_124m_model_has_199_calls_of_187_modules(gpt2_small: GPTModel) -> None:
    with torch.no_grad(), gptrace.watch(gpt2_small) as trace:
        gpt2_small(IDS)
    assert trace.totals.calls == len(trace.calls) == 199
    assert trace.totals.modules == len({call.path for call in trace.calls}) == 187
    assert trace.uncalled == ()
    assert trace.calls[0].path == ""
    assert trace.calls[0].parent is None
    assert trace.calls[0].parameters.total == 163_009_536
    assert all(call.parent is not None and call.parent < call.index for call in trace.calls[1:])
    shortcut = [call for call in trace.calls if call.path == "trf_blocks.3.drop_shortcut"]
    assert [(call.call, call.calls) for call in shortcut] == [(1, 2), (2, 2)]


def test_logits_are_bit_identical_traced_and_untraced(gpt2_small: GPTModel) -> None:
    with torch.no_grad():
        bare = gpt2_small(IDS)
        with gptrace.watch(gpt2_small):
            traced = gpt2_small(IDS)
    assert torch.equal(bare, traced)


def test_the_main_line_goes_from_ids_to_vocabulary(tiny: GPTModel) -> None:
    with gptrace.watch(tiny) as trace:
        tiny(IDS)
    assert [step.at for step in trace.flow] == [
        "input", "tok_emb", "drop_emb", "trf_blocks", "final_norm", "out_head",
    ]  # fmt: skip
    assert trace.flow[0].dims == ("batch", "seq_len")
    assert trace.flow[1].dims == ("batch", "seq_len", "emb_dim")
    assert trace.flow[-1].dims == ("batch", "seq_len", "vocab_size")
    assert trace.flow[-1].shape == (1, 4, 50257)


def test_nothing_is_left_behind_after_success(tiny: GPTModel) -> None:
    tiny.trf_blocks[0].train()  # a flag of one's own
    before = state_of(tiny)
    gptrace.trace("Hello", model=tiny)
    assert state_of(tiny) == before


class Faulty(nn.Module):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.fine = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.error = error
        self.inner = Raising(error)

    def forward(self, x: torch.Tensor) -> object:
        return self.inner(self.fine(x))


class Raising(nn.Module):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: torch.Tensor) -> object:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_exception_goes_on_unchanged_and_is_described(error: BaseException) -> None:
    module = Faulty(error)
    before = state_of(module)
    with pytest.raises(type(error)) as caught, gptrace.watch(module) as trace:
        module(torch.ones(2, 3))
    assert caught.value is error
    assert state_of(module) == before
    assert [(call.path, call.failed) for call in trace.calls] == [
        ("", True),
        ("fine", False),
        ("inner", True),
    ]
    assert trace.error is not None
    assert (trace.error.path, trace.error.type) == ("inner", type(error).__name__)
    assert trace.error.inputs[0].shape == (2, 3)
    assert "raised" in str(trace)
    assert trace.to_dict()["error"]["path"] == "inner"


def test_an_exception_that_the_model_catches_closes_its_spans() -> None:
    class Forgiving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad = Raising(ValueError("caught"))
            self.good = nn.ReLU()

        def forward(self, x: torch.Tensor) -> object:
            try:
                return self.bad(x)
            except ValueError:
                return self.good(x)

    module = Forgiving()
    with gptrace.watch(module) as trace:
        module(torch.ones(1))
    assert [(call.path, call.parent, call.failed) for call in trace.calls] == [
        ("", None, False), ("bad", 0, True), ("good", 0, False),
    ]  # fmt: skip
    assert trace.error is None


def test_a_call_inside_an_except_clause_has_not_failed() -> None:
    module = nn.ReLU()
    with gptrace.watch(module) as trace:
        try:
            raise ValueError("something else")
        except ValueError:
            module(torch.ones(1))
    assert not trace.calls[0].failed
    assert trace.calls[0].outputs[0].shape == (1,)


def test_hooks_of_the_users_own_are_kept_and_seen_from_outside() -> None:
    module = nn.Linear(2, 2)
    seen: list[str] = []
    module.register_forward_pre_hook(lambda m, a: (torch.cat([a[0], a[0]]),))

    def cut(module: object, args: object, out: torch.Tensor) -> torch.Tensor:
        seen.append("mine")
        return out[:, :1]

    module.register_forward_hook(cut)
    hooks = [*module._forward_hooks], [*module._forward_pre_hooks]
    with gptrace.watch(module) as trace:
        out = module(torch.ones(3, 2))
    assert seen == ["mine"]
    assert out.shape == (6, 1)
    assert trace.calls[0].inputs[0].shape == (3, 2)  # what the caller gave
    assert trace.calls[0].outputs[0].shape == (6, 1)  # what the caller got
    assert ([*module._forward_hooks], [*module._forward_pre_hooks]) == hooks


def test_facts_are_taken_before_later_in_place_operations() -> None:
    module = nn.Identity()
    with gptrace.watch(module) as trace:
        module(torch.ones(2, 3)).resize_(6)
    assert trace.calls[0].outputs[0].shape == (2, 3)


def test_what_is_never_called_is_listed_and_containers_are_not() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.ModuleList([nn.ReLU(), nn.ReLU()])
            self.unused = nn.Sequential(nn.ReLU())

        def forward(self, x: torch.Tensor) -> object:
            return self.used[0](x)

    module = Partly()
    with gptrace.watch(module) as trace:
        module(torch.ones(1))
    assert trace.uncalled == ("used.1", "unused", "unused.0")
    with gptrace.watch(module) as trace:
        pass
    assert trace.calls == ()
    assert str(trace)


def test_two_traces_in_two_threads_and_one_inside_another(tiny: GPTModel) -> None:
    other = nn.Sequential(nn.Linear(2, 2))
    with gptrace.watch(tiny) as outer, torch.no_grad():
        thread_trace: list[gptrace.Trace] = []

        def work() -> None:
            with gptrace.watch(other) as trace:
                other(torch.ones(1, 2))
            thread_trace.append(trace)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with gptrace.watch(tiny) as inner:
            tiny(IDS)
        tiny(IDS)
    assert thread_trace[0].totals.calls == 2
    assert inner.totals.calls * 2 == outer.totals.calls


def test_one_module_in_several_threads() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(4)))
    with gptrace.watch(model) as trace:
        threads = [
            threading.Thread(target=lambda: [model(torch.ones(2, 4)) for _ in range(20)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert trace.totals.calls == 80 * 13
    assert sum(call.parent is None for call in trace.calls) == 80
    assert not any(call.failed for call in trace.calls)
    assert all(call.outputs for call in trace.calls)
    assert max(call.depth for call in trace.calls) == 2


def test_copies_of_a_watched_module_run_and_carry_no_hooks_of_ours() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    x = torch.ones(1, 4)
    with gptrace.watch(model) as trace:
        replica: Any = copy.copy(model)
        replica._is_replica = True  # as DataParallel makes them
        copied = copy.deepcopy(model)
        saved = pickle.loads(pickle.dumps(model))
        model(x)
        for other in (replica, copied, saved):
            assert torch.equal(other(x), model(x))
    assert trace.calls[0].path == ""
    assert all(
        hook.__module__ == "gptrace.tracing.hooks" and hook(1, 2) is None
        for other in (copied, saved)
        for hook in other._forward_hooks.values()
    )  # inert


def test_a_failure_to_describe_does_not_hide_the_users_own() -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LazyLinear(3)

        def forward(self, x: object) -> object:
            raise ValueError("the user's own")

    module = Lazy()
    with pytest.raises(ValueError, match="the user's own"), gptrace.watch(module) as trace:
        module(torch.ones(1))
    assert trace.error is not None
    assert trace.model.parameters.total == 0


def test_a_container_that_cannot_be_looked_into_does_not_stop_the_forward_pass() -> None:
    class Stubborn(dict[str, object]):
        def items(self) -> Any:
            raise RuntimeError("not for you")

    class Returns(nn.Module):
        def forward(self, x: object) -> object:
            return Stubborn(a=x)

    module = Returns()
    with gptrace.watch(module) as trace:
        module(torch.ones(1))
    assert trace.calls[0].outputs == ()
    nested: Any = torch.ones(1)
    for _ in range(40):
        nested = [nested, nested]
    identity = nn.Identity()
    with gptrace.watch(identity) as trace:
        identity(nested)
    assert 0 < len(trace.calls[0].inputs) < 10


def test_a_module_with_two_parents_is_used_in_both() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.Linear(2, 2)
            self.a, self.b = nn.ModuleList([layer]), nn.ModuleList([layer])

        def forward(self, x: torch.Tensor) -> object:
            return self.b[0](x)

    module = Shared()
    with gptrace.watch(module) as trace:
        module(torch.ones(1, 2))
    assert trace.uncalled == ()
    assert trace.calls[0].parameters.total == 6


def test_counts_of_frozen_half_and_buffered_models() -> None:
    module = nn.Sequential(nn.Linear(4, 4).half(), nn.BatchNorm1d(4))
    module[0].bias.requires_grad_(False)
    with gptrace.watch(module) as trace:
        pass
    count = trace.model.parameters
    assert (count.total, count.trainable, count.bytes) == (28, 24, 20 * 2 + 8 * 4)
    assert trace.model.buffer_bytes == 4 * 4 + 4 * 4 + 8
    with gptrace.watch(module[1]) as trace:
        module[1](torch.ones(2, 4))
    assert 0 < trace.calls[0].seconds == trace.totals.seconds


class Disturbing(GPTModel):
    """A model that draws random numbers, counts its calls and keeps a cache."""

    count: torch.Tensor
    cache: torch.Tensor

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("cache", torch.zeros(1))

    def forward(self, in_idx: torch.Tensor) -> torch.Tensor:
        torch.rand(1)
        self.count = self.count.add_(1)
        self.cache = torch.ones(3)
        assert not torch.is_grad_enabled()
        return super().forward(in_idx)


def test_a_traced_model_in_training_mode_is_evaluated_and_put_back(tiny: GPTModel) -> None:
    model = Disturbing(tiny.config)
    model.load_state_dict(tiny.state_dict(), strict=False)
    model.train()
    model.trf_blocks[0].eval()
    before = state_of(model)
    found = gptrace.trace("Hello, I am", model=model)
    assert state_of(model) == before
    assert model.cache.shape == (1,)
    assert found.predictions == gptrace.trace("Hello, I am", model=tiny).predictions  # no dropout


def test_a_subclass_may_do_anything_and_gets_numbers(tiny: GPTModel) -> None:
    model = Disturbing(tiny.config)
    with torch.inference_mode(), gptrace.watch(model) as trace:
        model(IDS)
    assert trace.calls[0].inputs[0].dims == ("1", "4")


def test_a_head_of_the_users_own_is_not_named_by_its_value(tiny: GPTModel) -> None:
    tiny.out_head = nn.Linear(48, 10)
    with gptrace.watch(tiny) as trace:
        tiny(IDS)
    assert trace.calls[-1].outputs[0].dims == ("batch", "seq_len", "10")


def test_hooks_on_all_modules_do_not_see_the_resized_runs(tiny: GPTModel) -> None:
    resized_runs.run_resized.cache_clear()
    seen: list[object] = []
    handle = nn.modules.module.register_module_forward_hook(lambda m, a, out: seen.append(m))
    try:
        with gptrace.watch(tiny) as trace:
            tiny(IDS)
    finally:
        handle.remove()
    assert len(seen) == trace.totals.calls
    assert trace.calls[0].inputs[0].dims == ("batch", "seq_len")


def test_a_trace_is_empty_until_the_block_ends() -> None:
    module = nn.ReLU()
    with gptrace.watch(module) as trace:
        assert repr(trace) == "<Trace: still recording>"
        with pytest.raises(AttributeError, match="once the `with"):
            _ = trace.calls
    with pytest.raises(AttributeError):
        trace.calls = ()  # type: ignore[misc]
    with pytest.raises(TypeError, match="not str"), gptrace.watch("model"):  # type: ignore[arg-type]
        pass


def test_tied_parameters_count_once() -> None:
    from gptrace.tracing.parameters import (
        count_all,
        count_by_module,
        named_modules_with_aliases,
        parameter_refs,
    )

    module = nn.ModuleDict({"emb": nn.Embedding(10, 4), "out_head": nn.Linear(4, 10, bias=False)})
    assert count_all(parameter_refs(named_modules_with_aliases(module))).without_out_head == 40
    module["out_head"].weight = module["emb"].weight
    count = count_all(parameter_refs(named_modules_with_aliases(module)))
    assert (count.total, count.unique, count.bytes) == (80, 40, 160)
    assert count.tied == (("emb.weight", "out_head.weight"),)
    assert count.without_out_head is None
    modules = list(named_modules_with_aliases(module))
    assert count_by_module(modules, parameter_refs(modules))[""].total == 40


def test_our_model_traces_like_the_courses_own_class(tiny: GPTModel) -> None:
    """The same calls and shapes, but for the name of the shortcut's dropout."""
    course = CourseModel(tiny.config.to_dict()).eval()
    with torch.no_grad(), gptrace.watch(tiny) as ours, gptrace.watch(course) as reference:
        tiny(IDS)
        course(IDS)

    def facts(trace: gptrace.Trace) -> list[object]:
        return [
            (
                call.path.replace("drop_resid", "drop_shortcut"), call.type, call.call, call.parameters,
                [(spec.name, spec.shape) for spec in (*call.inputs, *call.outputs)],
            )
            for call in trace.calls
        ]  # fmt: skip

    assert facts(ours) == facts(reference)
