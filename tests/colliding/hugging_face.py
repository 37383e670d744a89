"""Architectures of transformers, and the role of each size in their configurations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import transformers

from gptrace.model.quiet_torch import torch


@dataclass(frozen=True)
class HuggingFaceArchitecture:
    """`sizes` maps keys to roles, `fixed` holds other keys; head_dim is `derived` from width and heads."""

    kind: str
    sizes: dict[str, str]
    fixed: dict[str, Any] = field(default_factory=dict)
    derived: tuple[str, str] | None = None
    model: str = ""
    part: str = ""

    def config(self, sizes: dict[str, int]) -> Any:
        """Return a new configuration."""
        config_class = getattr(transformers, f"{self.kind}Config")
        settings = {**sizes, **self.fixed}
        return config_class(**({self.part: settings} if self.part else settings))

    def text_of(self, config: Any) -> Any:
        """Return the part of the configuration that reads text."""
        return getattr(config, self.part) if self.part else config

    def build(self, sizes: dict[str, int]) -> torch.nn.Module:
        """Return a new model."""
        name = self.model or f"{self.kind}ForCausalLM"
        config = self.config(sizes)
        config._experts_implementation = "eager"  # other kernels want multiples of 16 bytes
        module: torch.nn.Module = getattr(transformers, name)(config)
        return module


_MODERN = {
    "vocab_size": "vocabulary", "hidden_size": "width", "num_attention_heads": "heads",
    "intermediate_size": "any", "max_position_embeddings": "context",
}  # fmt: skip
_GROUPED = {**_MODERN, "num_key_value_heads": "groups"}
_OWN = {**_GROUPED, "head_dim": "head_dim"}
_GPT2 = {
    "vocab_size": "vocabulary", "n_embd": "width", "n_head": "heads", "n_positions": "context",
}  # fmt: skip
_FIXED = {"num_hidden_layers": 1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_EXPERTS = {**_FIXED, "num_experts_per_tok": 2}
_WIDTH = ("hidden_size", "num_attention_heads")
_LATENT = {
    **_MODERN, "q_lora_rank": "any", "kv_lora_rank": "any", "qk_nope_head_dim": "any",
    "qk_rope_head_dim": "even", "v_head_dim": "any", "moe_intermediate_size": "any",
}  # fmt: skip
Spec = HuggingFaceArchitecture
ARCHITECTURES: dict[str, HuggingFaceArchitecture] = {
    "gpt2": Spec(
        "GPT2",
        _GPT2,
        {"n_layer": 1, "bos_token_id": 1, "eos_token_id": 1},
        ("n_embd", "n_head"),
        "GPT2LMHeadModel",
    ),
    "llama": Spec("Llama", _GROUPED, _FIXED),
    "llama with a head_dim": Spec("Llama", _OWN, _FIXED),
    "mistral": Spec("Mistral", _OWN, _FIXED),
    "qwen2": Spec("Qwen2", _GROUPED, _FIXED, _WIDTH),
    "qwen3": Spec("Qwen3", _OWN, _FIXED),
    "gemma": Spec("Gemma", _OWN, _FIXED),
    "gemma2": Spec("Gemma2", _OWN, _FIXED),
    "gemma3": Spec("Gemma3Text", _OWN, _FIXED, model="Gemma3ForCausalLM"),
    "mixtral": Spec("Mixtral", _OWN, {**_EXPERTS, "num_local_experts": 3}),
    "qwen3 moe": Spec("Qwen3Moe", {**_OWN, "moe_intermediate_size": "any"}, {**_EXPERTS, "num_experts": 3}),
    "deepseek v3": Spec(
        "DeepseekV3",
        _LATENT,
        {**_EXPERTS, "n_routed_experts": 2, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 0},
    ),
    "gpt neox": Spec("GPTNeoX", _MODERN, _FIXED, _WIDTH),
    "opt": Spec(
        "OPT",
        {
            "vocab_size": "vocabulary",
            "hidden_size": "width",
            "num_attention_heads": "heads",
            "ffn_dim": "any",
            "max_position_embeddings": "context",
            "word_embed_proj_dim": "width",
        },
        {**_FIXED, "pad_token_id": 1},
        _WIDTH,
    ),
    "phi3": Spec("Phi3", _GROUPED, _FIXED, _WIDTH),
    "olmo2": Spec("Olmo2", _GROUPED, _FIXED, _WIDTH),
    "starcoder2": Spec("Starcoder2", _GROUPED, _FIXED, _WIDTH),
    "bloom": Spec(
        "Bloom",
        {"vocab_size": "vocabulary", "hidden_size": "width", "n_head": "heads"},
        {"n_layer": 1, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
        ("hidden_size", "n_head"),
    ),
    "electra": Spec(
        "Electra", {**_MODERN, "embedding_size": "width"}, {**_FIXED, "is_decoder": True}, _WIDTH
    ),
}
