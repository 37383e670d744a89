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
from gptrace.wording import enumerated

Tensor = torch.Tensor
Tensors = dict[str, Tensor]

LINEAR = "nanoGPT or minGPT"

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
        name, renamed = "course", tensors
    elif "wte.weight" in tensors:
        is_linear = _is_linear(tensors)
        name = LINEAR if is_linear else "Hugging Face GPT-2"
        renamed = dict(_from_gpt2(tensors, is_linear))
    else:
        raise WeightsError(
            f"the layout of the weights is unknown: {enumerated(tensors, 3)}",
            "gptrace looks for tok_emb.weight (the course) or wte.weight (GPT-2, nanoGPT, minGPT); for the "
            "weights of your own model, add --model FILE.py:CLASS",
        )
    sizes = _sizes(renamed)
    _check_settings(sizes, settings)
    return Layout(name, renamed, sizes, _read_settings(settings))


def _unwrapped(tensors: Tensors) -> Tensors:
    """Remove the prefixes of wrappers, also where several wrappers are nested."""
    unwrapped: Tensors = {}
    for name, value in tensors.items():
        short = re.sub(rf"^({'|'.join(map(re.escape, _PREFIXES))})+", "", name)
        if short in unwrapped:
            raise WeightsError(
                f"{short} occurs twice, once as {name}", "keep the weights of one model in the file"
            )
        unwrapped[short] = value
    return unwrapped


def _is_linear(tensors: Tensors) -> bool:
    """Tell whether matrices are [out, in], as in nn.Linear; the first one that is not square decides."""
    for name, factor in (("h.0.attn.c_attn.weight", 3), ("h.0.mlp.c_fc.weight", None)):
        matrix = tensors.get(name)
        width = tensors["wte.weight"].shape[-1]
        if matrix is not None and matrix.dim() == 2 and matrix.shape[0] != matrix.shape[1]:
            if matrix.shape[1] == width and (factor is None or matrix.shape[0] == factor * width):
                return True
            if matrix.shape[0] == width:
                return False
            raise WeightsError(
                f"{name} has the shape {list(matrix.shape)}, but the width of the embedding is {width}",
                "one of its sides must have that width",
            )
    raise WeightsError("the weights have no h.0.attn.c_attn.weight", "is a shard missing?")


def _from_gpt2(tensors: Tensors, is_linear: bool) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor by its name in GPTModel, matrices as [out, in], and query, key and value apart."""
    for name, value in tensors.items():
        block = re.fullmatch(r"h\.([0-9]{1,6})\.(.+)\.(weight|bias)", name)
        top = re.fullmatch(r"(wte|wpe|ln_f|lm_head)\.(weight|bias)", name)
        if top:
            part, kind = top.groups()
            yield f"{_TOP_PARTS[part]}.{_kind(_TOP_PARTS[part], kind)}", value
        elif block and block.group(2) == "attn.c_attn":
            number, _, kind = block.groups()
            if value.dim() != (2 if kind == "weight" else 1):
                raise WeightsError(
                    f"{name} has the shape {list(value.shape)}",
                    "a weight is a matrix, a bias is a vector",
                )
            rows = value if is_linear or value.dim() == 1 else value.t()  # (3·D, D) or (3·D,)
            if rows.shape[0] % 3:
                raise WeightsError(
                    f"{name} has the shape {list(value.shape)}, which does not divide into three parts",
                    "it should hold query, key and value",
                )
            for part, projection in zip(("W_query", "W_key", "W_value"), rows.chunk(3), strict=True):
                yield f"trf_blocks.{number}.att.{part}.{kind}", projection
        elif block and block.group(2) in _BLOCK_PARTS:
            number, part, kind = block.groups()
            renamed = _BLOCK_PARTS[part]
            if not is_linear and value.dim() == 2:
                value = value.t()
            yield f"trf_blocks.{number}.{renamed}.{_kind(renamed, kind)}", value
        else:
            yield name, value  # an unexpected tensor: the comparison with the model reports it


def _kind(part: str, kind: str) -> str:
    return {"weight": "scale", "bias": "shift"}[kind] if "norm" in part else kind


def _sizes(tensors: Tensors) -> dict[str, Any]:
    """Return the configuration keys that the shapes prove."""
    needed = ("tok_emb.weight", "pos_emb.weight", "trf_blocks.0.ff.layers.0.weight")
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise WeightsError(f"the weights lack {', '.join(missing)}", "is a shard missing?")
    for name in needed:
        if tensors[name].dim() != 2:
            raise WeightsError(
                f"{name} has the shape {list(tensors[name].shape)}, so it is no matrix",
                "is it the right file?",
            )
    vocab_size, emb_dim = tensors["tok_emb.weight"].shape
    ff_dim = tensors["trf_blocks.0.ff.layers.0.weight"].shape[0]
    blocks = {
        int(match.group(1)) for name in tensors if (match := re.match(r"trf_blocks\.([0-9]{1,6})\.", name))
    }
    head = tensors.get("out_head.weight")
    return {
        "vocab_size": vocab_size,
        "context_length": tensors["pos_emb.weight"].shape[0],
        "emb_dim": emb_dim,
        "n_layers": max(blocks) + 1,
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


def _check_settings(sizes: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise WeightsError where the settings and the shapes disagree: then tensors may be missing."""
    if settings.get("model_type", "gpt2") != "gpt2":
        raise WeightsError(
            f"config.json says model_type: {settings['model_type']}",
            "--weights reads only GPT-2's architecture; use --model hf:FOLDER for this one",
        )
    for key, names in _SIZE_SETTINGS.items():
        for name in names:
            if settings.get(name, sizes[key]) != sizes[key]:
                raise WeightsError(
                    f"the settings say {name}: {settings[name]}, the tensors {sizes[key]}",
                    "is a shard missing, or the file of another model?",
                )


_HUGGING_FACE_ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
}


def _read_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration keys that no shape shows.

    `settings` are a config.json (Hugging Face), model_args (nanoGPT) or the course's keys. Raises
    WeightsError for a setting that GPTModel does not support.
    """
    keys: dict[str, Any] = {}
    heads = settings.get("n_head", settings.get("n_heads", settings.get("num_attention_heads")))
    if heads is not None:
        keys["n_heads"] = heads
    if "layer_norm_epsilon" in settings:
        keys["norm_eps"] = settings["layer_norm_epsilon"]
    if "drop_rate" in settings:
        keys["drop_rate"] = settings["drop_rate"]
    if "dropout" in settings:
        keys["drop_rate"] = settings["dropout"]
    if "activation_function" in settings:
        name = settings["activation_function"]
        if not isinstance(name, str) or name not in _HUGGING_FACE_ACTIVATIONS:
            raise WeightsError(
                f"gptrace's model has no activation_function {name!r}, which config.json asks for",
                f"it has {', '.join(_HUGGING_FACE_ACTIVATIONS)}",
            )
        keys["activation"] = _HUGGING_FACE_ACTIVATIONS[name]
    elif "bias" in settings and "block_size" in settings:
        keys["activation"] = "gelu"  # nanoGPT uses nn.GELU(), the exact function
    for key, supported in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False)):
        if settings.get(key) not in (supported, None):
            raise WeightsError(
                f"config.json says {key}: {settings[key]}, which gptrace's model does not support",
                "use --model hf:FOLDER to trace the model of transformers itself",
            )
    return keys
