"""Axis names in models of transformers: sizes that are nested, derived, or equal by chance."""

from __future__ import annotations

from typing import Any

import pytest
import transformers

import gptrace
from gptrace.model.quiet_torch import torch

SIZES = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 32, "vocab_size": 32, "max_position_embeddings": 32, "pad_token_id": 0,
}  # fmt: skip
LATENT = {
    "q_lora_rank": 32, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8,
    "n_routed_experts": 2, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 1,
    "first_k_dense_replace": 1, "num_key_value_heads": 4,
}  # fmt: skip
IMAGES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def gemma3(text: dict[str, Any]) -> Any:
    config = transformers.Gemma3Config(text_config=text, vision_config={**IMAGES, "image_size": 28})
    return transformers.Gemma3ForConditionalGeneration(config)


def dims(trace: gptrace.Trace) -> dict[str, tuple[str, ...]]:
    return {call.path: call.outputs[0].dims for call in trace.calls if call.outputs}


@pytest.mark.parametrize(
    ("build", "path", "name"),
    [
        (lambda: transformers.MistralForCausalLM(transformers.MistralConfig(**SIZES)),
         "model.layers.0.self_attn.q_proj", "num_attention_heads*head_dim"),
        (lambda: transformers.OPTForCausalLM(transformers.OPTConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=4, ffn_dim=32, vocab_size=32,
            max_position_embeddings=32, word_embed_proj_dim=32)),
         "model.decoder.embed_tokens", "word_embed_proj_dim"),
        (lambda: transformers.DeepseekV3ForCausalLM(transformers.DeepseekV3Config(**(SIZES | LATENT))),
         "model.layers.0.self_attn.q_a_proj", "q_lora_rank"),
        (lambda: transformers.DeepseekV2ForCausalLM(transformers.DeepseekV2Config(**(SIZES | LATENT))),
         "model.layers.0.self_attn.o_proj", "hidden_size"),
        # Its constructor takes a head_dim that it does not declare.
        (lambda: transformers.Qwen3MoeForCausalLM(transformers.Qwen3MoeConfig(
            **(SIZES | {"num_attention_heads": 1, "num_key_value_heads": 1}), head_dim=2,
            moe_intermediate_size=8, num_experts=2, num_experts_per_tok=1)),
         "model.layers.0.self_attn.q_proj", "num_attention_heads*head_dim"),
        (lambda: gemma3({**SIZES, "head_dim": 8}),
         "model.language_model.layers.0.self_attn.q_proj", "num_attention_heads*head_dim"),
    ],
)  # fmt: skip
def test_a_name_is_a_setting_that_the_axis_follows(build: Any, path: str, name: str) -> None:
    module = build().eval()
    with torch.inference_mode(), gptrace.watch(module) as trace:
        module(torch.tensor([[3, 4, 5, 6]]), use_cache=False)
    assert dims(trace)[path] == ("batch", "seq_len", name)
    assert dims(trace)[""] == ("batch", "seq_len", "vocab_size")
    assert not any("name" in note for note in trace.notes)


def test_a_note_on_names_says_how_many_passes_it_is_about() -> None:
    config = transformers.LlamaConfig(
        vocab_size=131, hidden_size=32, num_attention_heads=4, num_hidden_layers=2, intermediate_size=48,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad(), gptrace.watch(model) as trace:
        output = model(torch.zeros(2, 5, dtype=torch.int64))
        model(torch.zeros(2, 1, dtype=torch.int64), past_key_values=output.past_key_values)
    assert trace.calls[0].inputs[0].dims == ("batch", "seq_len")
    assert len(trace.notes) == 1
    assert trace.notes[0].startswith("in 1 of 2 forward passes, no axis has a name: ")
