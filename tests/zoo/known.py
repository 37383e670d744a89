"""What is known of some architectures: they cannot run here, refuse a question, or break a claim."""

from __future__ import annotations

# What cannot be built or run on ids alone, and words of the exception of transformers.
UNAVAILABLE = {
    "gemma3n": "requires the timm library",
    "gemma4_assistant": "must be shared",  # it continues the keys and values of another model
    "gemma4_unified_assistant": "layer types producing a cache",  # the same
    "musicgen": "has no attribute 'dropout'",  # its decoder alone is the causal model
    "musicgen_melody": "has no attribute 'dropout'",
}

# Questions that gptrace refuses, and the words of the refusal. Each was read and is true.
_NEEDS_MORE = "needs more than what {}, the last block found, returns for that token"
REFUSED: dict[str, dict[str, str]] = {
    # Bytes are grouped to patches by the ids, beside the blocks.
    "blt": {"lens": _NEEDS_MORE.format("model.patcher.layers.1")},
    # The same layers run again and again.
    "hrm_text": {"lens": "runs more than once"},
    # After the last block, attention over the outputs of all blocks.
    "inkling2_text": {"lens": _NEEDS_MORE.format("model.layers.1")},
    # A main stream and one for each predicted token, one after the other.
    "prophetnet": {"lens": "without an axis of the 9 tokens"},
    # Two streams of a text that is padded to whole chunks.
    "reformer": {"lens": "without an axis of the 9 tokens"},
    # The last attention is followed by a feed-forward layer in another list.
    "xlm": {"lens": _NEEDS_MORE.format("transformer.attentions.1")},
}

# Architectures that look ahead, as their configuration makes them: `explain` says so, and marks that ✗.
_LOOK_AHEAD = (
    "bert", "bert-generation", "big_bird", "camembert", "cpmant", "data2vec-text", "electra", "ernie",
    "megatron-bert", "prophetnet", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer",
    "xlm", "xlm-roberta", "xlm-roberta-xl", "xlnet", "xmod",
)  # fmt: skip
DENIED: dict[str, list[str]] = {
    # Where the two below attend is not found by the topic `attention`.
    name: ["causal"] if name in ("cpmant", "prophetnet") else ["attention_mask", "causal"]
    for name in _LOOK_AHEAD
}
