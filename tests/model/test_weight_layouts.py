"""Weights of every layout, against `transformers` on the same weights; and files not to be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from llms_from_scratch.ch04 import GPTModel as CourseModel
from safetensors.torch import save_file

import gptrace
from gptrace.errors import GptraceError, WeightsError
from gptrace.model.build import load
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from tests.models.checkpoints import course_file, to_linear
from tests.models.hugging_face import gpt2_with_large_weights
from tests.support import KERNEL_ROUNDING_OF_LARGE_LOGITS, Cli, assert_top_logits, logits_by_id

Tensors = dict[str, torch.Tensor]
TEXTS = ["Hello, I am", "你好", "Every effort moves you forward"]


def agrees(path: Path, reference: Any, **options: Any) -> gptrace.Trace:
    """Check that our logits and top 10 are the reference's for each prompt, alone and in a padded batch."""
    topk = gptrace.topk(TEXTS, weights=path, k=10, **options)
    trace = gptrace.trace(TEXTS, weights=path, k=10, **options)
    for result, prediction in zip(topk.results, trace.predictions, strict=True):
        with torch.no_grad():
            logits = reference(torch.tensor([result.ids]))
        logits = getattr(logits, "logits", logits)[0, -1, :50257]
        for candidates in (result.candidates, prediction.candidates):
            assert len(candidates) == 10
            assert_top_logits(logits_by_id(candidates), logits, KERNEL_ROUNDING_OF_LARGE_LOGITS)
    return trace


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    reference = gpt2_with_large_weights()
    reference.save_pretrained(tmp_path)
    trace = agrees(tmp_path, reference)
    assert trace.model.weights is not None
    assert trace.model.weights["layout"] == "Hugging Face GPT-2"
    assert trace.model.parameters.tied == (("tok_emb.weight", "out_head.weight"),)
    assert trace.model.parameters.unique == reference.num_parameters()
    agrees(tmp_path / "model.safetensors", reference)


@pytest.mark.slow
def test_the_124m_shape(tmp_path: Path) -> None:
    reference = gpt2_with_large_weights(n_embd=768, n_head=12, n_layer=12, n_positions=1024)
    reference.save_pretrained(tmp_path)
    assert agrees(tmp_path, reference).model.parameters.unique == 124_439_808


@pytest.mark.parametrize(
    "changes",
    [
        {"activation_function": "gelu"},
        {"activation_function": "relu"},
        {"layer_norm_epsilon": 0.1},
        {"n_inner": 100},
        {"n_head": 1},
        {"vocab_size": 50257, "tie_word_embeddings": False},
    ],
)
def test_what_config_json_says_is_heeded(tmp_path: Path, changes: dict[str, Any]) -> None:
    reference = gpt2_with_large_weights(**changes)
    reference.save_pretrained(tmp_path)
    trace = agrees(tmp_path, reference)
    if "n_inner" in changes:
        ff = next(call for call in trace.calls if call.path == "trf_blocks.0.ff.layers.0")
        assert ff.outputs[0].dims == ("batch", "seq_len", "ff_dim")


def test_shards_of_both_kinds(tmp_path: Path) -> None:
    reference = gpt2_with_large_weights()
    reference.save_pretrained(tmp_path / "safetensors", max_shard_size="5MB")
    assert (tmp_path / "safetensors" / "model.safetensors.index.json").exists()
    agrees(tmp_path / "safetensors", reference)
    agrees(tmp_path / "safetensors" / "model.safetensors.index.json", reference)
    folder = tmp_path / "bin"
    folder.mkdir()
    reference.config.save_pretrained(folder)
    state = reference.state_dict()
    names = sorted(state)
    parts = {"pytorch_model-1.bin": names[::2], "pytorch_model-2.bin": names[1::2]}
    for file, held in parts.items():
        torch.save({name: state[name].clone() for name in held}, folder / file)
    weight_map = {name: file for file, held in parts.items() for name in held}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    agrees(folder, reference)
    (folder / "model.safetensors").write_bytes(b"another file, not the one that is named")
    agrees(folder / "pytorch_model.bin.index.json", reference)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model-2.bin").unlink()
    with pytest.raises(WeightsError, match=r"pytorch_model-2\.bin is missing"):
        gptrace.topk("Hello", weights=folder)


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("prefix", ["transformer.", ""])
@pytest.mark.parametrize("head", ["tied", "absent"])
def test_a_bin_file_beside_its_config_or_without_one(
    tmp_path: Path, prefix: str, head: str, legacy: bool
) -> None:
    reference = gpt2_with_large_weights()
    state = {
        prefix + name.removeprefix("transformer."): value for name, value in reference.state_dict().items()
    }
    state = {name.replace("transformer.lm_head", "lm_head"): value for name, value in state.items()}
    if head == "absent":
        state = {name: value for name, value in state.items() if "lm_head" not in name}
    # Old files carry the causal mask as a buffer.
    state[f"{prefix}h.0.attn.bias"] = torch.ones(1, 1, 32, 32)
    state[f"{prefix}h.0.attn.masked_bias"] = torch.tensor(-1e4)
    path = tmp_path / "pytorch_model.bin"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    trace = agrees(path, reference, config={"n_heads": 4})
    assert trace.model.parameters.unique == reference.num_parameters()
    reference.config.save_pretrained(tmp_path)
    agrees(path, reference)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_nanogpt_checkpoint_with_its_padded_vocabulary(tmp_path: Path, compiled: bool) -> None:
    reference = gpt2_with_large_weights(vocab_size=50304, activation_function="gelu")
    state = to_linear(dict(reference.state_dict()))
    prefix = "_orig_mod." if compiled else ""
    arguments = {
        "n_layer": 3, "n_head": 4, "n_embd": 64, "block_size": 32, "bias": True, "vocab_size": 50304,
        "dropout": 0.0,
    }  # fmt: skip
    path = tmp_path / "ckpt.pt"
    held = {prefix + name: value for name, value in state.items()}
    torch.save({"model": held, "model_args": arguments, "iter_num": 5, "config": {"out_dir": "out"}}, path)
    with torch.no_grad():  # the padding would win, if it could
        reference.lm_head.weight[50257:] = 5
    trace = agrees(path, reference)
    assert trace.model.config is not None
    assert trace.model.config["vocab_size"] == 50304
    assert "47 rows that pad the vocabulary are never predicted" in str(trace)
    with pytest.raises(GptraceError, match="from 1 to 50257"):
        gptrace.topk("Hello", weights=path, k=50258)


class NoBias(torch.nn.Module):
    """nanoGPT with bias=False, written here with PyTorch's own parts."""

    def __init__(self, state: Tensors) -> None:
        super().__init__()
        self.state = state

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        state, F = self.state, torch.nn.functional
        T = ids.shape[1]
        x = state["wte.weight"][ids] + state["wpe.weight"][:T]
        for n in range(2):
            normed = F.layer_norm(x, (64,), state[f"h.{n}.ln_1.weight"])
            parts = F.linear(normed, state[f"h.{n}.attn.c_attn.weight"]).chunk(3, dim=-1)
            q, k, v = (part.view(1, T, 4, 16).transpose(1, 2) for part in parts)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(1, T, 64)
            x = x + F.linear(mixed, state[f"h.{n}.attn.c_proj.weight"])
            normed = F.layer_norm(x, (64,), state[f"h.{n}.ln_2.weight"])
            inner = F.gelu(F.linear(normed, state[f"h.{n}.mlp.c_fc.weight"]))
            x = x + F.linear(inner, state[f"h.{n}.mlp.c_proj.weight"])
        return F.linear(F.layer_norm(x, (64,), state["ln_f.weight"]), state["wte.weight"])


def test_nanogpt_without_biases(tmp_path: Path) -> None:
    torch.manual_seed(1)
    shapes = {"wte.weight": (50304, 64), "wpe.weight": (32, 64), "ln_f.weight": (64,)}
    for n in range(2):
        shapes |= {
            f"h.{n}.ln_1.weight": (64,), f"h.{n}.ln_2.weight": (64,), f"h.{n}.attn.c_attn.weight": (192, 64),
            f"h.{n}.attn.c_proj.weight": (64, 64), f"h.{n}.mlp.c_fc.weight": (256, 64),
            f"h.{n}.mlp.c_proj.weight": (64, 256),
        }  # fmt: skip
    state = {name: torch.randn(shape) * 0.3 for name, shape in shapes.items()}
    arguments = {
        "n_layer": 2,
        "n_head": 4,
        "n_embd": 64,
        "block_size": 32,
        "bias": False,
        "vocab_size": 50304,
    }
    saved: dict[str, Any] = {
        "model": {f"transformer.{k}": v for k, v in state.items()},
        "model_args": arguments,
    }
    saved["model"]["lm_head.weight"] = saved["model"]["transformer.wte.weight"]
    torch.save(saved, tmp_path / "ckpt.pt")
    trace = agrees(tmp_path / "ckpt.pt", NoBias(state))
    assert trace.model.config is not None
    assert (trace.model.config["bias"], trace.model.config["qkv_bias"]) == (False, False)


def test_a_mingpt_state_dict_whose_masks_are_no_parameters(tmp_path: Path) -> None:
    reference = gpt2_with_large_weights(tie_word_embeddings=False)
    state = to_linear(dict(reference.state_dict()))
    for n in range(3):
        state[f"transformer.h.{n}.attn.bias"] = torch.tril(torch.ones(1, 1, 32, 32))
    torch.save(state, tmp_path / "model.pt")
    agrees(tmp_path / "model.pt", reference, config={"n_heads": 4})


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("qkv_bias", [False, True])
def test_the_courses_own_files(
    tmp_path: Path, suffix: str, wrapped: bool, mask: bool, qkv_bias: bool
) -> None:
    torch.manual_seed(2)
    settings = {
        "vocab_size": 50257, "context_length": 32, "emb_dim": 48, "n_heads": 4, "n_layers": 2,
        "drop_rate": 0.1, "qkv_bias": qkv_bias,
    }  # fmt: skip
    reference = CourseModel(settings).eval()
    state = {
        name: value for name, value in reference.state_dict().items() if mask or not name.endswith("att.mask")
    }
    path = tmp_path / f"model.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    elif wrapped:
        optimizer = torch.optim.AdamW(reference.parameters())
        torch.save({"model_state_dict": state, "optimizer_state_dict": optimizer.state_dict()}, path)
    else:
        torch.save(state, path)
    trace = agrees(path, reference, config={"n_heads": 4})
    assert trace.model.config is not None
    assert trace.model.config["qkv_bias"] is qkv_bias


def test_a_bare_state_dict_of_any_size_with_ids(tmp_path: Path, cli: Cli) -> None:
    path = course_file(tmp_path / "model.pt")
    outcome = cli("run", "--ids", "1 2", "--weights", str(path), "--set", "n_heads=3", "--json")
    assert json.loads(outcome.out)["model"]["config"]["n_heads"] == 3
    cli("run", "--ids", "1 2", "-w", str(path)).is_error(
        2, "the number of heads is unknown", "--set n_heads="
    )
    cli("run", "Hello", "-w", str(path), "--set", "n_heads=3").is_error(2, "not in the vocabulary of 100")


def test_assumed_heads_are_said(tmp_path: Path) -> None:
    path = course_file(tmp_path / "model.pt", emb_dim=128, n_heads=2)
    trace = gptrace.trace(ids=[1], weights=path)
    assert trace.model.weights is not None
    assert trace.model.weights["assumed"] == {"n_heads": 2}
    assert "assumed, since the file does not say: n_heads 2" in str(trace)


def test_a_disagreement_says_what_the_file_holds(tmp_path: Path) -> None:
    path = course_file(tmp_path / "model.pt")
    with pytest.raises(WeightsError, match=r"gpt2-small has vocab_size 50257, .*emb_dim 48, n_layers 1"):
        gptrace.trace(ids=[1], weights=path, model="gpt2-small")
    with pytest.raises(WeightsError, match="the configuration has n_layers 2, the weights have 1"):
        gptrace.trace(ids=[1], weights=path, config={"n_layers": 2, "n_heads": 3})


@pytest.mark.parametrize("stored", ["float16", "bfloat16", "float64"])
def test_the_dtype_on_disk_and_the_dtype_that_runs(tmp_path: Path, stored: str) -> None:
    reference = gpt2_with_large_weights().to(getattr(torch, stored))
    reference.save_pretrained(tmp_path)
    agrees(tmp_path, reference.float())
    trace = gptrace.trace("Hello", weights=tmp_path, dtype="bfloat16")
    assert trace.model.weights is not None
    assert trace.model.weights["dtype"] == stored
    assert trace.calls[-1].outputs[0].dtype == "bfloat16"


def test_parameters_are_views_of_the_mapped_file(tmp_path: Path) -> None:
    """Nothing is copied: query, key and value share the storage of the one fused matrix."""
    gpt2_with_large_weights().save_pretrained(tmp_path)
    module: Any = load(select_model(weights=tmp_path)).module
    attention: Any = module.trf_blocks[0].att
    assert (
        len({part.weight.untyped_storage().data_ptr() for part in (attention.W_query, attention.W_value)})
        == 1
    )


def test_nan_weights_are_traced_and_said(tmp_path: Path) -> None:
    path = course_file(tmp_path / "model.pt")
    state = torch.load(path)
    state["trf_blocks.0.att.out_proj.weight"][0, 0] = float("nan")
    torch.save(state, path)
    trace = gptrace.trace(ids=[1], weights=path, config={"n_heads": 3})
    assert "NaN" in str(trace)
    assert "trf_blocks.0.att.out_proj.weight" in str(trace)


def test_the_activation_of_a_bare_state_dict_is_assumed_and_said(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(to_linear(dict(gpt2_with_large_weights().state_dict())), path)
    assert load(select_model(weights=path)).weights["assumed"] == {"n_heads": 1, "activation": "gelu_tanh"}
    told = load(select_model(weights=path, settings=["n_heads=4", "activation=gelu"]))
    assert "assumed" not in told.weights


def test_a_width_that_is_given_and_right(tmp_path: Path) -> None:
    path = course_file(tmp_path / "model.pt")
    module: Any = load(select_model(weights=path, settings=["n_heads=3", "ff_dim=192"])).module
    assert module.config.hidden_dim == 192
    with pytest.raises(WeightsError, match="ff_dim 100, the weights have 192"):
        load(select_model(weights=path, settings=["n_heads=3", "ff_dim=100"]))
