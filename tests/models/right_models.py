"""The right models by name: one for each style of writing a causal language model."""

from __future__ import annotations

from tests.models.collection import RightModel

_ALL = (
    RightModel("course_gpt", "GPTModel", "GPT_CONFIG"),
    RightModel("nano_gpt", "GPT", "GPTConfig", context="block_size", layers="n_layer", labels="shifted"),
    RightModel(
        "llama_like", "Llama", "LlamaConfig", context="max_position_embeddings", layers="num_hidden_layers"
    ),
    RightModel("gpt_with_kv_cache", "GPTModel", "GPT_CONFIG", cache="use_cache"),
    RightModel("einsum_style", "DemoTransformer", context="n_ctx"),
    RightModel("sdpa_causal", "TinyGPT", context="max_len", layers="depth"),
)

RIGHT_MODELS = {model.name: model for model in _ALL}
