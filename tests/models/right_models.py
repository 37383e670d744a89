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
    RightModel("alibi", "AlibiLM", context=""),
    RightModel(
        "relative_bias", "T5Decoder", context="", layers="num_layers",
        looks_wrong="The scores are not divided by √head_dim: the queries are initialised smaller instead.",
    ),
    RightModel("rotary_complex", "Transformer", "ModelArgs", context="max_seq_len"),
    RightModel("reshape_permute", "TextTransformer", context="seq_len", layers="depth"),
    RightModel("torch_attention", "DecoderOnlyLM", context="max_seq_len", layers="num_layers"),
    RightModel(
        "transformer_encoder", "TransformerModel", vocabulary="ntoken", context="max_len", layers="nlayers"
    ),
    RightModel("multi_query", "BigCode", context="n_positions", layers="n_layer"),
    RightModel("sliding_window", "Mistral"),
    RightModel("parallel_block", "GPTJ", context="n_positions", layers="n_layer"),
    RightModel("post_norm", "OpenAIGPT", context="n_ctx", layers="n_layer"),
    RightModel(
        "gemma_like", "Gemma", context="", layers="layers",
        looks_wrong="A tanh bends the scores and the logits, which a linear head would not do.",
    ),
    RightModel(
        "qk_norm", "NormalisedLM", vocabulary="num_tokens", context="max_len", layers="depth",
        looks_wrong="The scores are not divided by √head_dim: a learned factor multiplies cosines.",
    ),
    RightModel("sinusoidal_functional", "FunctionalGPT", context="", layers="blocks"),
    RightModel(
        "mixture_of_experts", "MoETransformer", context="max_len",
        looks_wrong="An expert that no token of a text chooses is not called.",
    ),
    RightModel("min_gpt", "GPT", context="block_size", layers="n_layer", labels="shifted"),
    RightModel(
        "returns_dataclass", "AnnotatedDecoder", vocabulary="vocab", context="max_len", layers="N",
        labels="same",
    ),
    RightModel(
        "hugging_face_style", "ForCausalLM", context="max_position_embeddings", layers="num_layers",
        labels="same", cache="past_key_values", mask=True,
    ),
    RightModel("gru_model", "RNNModel", vocabulary="ntoken", context="", layers=""),
    RightModel("causal_convolution", "ConvLM", context="", layers=""),
    RightModel("selective_scan", "Mamba", context="", layers="n_layer"),
    RightModel("linear_attention", "LinearTransformer", context="max_len", layers="depth"),
    RightModel("batch_second", "FairseqDecoder", context="max_positions", layers="num_layers"),
    RightModel("functional_dropout", "Decoder", context="max_length"),
    RightModel("seq2seq_decoder", "Generator", context="max_length", layers="num_layers"),
    RightModel("head_modules", "HeadsGPT"),
    RightModel("rotary_functional", "LM", "Args", context="max_seq_len", labels="shifted"),
    RightModel(
        "token_shift", "RWKV", context="", layers="n_layer",
        looks_wrong="The tokens are shifted by a padding of 1 and -1, and nothing is a mask.",
    ),
    RightModel("static_cache", "Transformer", context="block_size", layers="n_layer", cache="input_pos"),
    RightModel("cache_object", "Llama3Model", "LLAMA_CONFIG", cache="cache_object"),
    RightModel(
        "kept_scores", "PictureGPT",
        looks_wrong="Scores that see later tokens are kept, before the mask hides them.",
    ),
    RightModel(
        "attention_sink", "SinkLM",
        looks_wrong="The weights of the keys sum to less than 1, since a sink takes the rest.",
    ),
    RightModel(
        "sliding_crop", "BigramLanguageModel", context="block_size", layers="n_layer", labels="shifted",
        looks_wrong="A text that is too long is cropped to its end, and so are the logits.",
    ),
    RightModel(
        "parallel_scan", "ScanLM", vocabulary="num_tokens", context="", layers="depth",
        looks_wrong="A loop of shifts mixes whole sequences, without a mask.",
    ),
    RightModel(
        "fft_convolution", "HyenaLM", context="max_length",
        looks_wrong="Each value of a Fourier transform depends on all tokens; their sum does not.",
    ),
    RightModel(
        "softmax_by_hand", "HandmadeGPT",
        looks_wrong="There is a detach, and the greatest score is taken over later keys too: it cancels.",
    ),
    RightModel(
        "flipped_time", "FlippedLM", context="",
        looks_wrong="An upper triangle and sums over later tokens, but of a sequence that is turned around.",
    ),
    RightModel(
        "memory_tokens", "MemoryLM",
        looks_wrong="Three more positions than tokens inside, and a part of the mask that is not causal.",
    ),
    RightModel(
        "positive_slopes", "Bloom", context="", layers="n_layer",
        looks_wrong="Positive slopes, F.dropout without training=, and a parameter without a gradient.",
    ),
    RightModel(
        "shared_layers", "UniversalTransformer", layers="repeats",
        looks_wrong="The same block is called three times, and scores are not square.",
    ),
    RightModel(
        "rolled_shift", "ShiftLM", context="",
        looks_wrong="torch.roll moves the last token to the front, before it is zeroed; in-place writing.",
    ),
    RightModel(
        "rolling_cache", "RollingLM", context="", layers="", cache="use_cache",
        looks_wrong="The cache forgets keys, but only those that the window does not reach any more.",
    ),
    RightModel(
        "last_logits", "GPT", "Config", context="block_size", layers="n_layer", labels="shifted",
        looks_wrong="Without targets there are only the logits of the last position.",
    ),
    RightModel(
        "position_offset", "OPT", context="max_position_embeddings", layers="num_layers", mask=True,
        looks_wrong="The position ids start at 2, and two rows of their table are never used.",
    ),
    RightModel(
        "position_ids_argument", "CausalLM", context="n_positions", layers="num_layers", mask=True,
        looks_wrong="Rows of NaN, which are replaced; and with left padding the caller gives the positions.",
    ),
    RightModel(
        "auxiliary_loss", "SwitchGPT", context="block_size", layers="n_layer", labels="shifted",
        looks_wrong="The loss is more than the cross-entropy, and the model keeps a value of the last batch.",
    ),
    RightModel(
        "bfloat16_inside", "MixedGPT",
        looks_wrong="Rounding to bfloat16 inside is much larger than that of float32.",
    ),
    RightModel(
        "blockwise_softmax", "FlashGPT",
        looks_wrong="No softmax, weights that sum to 1 only at the end, and memory that starts empty.",
    ),
    RightModel(
        "talking_heads", "TalkingLM", vocabulary="num_tokens", context="max_seq_len", layers="depth",
        looks_wrong="After softmax the heads mix their weights, which no longer sum to 1.",
    ),
    RightModel(
        "differential_attention", "DiffTransformer", context="max_positions",
        looks_wrong="The difference of two attention maps is negative in places, and sums to less than 1.",
    ),
    RightModel(
        "keys_by_queries", "ColumnGPT",
        looks_wrong="The lower triangle is hidden, and softmax runs over axis 2: the rows are keys.",
    ),
    RightModel(
        "zero_init", "SpeedrunGPT", context="block_size", layers="n_layer", labels="shifted",
        looks_wrong="Weights that start at zero keep gradients and tokens from getting through, at first.",
    ),
    RightModel(
        "low_rank_adapters", "gpt_with_lora",
        looks_wrong="Frozen parameters, and a matrix of zeros that keeps the other one from a gradient.",
    ),
    RightModel(
        "whole_bfloat16", "LowPrecisionModel", "Args",
        looks_wrong="Rounding to bfloat16 is as large as some mistakes.",
    ),
    RightModel(
        "lazy_tables", "NeoX", context="", layers="num_layers",
        looks_wrong="Forward changes buffers, whose values do not depend on when they were made.",
    ),
    RightModel(
        "one_hot", "OneHotLM",
        looks_wrong="Positions start as zeros, so untrained ones make no difference.",
    ),
)  # fmt: skip

RIGHT_MODELS = {model.name: model for model in _ALL}
