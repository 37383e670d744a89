"""`gptrace.watch`: every call recorded, nothing changed, nothing left behind."""

from __future__ import annotations

from typing import Any

import pytest
from llms_from_scratch.ch04 import GPTModel as CourseModel

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.support import IDS

nn = torch.nn


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


def test_a_trace_is_empty_until_the_block_ends() -> None:
    module = nn.ReLU()
    with gptrace.watch(module) as trace:
        assert repr(trace) == "<Trace: still recording>"
        with pytest.raises(AttributeError, match="set when the `with"):
            _ = trace.calls
    with pytest.raises(AttributeError):
        trace.calls = ()  # type: ignore[misc]
    with pytest.raises(TypeError, match="not str"), gptrace.watch("model"):  # type: ignore[arg-type]
        pass


def test_our_model_traces_like_the_courses_own_class(tiny: GPTModel) -> None:
    """The same calls and shapes, but for the name of the shortcut's dropout."""
    course = CourseModel(tiny.config.to_dict()).eval()
    with torch.no_grad(), gptrace.watch(tiny) as trace, gptrace.watch(course) as course_trace:
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

    assert facts(trace) == facts(course_trace)


def test_a_module_that_forward_replaces_is_named() -> None:
    class Replaces(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            self.first = nn.Linear(4, 4)
            return self.second(self.first(x))

    with gptrace.watch(model := Replaces()) as trace:
        model(torch.ones(1, 4))
    assert [call.path for call in trace.calls] == ["", "second"]
    assert trace.uncalled == ()  # nobody knows
    assert any(note.startswith("replaced while the trace ran: first;") for note in trace.notes)
