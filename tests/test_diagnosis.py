"""Models that fail, each in one of the usual ways, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import gptrace
from gptrace.errors import GptraceError, MemoryNeededError
from gptrace.model.quiet_torch import torch
from gptrace.record import Failure, Trace
from gptrace.report.schemas import SCHEMAS
from tests.conftest import Outcome

nn = torch.nn
V = 97


class Small(nn.Module):
    """A small GPT that is right; each model below breaks one thing of it."""

    heads = 3
    length = 8

    def __init__(self, emb_dim: int = 12, vocab_size: int = V) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.pos_emb = nn.Embedding(self.length, emb_dim)
        self.query = nn.Linear(emb_dim, emb_dim)
        self.norm = nn.LayerNorm(emb_dim)
        self.out_head = nn.Linear(emb_dim, vocab_size)

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[-1]))

    def attend(self, x: Any) -> Any:
        B, T, D = x.shape
        split = self.query(x).view(B, T, self.heads, D // self.heads).transpose(1, 2)
        return (split @ split.transpose(2, 3)).softmax(-1) @ split

    def forward(self, ids: Any) -> Any:
        x = self.embed(ids)
        return self.out_head(self.norm(x + self.attend(x).transpose(1, 2).reshape(x.shape)))


class AddedPositions(Small):
    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(1, 8, 12))

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) + self.positions[:, : ids.shape[1]]


class WrongWidth(Small):
    def __init__(self) -> None:
        super().__init__()
        self.out_head = nn.Linear(16, V)


class TurnedAround(Small):
    def forward(self, ids: Any) -> Any:
        return self.out_head(self.embed(ids).transpose(1, 2))


class NotTransposed(Small):
    def attend(self, x: Any) -> Any:
        x = self.query(x)[0]
        return x @ x


class FiveHeads(Small):
    heads = 5

    def attend(self, x: Any) -> Any:
        return self.query(x).view(*x.shape[:2], self.heads, -1)


class FiveHeadsByHand(FiveHeads):
    def attend(self, x: Any) -> Any:
        B, T, D = x.shape
        return self.query(x).view(B, T, self.heads, D // self.heads)


class WrongView(Small):
    def attend(self, x: Any) -> Any:
        return self.query(x).view(x.shape[0], 7, -1)


class NotContiguous(Small):
    def attend(self, x: Any) -> Any:
        return self.query(x).transpose(0, 1).transpose(1, 2).view(-1)


class MaskElsewhere(Small):
    def attend(self, x: Any) -> Any:
        return x + torch.zeros(x.shape, device="meta")


class HalfWeights(Small):
    def __init__(self) -> None:
        super().__init__()
        self.out_head.half()


class FloatIds(Small):
    def forward(self, ids: Any) -> Any:
        return super().forward(ids.float())


class Unsqueezed(Small):
    def forward(self, ids: Any) -> Any:
        _batch, _seq_len = ids.shape
        return super().forward(ids)


class UnequalAxes(Small):
    def attend(self, x: Any) -> Any:
        return x + self.query(x)[..., :5]


class TooMuch(Small):
    def attend(self, x: Any) -> Any:
        return torch.zeros(1 << 50)


class Recovers(Small):
    def attend(self, x: Any) -> Any:
        with suppress(RuntimeError):
            self.out_head(x[..., :5])
        raise KeyError("rope_theta")


class Misleads(Small):
    """Messages and shapes that look like one of the usual causes, and are none."""

    def attend(self, x: Any) -> Any:
        raise RuntimeError("KV cache pool out of memory blocks; all tables must have the same dtype setting")


class MisleadsByShape(Small):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def attend(self, x: Any) -> Any:
        return x.transpose(1, 2)[:, :4] * self.scale


class OwnLinear(nn.Linear):
    def forward(self, x: Any) -> Any:
        raise RuntimeError("elsewhere")


class MisleadsByClass(Small):
    def __init__(self) -> None:
        super().__init__()
        self.out_head = OwnLinear(16, V)


class Odd(Small):
    def attend(self, x: Any) -> Any:
        raise LookupError("nobody\nknows\x1b[31m")


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


FOUR = torch.tensor([[1, 2, 3, 4]])
NINE = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8, 9]])


@pytest.mark.parametrize(
    ("make", "ids", "cause", "path", "parts"),
    [
        (Small, NINE, "prompt_too_long", "pos_emb", ["9 tokens", "pos_emb has 8 rows"]),
        (AddedPositions, NINE, "prompt_too_long", "", ["9 tokens", "table positions has 8 rows"]),
        (Small, FOUR + 93, "id_outside_vocabulary", "tok_emb", ["id 97", "rows 0 to 96"]),
        (Small, FOUR - 3, "id_outside_vocabulary", "tok_emb", ["id -2", "rows 0 to 96"]),
        (WrongWidth, FOUR, "inner_dimensions", "out_head",
         ["out_head: Linear expects [..., 16], got [1, 4, 12], made by norm"]),
        (TurnedAround, torch.arange(12)[None, :8].repeat(1, 1), "inner_dimensions", "out_head",
         ["expects [..., 12], got [1, 12, 8]", "x.transpose(-2, -1) would fit"]),
        (NotTransposed, FOUR, "inner_dimensions", "",
         ["multiplied by a [4, 12] matrix", "second matrix transposed, [12, 4], would fit"]),
        (FiveHeads, FOUR, "heads_do_not_divide", "", ["12 does not divide into 5 heads", "are 3, 4, 6"]),
        (FiveHeadsByHand, FOUR, "heads_do_not_divide", "", ["12 does not divide into 5 heads"]),
        (WrongView, FOUR, "view_of_wrong_size", "", ["48 elements", "not a multiple of 7"]),
        (NotContiguous, torch.cat([FOUR, FOUR]), "view_of_wrong_size", "", [".contiguous()"]),
        (MaskElsewhere, FOUR, "device_mismatch", "", ["device=x.device"]),
        (HalfWeights, FOUR, "dtype_mismatch", "out_head", ["out_head got float32", "are float16"]),
        (FloatIds, FOUR, "float_ids", "tok_emb", ["got float32", "ids.long()"]),
        (Unsqueezed, FOUR[0], "missing_batch_axis", "", ["shape [4]", "ids.unsqueeze(0)"]),
        (UnequalAxes, FOUR, "unequal_axes", "", ["axis 2 is 12 in one and 5 in the other"]),
        (TooMuch, FOUR, "out_of_memory", "", ["out of memory in the model itself"]),
        (Odd, FOUR, None, "", []),
        (Recovers, FOUR, None, "", []),
        (Misleads, FOUR, None, "", []),
        (Misleads, FOUR[0], None, "", []),
        (MisleadsByShape, FOUR, "unequal_axes", "", ["axis 2 is 4 in one and 3 in the other"]),
        (MisleadsByClass, FOUR, None, "out_head", []),
    ],
)  # fmt: skip
def test_the_usual_causes(
    make: type[nn.Module], ids: Any, cause: str | None, path: str, parts: list[str]
) -> None:
    trace, error = failure(make(), ids)
    assert (error.cause, error.path) == (cause, path), error.message
    assert [part for part in parts if part not in (error.diagnosis or "")] == [], error.diagnosis
    assert "test_diagnosis.py, line" in error.source
    assert trace.calls[0].failed
    shown = str(trace)
    assert "raised in" in shown
    assert "→ raised" in shown
    assert "\x1b" not in shown
    if error.diagnosis:
        assert f"likely: {error.diagnosis}" in " ".join(shown.split())
    jsonschema.validate(json.loads(trace.to_json()), SCHEMAS["trace"])


def test_a_model_that_works_has_nothing_to_diagnose() -> None:
    with gptrace.watch(Small()) as trace:
        assert trace
    with gptrace.watch(Small().eval()) as trace:
        pass
    assert trace.error is None


def test_operations_tell_what_came_in() -> None:
    trace, error = failure(UnequalAxes(), FOUR, measure=["ops"])
    assert "([1, 4, 12] and [1, 4, 5])" in (error.diagnosis or "")
    failed = [op for call in trace.calls for op in call.ops if op.failed]
    assert [(op.name, [spec.shape for spec in op.inputs]) for op in failed] == [
        ("add", [(1, 4, 12), (1, 4, 5)])
    ]


def test_the_command_shows_the_table_up_to_the_break(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from tests.test_diagnosis import *\nclass M(WrongWidth):\n    pass\n"
    )
    done = cli("run", "--ids", "1 2 3", "-m", f"{tmp_path}/broken.py:M")
    assert done.code == 1
    assert "out_head  Linear     [batch, seq_len, 12] → raised" in " ".join(done.out.split("└ ")[1:])
    assert done.err.splitlines()[-1] == (
        "hint: out_head: Linear expects [..., 16], got [1, 3, 12], made by norm"
    )
    assert "test_diagnosis.py, line" in done.err
    as_json = cli("run", "--ids", "1 2 3", "-m", f"{tmp_path}/broken.py:M", "--json")
    assert as_json.code == 1
    error = json.loads(as_json.out)["error"]
    assert (error["path"], error["cause"]) == ("out_head", "inner_dimensions")
    assert error["inputs"][0]["shape"] == [1, 3, 12]


def test_in_python_the_error_carries_the_trace() -> None:
    with pytest.raises(GptraceError) as caught:
        gptrace.trace(ids=[1, 2], model=WrongWidth)
    trace = caught.value.trace
    assert isinstance(trace, Trace)
    assert trace.error is not None
    assert trace.error.cause == "inner_dimensions"
    assert trace.inputs[0].ids == (1, 2)
    with pytest.raises(MemoryNeededError) as memory:
        gptrace.trace(ids=[1, 2], model=TooMuch)
    assert isinstance(memory.value.trace, Trace)
    assert memory.value.trace.error is not None
    assert memory.value.trace.error.cause == "out_of_memory"
