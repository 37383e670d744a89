"""Named tensors of several codebases → the names of GPTModel, and its configuration.

The names tell which code wrote a checkpoint. Hugging Face, nanoGPT and minGPT share GPT-2's names
(`h.0.attn.c_attn.weight`), with query, key and value fused into one matrix. Hugging Face stores matrices as
[in, out], the other two as [out, in]. A matrix that is not square decides this, once for a whole checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gptrace.errors import WeightsError
from gptrace.model.quiet_torch import torch
from gptrace.wording import enumerated, quoted_value

Tensor = torch.Tensor
Tensors = dict[str, Tensor]

NANOGPT_OR_MINGPT = "nanoGPT or minGPT"

# Prefixes that wrappers add to every name: torch.compile, DataParallel, a Hugging Face model with a head.
_PREFIXES = ("_orig_mod.", "module.", "transformer.", "model.")

# A module of a block, or at the top: GPT-2's name → the name in GPTModel.
_BLOCK_PARTS = {
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.c_proj": "att.out_proj",
    "mlp.c_fc": "ff.layers.0",
    "mlp.c_proj": "ff.layers.2",
}
_TOP_PARTS = {"wte": "tok_emb", "wpe": "pos_emb", "ln_f": "final_norm", "lm_head": "out_head"}
# Causal masks, which are buffers there.
_MASKS = re.compile(r"^(h\.[0-9]+\.attn\.(bias|masked_bias)|trf_blocks\.[0-9]+\.att\.mask)$")


@dataclass(frozen=True, slots=True)
class Layout:
    """The content of a checkpoint.

    name       the codebase that wrote it
    tensors    by their names in GPTModel
    sizes      configuration keys that the shapes prove
    settings   configuration keys from config.json or model_args
    """

    name: str
    tensors: Tensors
    sizes: dict[str, Any]
    settings: dict[str, Any]


def recognise(tensors: Tensors, settings: Mapping[str, Any]) -> Layout:
    """Find out which code wrote the tensors, and return them by their names in GPTModel.

    `settings` come from config.json or the checkpoint. Raises WeightsError for tensors of none of these
    codebases, or tensors that disagree with `settings`.
    """
    tensors = {name: value for name, value in _unwrapped(tensors).items() if not _MASKS.match(name)}
    if "tok_emb.weight" in tensors:
        name = "course"
    elif "wte.weight" in tensors:
        is_linear = _is_linear(tensors)
        name = NANOGPT_OR_MINGPT if is_linear else "Hugging Face GPT-2"
        tensors = dict(_from_gpt2(tensors, is_linear))
    else:
        raise WeightsError(
            f"the layout of the weights is unknown: {enumerated(tensors, 3)}",
            "gptrace looks for tok_emb.weight (the course) or wte.weight (GPT-2, nanoGPT, minGPT); for the "
            "weights of your own model, add --model FILE.py:CLASS",
        )
    sizes = _sizes(tensors)
    _check_settings(sizes, settings)
    return Layout(name, tensors, sizes, _read_settings(settings))


def _unwrapped(tensors: Tensors) -> Tensors:
    """Remove the prefixes of wrappers, also where several wrappers are nested."""
    unwrapped: Tensors = {}
    for name, value in tensors.items():
        short = re.sub(rf"^({'|'.join(map(re.escape, _PREFIXES))})+", "", name)
        if short in unwrapped:
            problem = f"{short} occurs twice, once as {name}"
            raise WeightsError(problem, "keep the weights of one model in the file")
        unwrapped[short] = value
    return unwrapped


def _is_linear(tensors: Tensors) -> bool:
    """Tell whether matrices are [out, in], as in nn.Linear; the first one that is not square decides."""
    _check_matrix(tensors, "wte.weight")
    width = tensors["wte.weight"].shape[-1]
    for name, factor in (("h.0.attn.c_attn.weight", 3), ("h.0.mlp.c_fc.weight", None)):
        shape = tensors[name].shape if name in tensors else ()
        if len(shape) == 2 and shape[0] != shape[1]:
            if shape[1] == width and (factor is None or shape[0] == factor * width):
                return True
            if shape[0] == width:
                return False
            problem = f"{name} has the shape {list(shape)}, but the width of the embedding is {width}"
            raise WeightsError(problem, "one of its sides must have that width")
    raise WeightsError("the weights have no h.0.attn.c_attn.weight", "is a shard missing?")


def _check_matrix(tensors: Tensors, name: str) -> None:
    if tensors[name].dim() != 2:
        problem = f"{name} has the shape {list(tensors[name].shape)}, so it is no matrix"
        raise WeightsError(problem, "is it the right file?")


def _from_gpt2(tensors: Tensors, is_linear: bool) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor by its name in GPTModel, matrices as [out, in], and query, key and value apart."""
    for name, value in tensors.items():
        match = re.fullmatch(r"(?:h\.([0-9]{1,6})\.)?(.+)\.(weight|bias)", name)
        block, part, kind = match.groups() if match else (None, "", "")
        names, prefix = (_TOP_PARTS, "") if block is None else (_BLOCK_PARTS, f"trf_blocks.{block}.")
        if block is not None and not is_linear and value.dim() == 2:
            value = value.t()
        if block is not None and part == "attn.c_attn":
            if value.dim() != (2 if kind == "weight" else 1) or value.shape[0] % 3:
                hint = "a weight is a matrix, a bias is a vector; query, key and value are a third of it each"
                raise WeightsError(f"{name} has the shape {list(tensors[name].shape)}", hint)
            for projection, third in zip(("W_query", "W_key", "W_value"), value.chunk(3), strict=True):
                yield f"{prefix}att.{projection}.{kind}", third  # (D, D) or (D,)
        elif part in names:
            renamed = names[part]
            kind = {"weight": "scale", "bias": "shift"}[kind] if "norm" in renamed else kind
            yield f"{prefix}{renamed}.{kind}", value
        else:
            yield name, value  # an unexpected tensor: the comparison with the model reports it


def _sizes(tensors: Tensors) -> dict[str, Any]:
    """Return the configuration keys that the shapes prove."""
    needed = ("tok_emb.weight", "pos_emb.weight", "trf_blocks.0.ff.layers.0.weight")
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise WeightsError(f"the weights lack {', '.join(missing)}", "is a shard missing?")
    for name in needed:
        _check_matrix(tensors, name)
    vocab_size, emb_dim = tensors["tok_emb.weight"].shape
    ff_dim = tensors["trf_blocks.0.ff.layers.0.weight"].shape[0]
    blocks = {
        int(match.group(1)) for name in tensors if (match := re.match(r"trf_blocks\.([0-9]{1,6})\.", name))
    }
    gap = next((number for number in range(len(blocks)) if number not in blocks), None)
    if gap is not None:  # a name alone could ask for any number of blocks
        raise WeightsError(f"the weights have block {max(blocks)}, and no block {gap}", "is a shard missing?")
    head = tensors.get("out_head.weight")
    return {
        "vocab_size": vocab_size,
        "context_length": tensors["pos_emb.weight"].shape[0],
        "emb_dim": emb_dim,
        "n_layers": len(blocks),
        "ff_dim": None if ff_dim == 4 * emb_dim else ff_dim,
        "qkv_bias": "trf_blocks.0.att.W_query.bias" in tensors,
        "bias": "trf_blocks.0.ff.layers.0.bias" in tensors,
        "tie_head": head is None or head.data_ptr() == tensors["tok_emb.weight"].data_ptr(),
    }


# A key of GPTConfig: its names in the settings of Hugging Face, nanoGPT and the course.
_SIZE_SETTINGS = {
    "n_layers": ("n_layer", "n_layers"),
    "emb_dim": ("n_embd", "emb_dim"),
    "context_length": ("n_positions", "block_size", "context_length"),
    "vocab_size": ("vocab_size",),
}
_OTHER_SETTINGS = {
    "n_heads": ("n_head", "n_heads", "num_attention_heads"),
    "norm_eps": ("layer_norm_epsilon",),
    "drop_rate": ("dropout", "drop_rate"),
}
_READ_SETTINGS = {"model_type", "scale_attn_weights", "scale_attn_by_inverse_layer_idx"}
_READ_SETTINGS.update(*_SIZE_SETTINGS.values(), *_OTHER_SETTINGS.values())
# Hugging Face's name of an activation → GPTConfig's.
_ACTIVATIONS = dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_fast"), "gelu_tanh")
_ACTIVATIONS |= {"gelu": "gelu", "relu": "relu"}


def _check_settings(sizes: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise WeightsError where the settings and the shapes disagree: then tensors may be missing."""
    for name, value in settings.items():
        if name in _READ_SETTINGS and not isinstance(value, str | int | float | None):
            problem = f"the settings say {name}: {quoted_value(value)}, of type {type(value).__name__}"
            raise WeightsError(problem, "it has to be a plain number, a text, or true or false")
    if settings.get("model_type", "gpt2") != "gpt2":
        hint = "--weights reads only GPT-2's architecture; use --model hf:FOLDER for this one"
        raise WeightsError(f"config.json says model_type: {quoted_value(settings['model_type'])}", hint)
    for key, names in _SIZE_SETTINGS.items():
        for name in names:
            if settings.get(name, sizes[key]) != sizes[key]:
                problem = f"the settings say {name}: {quoted_value(settings[name])}, the tensors {sizes[key]}"
                raise WeightsError(problem, "is a shard missing, or the file of another model?")


def _read_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration keys that no shape shows.

    `settings` are a config.json (Hugging Face), model_args (nanoGPT) or the course's keys. Raises
    WeightsError for a setting that GPTModel does not support.
    """
    keys: dict[str, Any] = {}
    for key, names in _OTHER_SETTINGS.items():
        values = [settings[name] for name in names if settings.get(name) is not None]
        if values:
            keys[key] = values[0]
    if "activation_function" in settings:
        name = settings["activation_function"]
        if not isinstance(name, str) or name not in _ACTIVATIONS:
            problem = f"config.json asks for activation_function {quoted_value(name)}, unknown here"
            raise WeightsError(problem, f"it has {', '.join(_ACTIVATIONS)}")
        keys["activation"] = _ACTIVATIONS[name]
    elif "bias" in settings and "block_size" in settings:
        keys["activation"] = "gelu"  # nanoGPT uses nn.GELU(), the exact function
    for key, supported in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False)):
        if settings.get(key) not in (supported, None):
            value = quoted_value(settings[key])
            problem = f"config.json says {key}: {value}, which gptrace's model does not support"
            raise WeightsError(problem, "use --model hf:FOLDER to trace the model of transformers itself")
    return keys
