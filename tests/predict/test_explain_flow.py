"""The path of a text through models of many designs: which module has which role, and what it does."""

from __future__ import annotations

from typing import Any

import pytest
import transformers

from gptrace.model.quiet_torch import torch
from gptrace.predict.explain.run import CATALOGS
from tests.models.small_gpt import SmallGPT
from tests.predict.claim_models import (
    Adapted,
    BlocksInAPythonList,
    ListsOfLists,
    NormedSum,
    OnlyTypes,
    Recurrent,
    RotatedPositions,
    ScaledTokens,
    TypedEmbedding,
    Unassigned,
    WithoutBlocks,
)
from tests.predict.flow_models import (
    FlatNorm,
    Forgotten,
    ForgottenSum,
    InPlace,
    OneKind,
    PositionsFirst,
    Projected,
    RandomForgotten,
    Residual,
    ReZero,
    SideBySide,
    SideBySideInABuffer,
    UndividedNormalization,
    WeightNormLinear,
    ZeroPositions,
)
from tests.predict.measured_claims import measured

nn = torch.nn
weight_norm = nn.utils.parametrizations.weight_norm


def with_zero_head(model: SmallGPT) -> SmallGPT:
    """The same model, whose logits are all zero until it is trained."""
    nn.init.zeros_(model.head.weight)
    return model


@pytest.mark.parametrize("ids", [[72, 101, 108, 108, 111], [0, 1, 2, 3], [0, 0], [0], [255]])
@pytest.mark.parametrize("model", [PositionsFirst(), PositionsFirst(tokens=260), ZeroPositions()])
def test_the_table_that_is_asked_for_the_ids_is_that_of_the_tokens(model: nn.Module, ids: list[int]) -> None:
    """Neither the number of rows nor the order of the calls tells it from the table of positions."""
    tokens, positions = measured(model, ids, topics=["flow"])["flow"][1:3]
    assert (tokens.key, tokens.holds, tokens.figures["table"]) == ("token_embedding", True, "tok_emb")
    assert (positions.key, positions.holds) == ("position_embedding", True)
    assert positions.figures["table"] == "pos_emb"


@pytest.mark.parametrize(
    ("model", "ids"), [(OneKind(), [15496]), (OneKind(), [11, 314]), (OnlyTypes(), [4, 7])]
)
def test_a_table_of_kinds_is_not_taken_for_one_of_positions(model: nn.Module, ids: list[int]) -> None:
    """One row, or two rows that happen to follow each other, tell nothing."""
    claim = measured(model, ids, topics=["flow"])["flow"][2]
    assert (claim.key, claim.holds) == ("block_input_changed", True)


@pytest.mark.parametrize(
    ("model", "key", "holds"),
    [
        (NormedSum(), "position_embedding", True),
        (BlocksInAPythonList(), "position_embedding", True),
        (WithoutBlocks(), "position_embedding", True),
        (TypedEmbedding(), "position_embedding_among_others", True),
        (RotatedPositions(), "position_embedding_unmeasured", None),
        (with_zero_head(RotatedPositions()), "position_embedding_unmeasured", None),
        (OnlyTypes(), "block_input_changed", True),
        (ScaledTokens(), "position_embedding_weighted", True),
        (SmallGPT("positions"), "position_embedding", False),
    ],
)
def test_positions_are_found_wherever_they_are_added(model: nn.Module, key: str, holds: bool | None) -> None:
    claim = measured(model)["flow"][2]
    assert (claim.key, claim.holds) == (key, holds)


def test_the_norm_inside_a_head_is_found() -> None:
    """BERT's head is a product, an activation and a norm in one module, before the scores."""
    config = transformers.BertConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=100, vocab_size=500,
        is_decoder=True,
    )  # fmt: skip
    claims = measured(transformers.BertLMHeadModel(config), ids=[3, 4, 5])["flow"]
    assert [claim.key for claim in claims[2:5]] == ["position_embedding_among_others", "blocks", "final_norm"]
    assert claims[4].figures["norm"] == "cls.predictions.transform.LayerNorm"
    assert all(claim.holds is not False for claim in claims)


@pytest.mark.parametrize(
    ("model", "norm", "holds"),
    [
        (Projected(WeightNormLinear(16, 16)), "norm", True),
        (Projected(weight_norm(nn.Linear(16, 16))), "norm", True),
        (Adapted(norm=FlatNorm(16)), "norm", True),
        (Adapted(norm=UndividedNormalization()), "norm", False),
        (Projected(UndividedNormalization()), "projection", False),
    ],
)
def test_a_norm_does_what_norms_do_or_is_evidently_meant_to(model: nn.Module, norm: str, holds: bool) -> None:
    claim = measured(model, topics=["flow"])["flow"][4]
    assert (claim.key, claim.holds, claim.figures["norm"]) == ("final_norm", holds, norm)


class NoNorm(nn.Module):
    """As in MobileBERT: a factor and a term for each number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.full((16,), 0.5)), nn.Parameter(torch.ones(16))

    def forward(self, x: Any) -> Any:
        return x * self.weight + self.bias


@pytest.mark.parametrize("module", [WeightNormLinear(16, 16), NoNorm()])
def test_a_module_is_no_norm_by_its_name_alone(module: nn.Module) -> None:
    claim = measured(Adapted(norm=module), topics=["flow"])["flow"][4]
    assert (claim.key, claim.holds) == ("no_final_norm", None)


@pytest.mark.parametrize(
    ("dtype", "constant"),
    # Float16 has no squares so large that 0.1 would be below their rounding.
    [(dtype, 1e-1) for dtype in (torch.float64, torch.float32, torch.bfloat16)]
    + [(dtype, 1e-5) for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16)],
)
def test_the_constant_in_the_variance_is_no_flaw_of_a_norm(dtype: torch.dtype, constant: float) -> None:
    model = Adapted(norm=nn.LayerNorm(16, eps=constant)).to(dtype)
    claim = measured(model, topics=["flow"])["flow"][4]
    assert (claim.key, claim.holds) == ("final_norm", True)


def test_a_norm_in_a_list_is_no_block() -> None:
    claims = measured(ListsOfLists())["flow"]
    assert claims[3].key == "no_blocks"


def test_the_positions_are_looked_for_where_a_block_runs_first() -> None:
    claim = measured(Recurrent())["flow"][2]
    assert (claim.key, claim.holds) == ("position_embedding", True)


def test_a_result_that_is_not_assigned_is_named() -> None:
    claims = {claim.key: claim for claims in measured(Unassigned()).values() for claim in claims}
    for key, path in (("unused_blocks", "`blocks.1`"), ("unused_norm", "`norm`")):
        assert claims[key].holds is False
        assert path in CATALOGS["en"].claim(claims[key]).text
    assert not {"blocks", "final_norm"} & set(claims)


@pytest.mark.parametrize(
    ("model", "key", "holds", "named"),
    [
        (Residual(), "blocks", True, ()),
        (Residual(zero_blocks=True), "blocks", True, ()),
        (InPlace(), "blocks", True, ()),
        (ReZero(), "blocks_without_effect", None, (0, 1)),
        (SideBySide(), "blocks_side_by_side", True, (0,)),
        (SideBySide(zero_blocks=True), "blocks_side_by_side", True, (0,)),
        (SideBySide(zero_head=True), "blocks_without_effect", None, (0,)),
        (SideBySideInABuffer(), "blocks_without_effect", None, (0, 1)),
        (Forgotten(), "unused_blocks", False, (0, 1)),
        (Forgotten(zero_head=True), "unused_blocks", False, (0, 1)),
        (ForgottenSum(), "unused_blocks", False, (0,)),
        (RandomForgotten(), "unused_blocks", False, (0, 1)),
    ],
)
def test_a_result_that_the_next_block_does_not_take_may_be_used_later(
    model: nn.Module, key: str, holds: bool | None, named: tuple[int, ...]
) -> None:
    claim = measured(model, topics=["flow"])["flow"][3]
    assert (claim.key, claim.holds) == (key, holds)
    assert claim.figures.get("named", []) == [{"block": f"blocks.{number}"} for number in named]
