"""The logit lens against the model itself."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import transformers

import gptrace
from gptrace.errors import ModelCodeError, RunError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.models.hugging_face import FAMILIES, SIZES, save_family
from tests.models.small_gpt import SmallGPT
from tests.support import (
    Cli,
    assert_rank,
    assert_same_but_for_rounding,
    assert_same_candidates,
    assert_top_logits,
    flat,
    logits_by_id,
    to_json,
    verdicts,
)

nn = torch.nn


def test_the_last_layer_of_a_lens_is_the_model(tiny: GPTModel) -> None:
    lens = gptrace.lens(["Hello, I am", "你好"], model=tiny, k=4)
    assert lens.through == ("final_norm", "out_head")
    for result in lens.results:
        ids = torch.tensor([result.ids])
        with torch.no_grad():
            logits = tiny.eval()(ids)[0]
            x = tiny.tok_emb(ids) + tiny.pos_emb(torch.arange(ids.shape[1]))
            for layer, block in zip(result.layers, tiny.trf_blocks, strict=True):
                x = block(x)
                row = tiny.out_head(tiny.final_norm(x))[0]
                assert len(layer.candidates) == 4
                assert_top_logits(logits_by_id(layer.candidates), row[-1])
                for cell, of_layer, final in zip(layer.cells, row, logits, strict=True):
                    assert_top_logits(logits_by_id([cell.best]), of_layer)
                    assert_rank(cell.rank_of_prediction, of_layer, int(final.argmax()))
                    probability = of_layer.double().softmax(-1)[int(final.argmax())]
                    # The logits of both are rounded to float32, so their difference is off by about 1e-6.
                    assert cell.probability_of_prediction == pytest.approx(float(probability), rel=1e-5)
                assert layer.rank_of_prediction == layer.cells[-1].rank_of_prediction
        assert all(cell.rank_of_prediction == 1 for cell in result.layers[-1].cells)
    assert not tiny.trf_blocks[0]._forward_hooks


def test_the_cells_of_a_page_have_several_candidates(tiny: GPTModel) -> None:
    session = gptrace.Session(tiny)
    (prompt,) = session.page("Hello, I am").prompts
    assert prompt.lens is not None
    for layer in prompt.lens.layers:
        for cell in layer.cells:
            assert [each.rank for each in cell.candidates] == [1, 2, 3, 4, 5]
        # After the last token, a layer has these candidates anyway.
        assert_same_candidates(layer.cells[-1].candidates, layer.candidates)
    (alone,) = session.lens("Hello, I am").results
    assert all(len(cell.candidates) == 1 for layer in alone.layers for cell in layer.cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"gemma2"}))
def test_a_lens_on_every_family(name: str, tmp_path: Path) -> None:
    save_family(tmp_path, name)
    result = gptrace.lens(ids=[3, 4, 5, 6], model=f"hf:{tmp_path}", k=2).results[0]
    assert len(result.layers) == 2
    assert result.layers[-1].rank_of_prediction == 1
    expected = gptrace.topk(ids=[3, 4, 5, 6], model=f"hf:{tmp_path}", k=2).results[0].candidates
    assert_same_candidates(result.layers[-1].candidates, expected)


def test_a_model_that_caps_its_logits_has_a_lens(tmp_path: Path, cli: Cli) -> None:
    """Gemma 2 bends its logits: those of each layer are bent too."""
    model = save_family(tmp_path, "gemma2")
    model.config = copy.deepcopy(model.config)  # other tests build the family from the same one
    model.config.final_logit_softcapping = 0.01
    outcome = cli(
        "lens", "--ids", "3 4 5", "-m", f"hf:{tmp_path}", "--set", "final_logit_softcapping=0.01", "--json"
    )
    (result,) = to_json(outcome)["results"]
    x = model.model(torch.tensor([[3, 4, 5]]), output_hidden_states=True).hidden_states[1]  # after layer 0
    with torch.no_grad():
        logits = 0.01 * torch.tanh(model.lm_head(model.model.norm(x)) / 0.01)[0, -1]
    first = result["layers"][0]["candidates"]
    assert [each["logit"] for each in first] == pytest.approx(
        logits.topk(len(first)).values.tolist(), abs=1e-7
    )
    assert result["layers"][1]["rank_of_prediction"] == 1
    assert "the model's own code made the logits" in to_json(outcome)["notes"][-1]


class Prefixed(SmallGPT):
    """Two learned vectors stand before those of the tokens, as in prompt tuning."""

    def __init__(self) -> None:
        super().__init__()
        self.prefix = nn.Parameter(torch.randn(1, 2, 16))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.prefix, self.tok_emb(ids)], dim=1)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x))[:, 2:]
        return logits


class SequenceFirst(SmallGPT):
    """Its blocks take [seq_len, batch, emb_dim]."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids).transpose(0, 1)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x)).transpose(0, 1)
        return logits


class Scaled(SmallGPT):
    """Its logits are multiples of the scores of its head."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return 0.25 * super().forward(ids)


class ReturnsDict(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"hidden": self.block(x)}


class InDicts(SmallGPT):
    """Its blocks return dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ReturnsDict(block) for block in self.blocks)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        for block in self.blocks:
            x = block(x)["hidden"]
        logits: torch.Tensor = self.head(self.norm(x))
        return logits


class PreNormLayer(nn.Module):
    """A block whose class says where its norm is."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.norm, self.block = nn.LayerNorm(16), block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.block(self.norm(x))
        return result


class NamedAfterNorms(SmallGPT):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(PreNormLayer(block) for block in self.blocks)


class ScaledInDicts(InDicts):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return 0.25 * super().forward(ids)


@pytest.mark.parametrize("kind", [Prefixed, SequenceFirst, Scaled, InDicts, NamedAfterNorms])
def test_each_cell_of_a_lens_is_at_its_position(kind: type[SmallGPT]) -> None:
    """The first block alone is a model too: its predictions are those of the first layer."""
    torch.manual_seed(5)
    model = kind().eval()
    (result,) = gptrace.lens(ids=[[3, 4, 5, 6]], model=model).results
    blocks = list(model.blocks)
    for layer, count in zip(result.layers, range(1, len(blocks) + 1), strict=True):
        model.blocks = nn.ModuleList(blocks[:count])
        with torch.no_grad():
            logits = model(torch.tensor([[3, 4, 5, 6]]))[0]
        assert len(layer.cells) == 4
        for cell, row in zip(layer.cells, logits, strict=True):
            assert_top_logits(logits_by_id(cell.candidates), row)


class TwoLists(SmallGPT):
    """Its blocks are in two lists, with dropout and a norm between them; the last one stands alone."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(*SmallGPT().blocks)
        self.between = nn.Sequential(nn.Dropout(), nn.LayerNorm(16))
        self.late = nn.ModuleList([*SmallGPT().blocks, *SmallGPT().blocks][:3])
        self.last = SmallGPT().blocks[0]
        del self.blocks

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.between(self.early(self.tok_emb(ids)))
        for block in self.late:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(self.last(x)))
        return logits


@pytest.mark.parametrize("ids", [[3, 4, 5, 6], [3]])
def test_the_blocks_of_all_lists_are_layers(ids: list[int]) -> None:
    torch.manual_seed(5)
    model = TwoLists().eval()
    lens = gptrace.lens(ids=ids, model=model)
    assert lens.through == ("norm", "head")
    paths = ["early.0", "early.1", "late.0", "late.1", "late.2", "last"]
    assert [layer.path for layer in lens.results[0].layers] == paths
    x = model.tok_emb(torch.tensor([ids]))
    with torch.no_grad():
        for layer in lens.results[0].layers:
            x = model.get_submodule(layer.path)(model.between(x) if layer.path == "late.0" else x)
            for cell, row in zip(layer.cells, model.head(model.norm(x))[0], strict=True):
                assert_top_logits(logits_by_id(cell.candidates), row)
    stream = gptrace.Session(model).page(ids=ids).prompts[0].stream
    assert [point.path for point in stream][1:] == paths
    claims = gptrace.explain(ids=ids, model=model, topics=["flow"]).topics[0].claims
    assert any("pass through 6 blocks" in claim.text for claim in claims)


class OtherLast(SmallGPT):
    """After its blocks, another kind of block runs."""

    def __init__(self) -> None:
        super().__init__()
        self.last = PreNormLayer(nn.Sequential(SmallGPT().blocks[0], nn.Linear(16, 16)))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(self.last(x)))
        return logits


@pytest.mark.parametrize("ids", [[3, 4, 5, 6], [3]])
def test_layers_before_a_module_that_mixes_tokens_are_refused(ids: list[int]) -> None:
    with pytest.raises(RunError, match=r"last in OtherLast runs after blocks\.1, .* and mixes the tokens"):
        gptrace.lens(ids=ids, model=OtherLast())


class Residual(SmallGPT):
    """Its head sees the token embedding beside the output of the last block."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embedded = self.tok_emb(ids)
        x = embedded
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x + embedded))
        return logits


class MixedAfterwards(SmallGPT):
    """After its blocks, each token gets the sum of those before it."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x.cumsum(dim=1)))
        return logits


@pytest.mark.parametrize("kind", [Residual, MixedAfterwards])
def test_layers_that_make_no_predictions_alone_are_refused(kind: type[SmallGPT]) -> None:
    with pytest.raises(RunError, match="layers have no predictions of their own"):
        gptrace.lens("Hello, I am", model=kind())


def test_a_model_without_layers_has_no_lens(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flat.py").write_text(
        "import torch\n"
        "class Flat(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.e = torch.nn.Embedding(50257, 8)\n"
        "        self.first, self.second = torch.nn.Linear(8, 50257), torch.nn.Linear(8, 50257)\n"
        "    def forward(self, x):\n"
        "        return self.first(self.e(x)) + self.second(self.e(x))\n"
    )
    flat = f"{tmp_path}/flat.py:Flat"
    cli("lens", "Hello", "-m", flat).is_error(1, "Flat has no list of blocks")
    cli("lens", "Hello", "-m", flat, "--head", "nope").is_error(2, "'nope'", "first, second")


def test_a_lens_does_not_read_the_padding_of_its_neighbours(tiny: GPTModel) -> None:
    together = gptrace.lens(["Hello", "Hello, I am"], model=tiny).results
    for text, result in zip(["Hello", "Hello, I am"], together, strict=True):
        assert_same_but_for_rounding(result.layers, gptrace.lens(text, model=tiny).results[0].layers)


def test_a_head_in_a_container() -> None:
    class Contained(SmallGPT):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.Identity()  # type: ignore[assignment]
            self.head = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 50257))  # type: ignore[assignment]

    model = Contained()
    lens = gptrace.lens("Hello, I am", model=model)
    assert lens.through == ("norm", "head.0", "head.1")
    explained = gptrace.explain("Hello, I am", model=model)
    assert "`head.0` brings every vector" in explained.topics[0].claims[4].text
    assert False not in flat(verdicts(explained))


def test_a_block_that_runs_again_and_again_has_no_layers() -> None:
    class Recurrent(SmallGPT):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([self.blocks[0]] * 3)

    with pytest.raises(RunError, match=r"blocks\.0 runs more than once"):
        gptrace.lens("Hello", model=Recurrent())


def test_a_wrong_head_is_refused(cli: Cli) -> None:
    for path in ("trf_blocks.0", "tok_emb", "trf_blocks.0.norm1"):
        for command in ("lens", "explain"):
            outcome = cli(command, "hi there", "-m", "tiny", "--head", path)
            outcome.is_error(2, f"--head '{path}' makes no logits", "out_head")


MIXED = {"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0}
LENSES = {
    "roberta": (
        transformers.RobertaConfig(**SIZES, num_attention_heads=4, is_decoder=True),
        "roberta.encoder.layer", ("lm_head",),
    ),
    "jamba": (
        transformers.JambaConfig(
            **SIZES, **MIXED, num_experts=2, num_experts_per_tok=1, attn_layer_period=2, attn_layer_offset=1,
            use_mamba_kernels=False, mamba_d_state=4, mamba_dt_rank=4,
        ),
        "model.layers", ("model.final_layernorm", "lm_head"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LENSES)
def test_layers_of_several_classes_and_a_head_of_several_modules(name: str) -> None:
    config, layers, through = LENSES[name]
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    lens = gptrace.lens(ids=[3, 4, 5, 6], model=model)
    assert lens.through == through
    assert [layer.path for layer in lens.results[0].layers] == [f"{layers}.0", f"{layers}.1"]
    expected = gptrace.topk(ids=[3, 4, 5, 6], model=model).results[0].candidates
    assert_same_candidates(lens.results[0].layers[-1].candidates, expected)


class TwoStreams(SmallGPT):
    """The norm takes two vectors side by side, as in a reversible model."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 50257)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(torch.cat([x, x], dim=-1)))
        return logits


class FussyNorm(nn.LayerNorm):
    """Takes no other vectors than those that it is shown first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = getattr(self, "seen", x.detach().clone())
        if not torch.equal(self.seen, x):
            raise ValueError("other vectors")
        return super().forward(x)


def test_a_failure_of_the_lens_is_not_put_down_to_the_model() -> None:
    lens = gptrace.lens("Hello", model=TwoStreams())
    assert lens.through == ()
    fussy = TwoStreams()
    fussy.norm = FussyNorm(32)
    gptrace.topk("Hello", model=fussy)  # which runs well
    with pytest.raises(RunError, match=r"cannot be replaced by that of another layer: .*other") as caught:
        gptrace.lens("Hello", model=fussy)
    assert not isinstance(caught.value, ModelCodeError)
    assert "own code" not in caught.value.hint
    with pytest.raises(RunError, match=r"cannot be replaced .* it returns a value of type dict"):
        gptrace.lens("Hello", model=ScaledInDicts())
    broken = nn.Sequential(nn.Embedding(50257, 8), nn.Linear(9, 50257))
    for ask in (gptrace.lens, gptrace.topk):
        with pytest.raises(ModelCodeError, match="RuntimeError"):
            ask("Hello", model=broken)
