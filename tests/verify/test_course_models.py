"""The course's own code, as it is installed, passes; with a mistake put into it, its line is named."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from llms_from_scratch import ch03

import gptrace
from gptrace.errors import ConfigError
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model

nn = torch.nn
SIZES: dict[str, Any] = {
    "vocab_size": 149, "context_length": 20, "emb_dim": 64, "n_heads": 4, "n_layers": 2,
}  # fmt: skip
GPT = {**SIZES, "drop_rate": 0.1, "qkv_bias": False}
LLAMA = {
    **SIZES, "hidden_dim": 96, "n_kv_groups": 2, "rope_base": 10_000.0, "dtype": torch.float32,
    "rope_freq": None,
}  # fmt: skip
QWEN = {**LLAMA, "head_dim": 16, "qk_norm": True}
EXPERTS = {**QWEN, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


@pytest.mark.parametrize(
    ("target", "config", "has_cache"),
    [
        ("ch04:GPTModel", GPT, False),
        ("ch04:GPTModelFast", GPT, False),
        ("kv_cache.gpt2:GPTModel", GPT, False),  # its mask for one new token has the wrong shape: it raises
        ("llama3:Llama3Model", LLAMA, False),
        ("llama3:Llama3ModelFast", LLAMA, False),
        ("kv_cache.llama3:Llama3Model", LLAMA, True),
        ("qwen3:Qwen3Model", QWEN, False),
        ("qwen3:Qwen3Model", EXPERTS, False),
        ("kv_cache.qwen3:Qwen3Model", QWEN, True),
        ("kv_cache.qwen3:Qwen3Model", EXPERTS, True),
    ],
)
def test_the_models_of_the_course_pass(target: str, config: dict[str, Any], has_cache: bool) -> None:
    check = gptrace.check(f"llms_from_scratch.{target}", config=config)
    assert check, str(check)
    unjudged = {result.name for result in check.checks if result.holds is None}
    assert unjudged == ({"loss-labels"} if has_cache else {"cache", "loss-labels"})


def test_positions_that_are_clamped_are_the_one_thing_found_in_the_batched_cache() -> None:
    check = gptrace.check("llms_from_scratch.kv_cache_batched.qwen3:Qwen3Model", config=QWEN)
    (result,) = check.failed
    assert result.name == "context"
    assert result.source is not None
    assert result.source.text == "position_ids = position_ids.clamp(max=cos.shape[2] - 1)"
    assert {other.name for other in check.checks if other.holds is None} == {"loss-labels"}


class Small(nn.Module):
    """A GPT around an attention module of chapter 3."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(50, 32)
        self.pos_emb = nn.Embedding(16, 32)
        self.att = attention
        self.out_head = nn.Linear(32, 50)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1], device=ids.device))
        logits: torch.Tensor = self.out_head(x + self.att(x))
        return logits


@pytest.mark.parametrize(
    "attention",
    [
        lambda: ch03.CausalAttention(32, 32, 16, 0.1),
        lambda: ch03.MultiHeadAttentionWrapper(32, 8, 16, 0.1, 4),
        lambda: ch03.MultiHeadAttention(32, 32, 16, 0.1, 4),
        lambda: ch03.PyTorchMultiHeadAttention(32, 32, 4, 0.1),
    ],
)
def test_the_attention_of_chapter_3_passes_in_a_model(attention: Any) -> None:
    assert gptrace.check(Small(attention()))


def test_attention_alone_is_no_model_and_is_refused() -> None:
    with pytest.raises(ConfigError, match="MultiHeadAttention is a block, not a model"):
        gptrace.check(ch03.MultiHeadAttention(32, 32, 16, 0.1, 4))


def source(*names: str) -> str:
    """The text of installed modules in one, which imports what it needs by absolute names."""
    modules = [importlib.import_module(f"llms_from_scratch.{name}") for name in names]
    text = "\n".join(inspect.getsource(module) for module in modules)
    text = text.replace("from .ch03 import MultiHeadAttention, PyTorchMultiHeadAttention\n", "")
    text = text.replace("from ..", "from llms_from_scratch.")
    return text.replace("from .utils", "from llms_from_scratch.kv_cache.utils")


FORWARD = "    def forward(self, in_idx):\n        batch_size, seq_len = in_idx.shape\n"
TARGETS = FORWARD.replace("in_idx)", "in_idx, targets=None)")
HEAD = "        x = self.final_norm(x)\n        logits = self.out_head(x)\n        return logits\n"
LOSS = """        x = self.final_norm(x)
        logits = self.out_head(x)
        if targets is None:
            return logits
        shifted = logits[:, :-1]
        return logits, nn.functional.cross_entropy(shifted.flatten(0, 1), targets[:, 1:].flatten())
"""
MASKED = "attn_scores.masked_fill_(mask_bool, -torch.inf)"
VIEWED = "values = values.view(b, num_tokens, self.num_heads, self.head_dim)"
SCRAMBLED = "values = values.view(b, self.num_heads, num_tokens, self.head_dim).transpose(1, 2)"


@pytest.mark.parametrize(
    ("modules", "edits", "target", "config", "name", "line"),
    [
        (
            ("ch03", "ch04"), [(MASKED, "attn_scores.masked_fill(mask_bool, -torch.inf)")],
            "GPTModel", GPT, "causal", "attn_scores.masked_fill(mask_bool",
        ),
        (("ch03", "ch04"), [(VIEWED, SCRAMBLED)], "GPTModel", GPT, "tokens-stay-apart", SCRAMBLED),
        (
            ("ch03", "ch04"), [(FORWARD, TARGETS), (HEAD, LOSS)],
            "GPTModel", GPT, "loss-labels", "shifted = logits[:, :-1]",
        ),
        (
            ("llama3",), [("mask[:num_tokens, :num_tokens], -torch.inf", "mask.T, -torch.inf")],
            "Llama3Model", LLAMA, "causal", "attn_scores = attn_scores.masked_fill(mask.T",
        ),
        (
            ("kv_cache.qwen3",),
            [("keys_new = apply_rope(keys_new, cos, sin, offset=start_pos)",
              "keys_new = apply_rope(keys_new, cos, sin)")],
            "Qwen3Model", QWEN, "cache", "keys_new = apply_rope(keys_new, cos, sin)",
        ),
    ],
)  # fmt: skip
def test_a_mistake_put_into_the_course_is_found(
    modules: tuple[str, ...], edits: list[tuple[str, str]], target: str, config: dict[str, Any], name: str,
    line: str, tmp_path: Path,
) -> None:  # fmt: skip
    text = source(*modules)
    for right, wrong in edits:
        assert right in text
        text = text.replace(right, wrong, 1)
    path = tmp_path / f"edited_{modules[0].replace('.', '_')}_{name.replace('-', '_')}.py"
    path.write_text(text)
    check = gptrace.Session(select_model(f"{path}:{target}", config=config)).check(only=[name])
    (result,) = check.failed
    assert result.source is not None
    assert result.source.text.startswith(line)
