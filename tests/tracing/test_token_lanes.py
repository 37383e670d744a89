"""An axis is called seq_len only while its lanes are tokens, and a note says where they are mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.record import Trace
from gptrace.tracing.operations import Operation, OperationMode
from gptrace.tracing.token_lanes import MixingView, TokenLanes
from tests.models.collection import RightModel, build
from tests.models.mistakes import MISTAKES
from tests.models.right_models import RIGHT_MODELS

T = 19
MIXED = (
    "view_of_course_heads_without_transpose", "values_alone_are_viewed_wrongly",
    "heads_are_merged_without_transpose", "fused_projection_is_reshaped_wrongly",
    "heads_are_merged_into_the_batch_wrongly", "view_of_heads_without_transpose",
)  # fmt: skip
# Right models that move, fold or mix tokens in ways of their own.
RIGHT = (
    "batch_second", "blockwise_softmax", "flipped_time", "memory_tokens", "relative_bias", "rolled_shift",
    "sliding_window", "token_shift", "torch_attention",
)  # fmt: skip


def traced(model: RightModel, path: Path) -> Trace:
    config = f"{path}:{model.config}" if model.config else None
    session = gptrace.Session(select_model(f"{path}:{model.target}", config=config))
    return session.trace(ids=[[3, 1, 4, 1, 5]], measure=["ops"])


@pytest.mark.parametrize("name", MIXED)
def test_mixed_lanes_have_no_name(name: str, tmp_path: Path) -> None:
    mistake = MISTAKES[name]
    trace = traced(mistake.model, mistake.write(tmp_path))
    wrong = [
        op for call in trace.calls for op in call.ops
        if op.name in ("view", "reshape") and int(op.source.rpartition(":")[2]) in mistake.guilty_lines
    ]  # fmt: skip
    assert wrong
    assert not any("seq_len" in spec.dims for op in wrong for spec in op.outputs)
    (note,) = [note for note in trace.notes if "mixes the numbers of several tokens" in note]
    assert any(f":{line}" in note for line in mistake.guilty_lines)
    assert "gptrace check -m" in note
    assert trace.calls[0].outputs[0].dims[:2] == ("batch", "seq_len")  # the residual stream brings it back


def test_lines_name_an_axis_as_their_operations_do(tmp_path: Path) -> None:
    mistake = MISTAKES["view_of_course_heads_without_transpose"]
    path = mistake.write(tmp_path)
    model = f"{path}:{mistake.model.target}"
    config = f"{path}:{mistake.model.config}" if mistake.model.config else None
    source = gptrace.Session(select_model(model, config=config)).source(ids=[[3, 1, 4, 1, 5]])
    dims = {line.line: [spec.dims for spec in line.made] for file in source.files for line in file.lines}
    of_guilty = [names for line in mistake.guilty_lines for names in dims[line]]
    assert of_guilty
    assert not any("seq_len" in names for names in of_guilty)


@pytest.mark.parametrize("name", RIGHT)
def test_right_models_lose_no_name(name: str) -> None:
    model = RIGHT_MODELS[name]
    assert not any("gptrace check" in note for note in traced(model, model.path).notes)


def mixed_after(function: object, *shape: int) -> bool:
    """Tell whether a function of a tensor that depends on tokens returns one whose lanes are mixed."""
    lanes = TokenLanes(T, ())

    def follow(operation: Operation, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        lanes.follow(operation.name, func, args, kwargs, result, MixingView("", operation.name, ""))

    tensor = torch.randn(*shape)
    with OperationMode(lambda: (None, 0), follow):
        result = function(tensor)  # type: ignore[operator]
    return lanes.are_mixed(result)


def test_a_view_is_judged_by_where_it_moves_the_tokens() -> None:
    assert mixed_after(lambda x: x.view(2, 3, T, 4), 2, T, 12)
    assert not mixed_after(lambda x: x.view(2, T, 3, 4).transpose(1, 2), 2, T, 12)
    assert not mixed_after(lambda x: x.view(2 * T, 12).view(2, T, 12), 2, T, 12)
    assert mixed_after(lambda x: x.reshape(2, T, 12), 2, 3, T, 4)
    assert not mixed_after(lambda x: x.transpose(1, 2).reshape(2, T, 12), 2, 3, T, 4)
    assert mixed_after(lambda x: x.view(2, T, 12), T, 2, 12)  # across the batch


def test_a_view_that_is_undone_mixes_nothing() -> None:
    assert not mixed_after(lambda x: (x.view(2, 3, T, 4) * 2).view(2, T, 12), 2, T, 12)
    # In between, numbers of several lanes were put together: then it is not undone.
    assert mixed_after(lambda x: x.view(2, 3, T, 4).softmax(dim=-2).view(2, T, 12), 2, T, 12)


def test_lanes_come_back_with_the_residual_stream() -> None:
    assert not mixed_after(lambda x: x + x.view(2, 3, T, 4).view(2, T, 12).cos(), 2, T, 12)
    assert not mixed_after(lambda x: x + x.view(2, 12, T).cos().transpose(1, 2), 2, T, 12)
    assert mixed_after(lambda x: torch.ones(2, 12, T) + x.view(2, 12, T).cos(), 2, T, 12)


def test_scores_may_be_shifted_against_relative_positions() -> None:
    """As in Transformer-XL: with one column more, a view shifts each row by one more than the last."""

    def shifted(scores: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(scores, (1, 0))
        return padded.view(2, 3, T + 1, T)[:, :, 1:].view_as(scores)

    assert not mixed_after(shifted, 2, 3, T, T)


def test_a_model_that_is_built_already_is_tried_out_as_a_copy(tmp_path: Path) -> None:
    mistake = MISTAKES["view_of_course_heads_without_transpose"]
    module = build(mistake.model, mistake.write(tmp_path))
    trace = gptrace.trace(ids=[[3]], model=module)
    weights = [call.outputs[0].dims for call in trace.calls if call.path.endswith("att.dropout")]
    assert weights
    assert not any("seq_len" in dims for dims in weights)
    assert any(note.endswith("gptrace.check(model) says what is wrong there") for note in trace.notes)
