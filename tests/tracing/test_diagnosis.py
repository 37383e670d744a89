"""Models that fail, each in one of the usual ways, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import gptrace
from gptrace.errors import GptraceError, MemoryNeededError
from gptrace.model.quiet_torch import torch
from gptrace.record import Failure, Trace
from gptrace.record.schema import json_schema
from gptrace.tracing.diagnosis import FailureContext, why_none
from tests.models import failing
from tests.models.mutated_gpt import MUTATIONS, NAMED, mutated
from tests.support import Cli

nn = torch.nn


def failure(model: nn.Module, ids: Any, **options: Any) -> tuple[Trace, Failure]:
    caught: Exception | None = None
    try:
        with gptrace.watch(model, **options) as trace:
            model(ids)
    except Exception as error:
        caught = error
    assert caught is not None
    assert trace.error is not None
    assert trace.error.type == type(caught).__name__  # it goes on unchanged
    assert trace.error.message == str(caught)
    return trace, trace.error


class WithoutReturn(nn.Module):
    def forward(self, x: torch.Tensor) -> None:
        x * 2


class BlocksWithoutReturn(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Embedding(99, 4), WithoutReturn(), nn.LayerNorm(4))


def test_a_block_without_return_is_named_where_its_none_is_used() -> None:
    _, failed = failure(BlocksWithoutReturn(), FOUR)
    assert failed.cause == "returned_none"
    assert failed.diagnosis is not None
    assert failed.diagnosis.startswith("1 returned None: WithoutReturn.forward at ")
    assert "test_diagnosis.py:" in failed.diagnosis
    note = gptrace.trace(ids=[1, 2], model=WithoutReturn()).notes[-1]
    assert "no next tokens: forward() returned None: WithoutReturn.forward at" in note


class Keeps(nn.Module):
    """Returns None on purpose."""

    def forward(self, x: Any) -> None:
        self.shape = x.shape


def test_a_none_that_no_module_returned_is_put_down_to_none() -> None:
    def of_the_model(x: Any, model: Any) -> Any:
        model.out_head(x)
        return x * model.scale

    def of_the_function(x: Any, model: Any, scale: Any = None) -> Any:
        model.out_head(x)
        return x * scale

    for step in (of_the_model, of_the_function):
        model: Any = Spells(step, Keeps())
        model.scale = None
        assert failure(model, FOUR)[1].cause is None


class AttentionWithoutReturn(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        context = x * 2
        context += 1


class FeedForwardWithoutReturn(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        self.get_submodule("")
        self.register_module("unused", None)


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        (AttentionWithoutReturn(), "end it with return context"),
        (FeedForwardWithoutReturn(), "end it with return self.register_module('unused', None)"),
        (WithoutReturn(), "end it with one"),
    ],
)
def test_the_advice_is_to_return_what_was_made_last(module: nn.Module, advice: str) -> None:
    assert why_none(module).endswith(f" has no return; {advice}")


class Both(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x * 2


class Uses(nn.Module):
    """It uses what `both` returns in one of several ways."""

    def __init__(self, use: Callable[[Uses, torch.Tensor], Any]) -> None:
        super().__init__()
        self.emb, self.both, self.use = nn.Embedding(99, 4), Both(), use

    def forward(self, ids: torch.Tensor) -> Any:
        return self.use(self, self.emb(ids))


def held(self: Uses, x: torch.Tensor) -> Any:
    pair = self.both(x)
    x, y = pair
    return x + y + divmod(5, 2)


def test_a_tuple_in_the_place_of_a_tensor_is_named() -> None:
    said = "both returned a tuple with [1, 4, 4], [1, 4, 4], where one tensor is needed; take it out, as in "
    for use in (
        lambda self, x: x + self.both(x),
        lambda self, x: self.both(x)[:, -1],
        lambda self, x: self.both(x).mean(dim=-1),
        lambda self, x: torch.relu(self.both(x)),
    ):
        _, failed = failure(Uses(use), FOUR)
        assert failed.diagnosis == said + "both(x)[0]", failed.message
    _, failed = failure(nn.Sequential(nn.Embedding(99, 4), Both(), nn.Linear(4, 4)), FOUR)
    assert failed.diagnosis == said.replace("both returned", "1 returned") + "block(x)[0]"


@pytest.mark.parametrize(
    ("dtype", "name"), [(torch.uint8, "uint8"), (torch.int16, "int16"), (torch.bfloat16, "bfloat16")]
)
def test_a_mask_of_numbers_is_named_by_its_dtype(dtype: torch.dtype, name: str) -> None:
    _, failed = failure(Uses(lambda self, x: x.masked_fill(torch.ones(4, 4).to(dtype), 0)), FOUR)
    said = f"masked_fill in the model itself needs a mask of bool and got {name}; "
    assert failed.diagnosis == said + "mask.bool() makes one of zeros and ones"


def test_a_tuple_that_another_makes_is_put_down_to_no_module() -> None:
    for use in (
        held,
        lambda self, x: self.both(x)[0] + (1, 2),
        lambda self, x: self.both(x).last_hidden_state,
        lambda self, x: self.both(x)["hidden"],
    ):
        _, failed = failure(Uses(use), FOUR)
        assert (failed.cause, "tuple" in failed.message) == (None, True)


FOUR = torch.tensor([[1, 2, 3, 4]])
NINE = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8, 9]])


@pytest.mark.parametrize(
    ("make", "ids", "cause", "path", "parts"),
    [
        (failing.WorkingGPT, NINE, "prompt_too_long", "pos_emb", ["9 tokens", "pos_emb has 8 rows"]),
        (failing.AddedPositions, NINE, "prompt_too_long", "", ["9 tokens", "table positions has 8 rows"]),
        (failing.WorkingGPT, FOUR + 93, "id_outside_vocabulary", "tok_emb", ["id 97", "rows 0 to 96"]),
        (failing.WorkingGPT, FOUR - 3, "id_outside_vocabulary", "tok_emb", ["id -2", "rows 0 to 96"]),
        (failing.WrongWidth, FOUR, "inner_dimensions", "out_head",
         ["out_head: Linear expects [..., 16], got [1, 4, 12], made by norm"]),
        (failing.TurnedAround, torch.arange(12)[None, :8].repeat(1, 1), "inner_dimensions", "out_head",
         ["expects [..., 12], got [1, 12, 8]", "swapped it would fit: x.transpose(-2, -1)"]),
        (failing.NotTransposed, FOUR, "inner_dimensions", "",
         ["multiplied by a [4, 12] matrix", "second matrix transposed, [12, 4], would fit"]),
        (failing.FiveHeads, FOUR, "heads_do_not_divide", "",
         ["12 does not divide into 5 heads", "are 2, 3, 4, 6"]),
        (failing.FiveHeadsByHand, FOUR, "heads_do_not_divide", "", ["12 does not divide into 5 heads"]),
        (failing.RefusesFiveHeads, FOUR, "indivisible", "", ["D 12 is not divisible by heads 5"]),
        (failing.WrongView, FOUR, "view_of_wrong_size", "", ["48 elements", "not a multiple of 7"]),
        (failing.NotContiguous, torch.cat([FOUR, FOUR]), "view_of_wrong_size", "", [".contiguous()"]),
        (failing.MaskElsewhere, FOUR, "device_mismatch", "", ["device=x.device"]),
        (failing.HalfWeights, FOUR, "dtype_mismatch", "out_head", ["out_head got float32", "are float16"]),
        (failing.FloatIds, FOUR, "float_ids", "tok_emb", ["got float32", "ids.long()"]),
        (failing.Unsqueezed, FOUR[0], "missing_batch_axis", "", ["shape [4]", "ids.unsqueeze(0)"]),
        (failing.UnequalAxes, FOUR, "unequal_axes", "", ["axis 2 is 12 in one and 5 in the other"]),
        (failing.TooMuch, FOUR, "out_of_memory", "", ["out of memory in the model itself"]),
        (failing.Odd, FOUR, None, "", []),
        (failing.Recovers, FOUR, None, "", []),
        (failing.Misleads, FOUR, None, "", []),
        (failing.Misleads, FOUR[0], None, "", []),
        (failing.MisleadsByShape, FOUR, "unequal_axes", "", ["axis 2 is 4 in one and 3 in the other"]),
        (failing.MisleadsByClass, FOUR, None, "out_head", []),
    ],
)  # fmt: skip
def test_the_usual_causes(
    make: type[nn.Module], ids: Any, cause: str | None, path: str, parts: list[str]
) -> None:
    trace, error = failure(make(), ids)
    assert (error.cause, error.path) == (cause, path), error.message
    assert [part for part in parts if part not in (error.diagnosis or "")] == [], error.diagnosis
    assert "failing.py, line" in error.source
    assert trace.calls[0].failed
    shown = str(trace)
    assert "raised in" in shown
    assert "→ raised" in shown
    assert "\x1b" not in shown
    if error.diagnosis:
        assert f"likely: {error.diagnosis}" in " ".join(shown.split())
    jsonschema.validate(json.loads(trace.to_json()), json_schema("trace"))


TORCH_ATTENTION = nn.functional.scaled_dot_product_attention
bfloat16 = torch.bfloat16


class Spells(nn.Module):
    """`step` gets the embedded ids, [batch, seq_len, 12], and the module."""

    def __init__(self, step: Any, layer: nn.Module | None = None, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.tok_emb, self.out_head, self.step = nn.Embedding(20, 12).to(dtype), layer, step

    def forward(self, ids: Any) -> Any:
        return self.step(self.tok_emb(ids), self)


def heads(x: Any) -> Any:
    return x.view(1, 4, 2, 6).transpose(1, 2)


@pytest.mark.parametrize(
    ("model", "ids", "cause", "parts"),
    [
        (Spells(lambda x, _: x.to(bfloat16) @ x.mT), FOUR, "dtype_mismatch",
         ["an operation in the model itself got bfloat16 and float32", "look where bfloat16 comes from"]),
        (Spells(lambda x, _: TORCH_ATTENTION(x.to(bfloat16), x, x)), FOUR, "dtype_mismatch",
         ["got bfloat16 and float32", "look where bfloat16 comes from"]),
        (Spells(lambda x, _: x.long() @ x.mT), FOUR, "dtype_mismatch",
         ["got int64 and float32", "look where int64 comes from"]),
        (Spells(lambda x, _: x.to(torch.complex64) @ x.double().mT), FOUR, "dtype_mismatch",
         ["got complex64 and float64"]),
        (Spells(lambda x, m: m.out_head(x), nn.LayerNorm(12), torch.float64), FOUR, "dtype_mismatch",
         ["out_head got float64, which is the dtype of tok_emb.weight, but its parameters are float32"]),
        (Spells(lambda x, _: heads(x) @ heads(x)), FOUR, "inner_dimensions", ["keys.transpose(-2, -1)"]),
        (Spells(lambda x, _: x.transpose(1, 3)), FOUR[0], None, []),
        (Spells(lambda x, _: x.transpose(1, 2)), FOUR[0], "missing_batch_axis", ["if the model expects"]),
        (Spells(lambda x, _: x.squeeze().transpose(1, 2)), FOUR, "lost_axis",
         ["squeeze() may have removed it"]),
        (Spells(lambda x, m: m.out_head(x), nn.BatchNorm1d(12)), FOUR, "inner_dimensions",
         ["BatchNorm1d expects [batch, 12, ...], got [1, 4, 12]", "x.transpose(1, 2) would fit"]),
        (Spells(lambda x, m: m.out_head(x), nn.GroupNorm(3, 12)), FOUR, "inner_dimensions",
         ["GroupNorm expects [batch, 12, ...], got [1, 4, 12]", "x.transpose(1, 2) would fit"]),
        (Spells(lambda x, _: torch.cat([x, x[:, :2]], -1)), FOUR, "unequal_axes",
         ["along axis 2", "tensor 1 has the size 2 where the first has 4"]),
        (Spells(lambda x, _: torch.cat([x, x[0]], -1)), FOUR, "unequal_axes", ["of 3 and of 2 axes"]),
        (Spells(lambda x, _: torch.stack([x, x[:, :2]])), FOUR, "unequal_axes",
         ["the first is [1, 4, 12], and number 1 is [1, 2, 12]"]),
        (Spells(lambda x, _: torch.einsum("btd,bsd->bts", x, x[..., :5])), FOUR, "unequal_axes",
         ["d stands for one size: it is 12 at first, and 5 in operand 1"]),
        (Spells(lambda x, _: torch.einsum("bthd,bsd->bts", x, x)), FOUR, "unequal_axes",
         ["names 4 axes of operand 0, which has 3"]),
        (Spells(lambda x, _: x), FOUR.short(), "ids_dtype", ["got ids of int16", "ids.long()"]),
        (Spells(lambda x, m: m.out_haed(x)), FOUR, "attribute_name", ["did you mean out_head?"]),
        (Spells(lambda x, _: x.tranpose(1, 2)), FOUR, "attribute_name", ["did you mean transpose?"]),
        (Spells(lambda x, m: m.tok_emb(3)), FOUR, "ids_no_tensor",
         ["tok_emb looks up a tensor of ids and got a value of type int", "torch.arange(seq_len)"]),
        (Spells(lambda x, m: m.tok_emb([3, 4])), FOUR, "ids_no_tensor", ["torch.tensor(ids)"]),
        (Spells(lambda x, _: torch.softmax(x)), FOUR, "missing_dim", ["dim=-1 is the last one"]),  # type: ignore[call-arg]
    ],
)  # fmt: skip
def test_more_of_the_usual_causes(model: nn.Module, ids: Any, cause: str | None, parts: list[str]) -> None:
    _, error = failure(model, ids)
    assert error.cause == cause, error.message
    assert [part for part in parts if part not in (error.diagnosis or "")] == [], error.diagnosis


def test_with_operations_the_advice_is_about_their_shapes() -> None:
    _, error = failure(Spells(lambda x, _: heads(x) @ heads(x)), FOUR, measure=["ops"])
    assert (error.diagnosis or "").endswith("the second ones transposed, [6, 4], would fit")
    _, error = failure(Spells(lambda x, m: m.out_head(x.half()), nn.Linear(12, 2)), FOUR, measure=["ops"])
    assert "out_head got float16, but its parameters are float32" in (error.diagnosis or "")


def test_names_that_a_class_should_have(cli: Cli, tmp_path: Path) -> None:
    class Misspelt(nn.Module):
        def foward(self, ids: Any) -> Any:
            return ids

    _, error = failure(Misspelt(), FOUR)
    assert error.diagnosis == "Misspelt has no method forward; rename foward to forward"
    (tmp_path / "bare.py").write_text(
        "from torch import nn\nclass M(nn.Module):\n"
        "    def __init__(self):\n        self.l = nn.Linear(1, 1)\n"
    )
    outcome = cli("run", "--ids", "1", "-m", f"{tmp_path}/bare.py:M")
    assert outcome.code == 1
    assert "hint: __init__ has to call super().__init__() before it sets any attribute" in outcome.err


def test_slips_of_the_pen_have_their_causes() -> None:
    """None of them is put down to something that the source does not hold."""
    wrong = []
    for before, after, cause in MUTATIONS:
        torch.manual_seed(0)
        _, error = failure(mutated(before, after)(), torch.tensor([[1, 2, 3, 4, 5, 6]]))
        if error.cause != cause:
            wrong.append((before, after, error.cause, error.diagnosis))
    assert wrong == []


@pytest.mark.parametrize("after", NAMED)
def test_sizes_in_causes_carry_their_names(after: str) -> None:
    before = next(before for before, replaced, _ in MUTATIONS if replaced == after)
    with pytest.raises(GptraceError) as caught:
        gptrace.trace(ids=[1, 2, 3, 4, 5, 6], model=mutated(before, after))
    assert NAMED[after] in caught.value.hint


def test_a_model_that_works_has_nothing_to_diagnose() -> None:
    model = failing.WorkingGPT()
    with gptrace.watch(model) as trace:
        model(FOUR)
    assert len(trace.calls) == 6
    assert trace.error is None


def test_operations_tell_what_came_in() -> None:
    trace, error = failure(failing.UnequalAxes(), FOUR, measure=["ops"])
    assert "([1, 4, 12] and [1, 4, 5])" in (error.diagnosis or "")
    failed = [op for call in trace.calls for op in call.ops if op.failed]
    assert [(op.name, [spec.shape for spec in op.inputs]) for op in failed] == [
        ("add", [(1, 4, 12), (1, 4, 5)])
    ]


def test_the_command_shows_the_table_up_to_the_break(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from tests.models.failing import *\nclass M(WrongWidth):\n    pass\n"
    )
    outcome = cli("run", "--ids", "1 2 3", "-m", f"{tmp_path}/broken.py:M")
    assert outcome.code == 1
    assert "out_head  Linear     [batch, seq_len, 12] → raised" in " ".join(outcome.out.split("└ ")[1:])
    assert "likely: out_head: Linear expects [..., 16], got [1, 3, 12], made by norm" in outcome.out
    assert "failing.py, line" in outcome.out
    raised = "the forward pass raised RuntimeError, in out_head"
    outcome.is_error(1, raised, "the report shows", shows="likely")
    as_json = cli("run", "--ids", "1 2 3", "-m", f"{tmp_path}/broken.py:M", "--json")
    assert as_json.code == 1
    error = json.loads(as_json.out)["error"]
    assert (error["path"], error["cause"]) == ("out_head", "inner_dimensions")
    assert error["inputs"][0]["shape"] == [1, 3, 12]


def test_in_python_the_error_carries_the_trace() -> None:
    with pytest.raises(GptraceError) as caught:
        gptrace.trace(ids=[1, 2], model=failing.WrongWidth)
    trace = caught.value.trace
    assert isinstance(trace, Trace)
    assert trace.error is not None
    assert trace.error.cause == "inner_dimensions"
    assert trace.inputs[0].ids == (1, 2)
    with pytest.raises(MemoryNeededError) as memory:
        gptrace.trace(ids=[1, 2], model=failing.TooMuch)
    assert isinstance(memory.value.trace, Trace)
    assert memory.value.trace.error is not None
    assert memory.value.trace.error.cause == "out_of_memory"


def test_axes_are_not_said_to_be_swapped_where_a_width_is_that_of_the_tokens_by_chance() -> None:
    _, error = failure(nn.Sequential(nn.Embedding(97, 12), nn.Linear(4, 3)), FOUR)
    assert error.diagnosis is not None
    assert "are swapped" not in error.diagnosis
    assert error.diagnosis.endswith("with its last two axes swapped it would fit: x.transpose(-2, -1)")


def test_only_the_beginning_of_an_endless_message_is_searched() -> None:
    class Loud(nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            raise RuntimeError('softmax() missing 1 required positional argument: "dim"' + end)

    end = " " + "x" * 100_000  # matched from each letter on, it would take half a minute
    _, error = failure(Loud(), FOUR)
    assert error.diagnosis is not None
    assert error.diagnosis.startswith("softmax needs the axis")
    call: Any = None
    assert len(FailureContext(RuntimeError(end), call, (), ()).message) < 5000
