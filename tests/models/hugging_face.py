"""Small models and tokenizers of transformers with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from gptrace.model.quiet_torch import torch

transformers.utils.logging.disable_progress_bar()  # else it shows on stderr, where tests look for errors

GROUPED = {"num_attention_heads": 4, "num_key_value_heads": 2}
SIZES = {
    "hidden_size": 48, "num_hidden_layers": 2, "intermediate_size": 100, "vocab_size": 500,
    "max_position_embeddings": 64,
}  # fmt: skip
# name: (configuration, a call, the names of what goes in and comes out there)
FAMILIES: dict[str, tuple[Any, str, list[str]]] = {
    "gpt2": (
        transformers.GPT2Config(n_embd=48, n_head=4, n_layer=2, n_positions=64, vocab_size=500),
        "transformer.h.1.attn.c_attn", ["n_embd", "3*n_embd"],
    ),
    "llama": (
        transformers.LlamaConfig(**SIZES, **GROUPED),
        "model.layers.1.self_attn.k_proj", ["hidden_size", "num_key_value_heads*head_dim"],
    ),
    "qwen2": (
        transformers.Qwen2Config(**SIZES, **GROUPED),
        "model.layers.1.mlp.up_proj", ["hidden_size", "intermediate_size"],
    ),
    "qwen3": (
        transformers.Qwen3Config(**SIZES, **GROUPED, head_dim=16),
        "model.layers.1.self_attn.o_proj", ["num_attention_heads*head_dim", "hidden_size"],
    ),
    "mistral": (
        transformers.MistralConfig(**SIZES, **GROUPED),
        "model.layers.0.self_attn.v_proj", ["hidden_size", "num_key_value_heads*head_dim"],
    ),
    "gemma": (
        transformers.GemmaConfig(**SIZES, num_attention_heads=4, num_key_value_heads=1, head_dim=16),
        "model.layers.1.self_attn.q_proj", ["hidden_size", "num_attention_heads*head_dim"],
    ),
    "gemma2": (
        transformers.Gemma2Config(**SIZES, **GROUPED, head_dim=16),
        "model.layers.1.mlp.down_proj", ["intermediate_size", "hidden_size"],
    ),
    "gpt-neox": (
        transformers.GPTNeoXConfig(**SIZES | {"hidden_size": 64}, num_attention_heads=4),
        "gpt_neox.layers.1.attention.query_key_value", ["hidden_size", "3*hidden_size"],
    ),
    "opt": (
        transformers.OPTConfig(
            hidden_size=48, word_embed_proj_dim=48, num_attention_heads=4, num_hidden_layers=2, ffn_dim=100,
            vocab_size=500, max_position_embeddings=64,
        ),
        "model.decoder.layers.1.fc1", ["hidden_size", "ffn_dim"],
    ),
    "mixtral": (
        transformers.MixtralConfig(**SIZES, **GROUPED, num_local_experts=4),
        "model.layers.1.mlp.experts", ["hidden_size", "hidden_size"],
    ),
}  # fmt: skip


def save_family(folder: Path, name: str) -> Any:
    """Write a random model of a family; return it."""
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[name][0]).eval()
    model.save_pretrained(folder)
    return model


def gpt2_with_large_weights(**changes: Any) -> Any:
    """A GPT-2 of transformers with weights large enough for clear differences."""
    settings = {"n_embd": 64, "n_head": 4, "n_layer": 3, "n_positions": 32} | changes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**settings)).train(False)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 0.3)
    return model


def vision_transformer() -> tuple[Any, dict[str, Any]]:
    """A small ViT, and an image for it."""
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=16,
        patch_size=8,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config), {"pixel_values": torch.ones(1, 3, 16, 16)}


def encoder_and_decoder() -> tuple[Any, dict[str, Any]]:
    """A small T5, and a text for its encoder and its decoder."""
    config = transformers.T5Config(
        vocab_size=60, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    ids = torch.tensor([[5, 6, 7]])
    return transformers.T5ForConditionalGeneration(config), {"input_ids": ids, "decoder_input_ids": ids}


TOKENIZER_TEXTS = ["Hello, I am a text.", "Every effort moves you", "你好，世界 🌍", "tabs\tand  spaces\n"]


def byte_level_tokenizer(vocab_size: int = 400) -> Tokenizer:
    """As of GPT-2, Llama 3, Qwen, GPT-NeoX and OPT."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TOKENIZER_TEXTS,
        trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"]),
    )
    return tokenizer


def sentence_piece_tokenizer() -> Tokenizer:
    """As of Llama 2, Mistral and Gemma: ▁ for a space, <0x0A> for a byte that no piece covers."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", *"Helo,Iamtx.", "▁He", "▁Hel", "▁Hell", "▁Hello"]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    merges = [("▁", "H"), ("▁He", "l"), ("▁Hel", "l"), ("▁Hell", "o")]
    merges = [pair for pair in merges if "".join(pair) in vocabulary and pair[0] in vocabulary]
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer
