"""Named tensors → our names and a configuration. Which training code wrote them shows in the names.

Hugging Face, nanoGPT and minGPT share GPT-2's names (`h.0.attn.c_attn.weight`), with the three projections
fused into one matrix. Hugging Face keeps its matrices as [in, out], the other two as [out, in]: which of
the two is decided once for the whole checkpoint, from matrices that are not square.
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

# What wrappers put before every name: torch.compile, DataParallel, a Hugging Face model with a head.
_WRAPPERS = ("_orig_mod.", "module.", "transformer.", "model.")

# GPT-2's name of a part of a block → ours.
_BLOCK_PARTS = {
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.c_proj": "att.out_proj",
    "mlp.c_fc": "ff.layers.0",
    "mlp.c_proj": "ff.layers.2",
}
_TOP_PARTS = {"wte": "tok_emb", "wpe": "pos_emb", "ln_f": "final_norm", "lm_head": "out_head"}
# Causal masks that were saved as buffers.
_MASKS = re.compile(r"^(h\.[0-9]+\.attn\.(bias|masked_bias)|trf_blocks\.[0-9]+\.att\.mask)$")


@dataclass(frozen=True, slots=True)
class Layout:
    """Tensors under our names, and what their shapes and the settings beside them say of the model.

    `sizes` are facts of the shapes; `told` came from config.json or model_args.
    """

    name: str
    tensors: Tensors
    sizes: dict[str, Any]
    told: dict[str, Any]


def recognise(tensors: Tensors, settings: Mapping[str, Any]) -> Layout:
    """Return the tensors under our names, whichever of the known codes wrote them."""
    tensors = {name: value for name, value in _unwrapped(tensors).items() if not _MASKS.match(name)}
    if "tok_emb.weight" in tensors:
        name, ours = "course", tensors
    elif "wte.weight" in tensors:
        linear = _is_linear(tensors)
        name = LINEAR if linear else "Hugging Face GPT-2"
        ours = dict(_from_gpt2(tensors, linear))
    else:
        known = "tok_emb.weight (the course's), wte.weight (GPT-2, nanoGPT, minGPT)"
        raise WeightsError(
            f"the weights are of no layout that is known: {enumerated(tensors, 3)}",
            f"what is looked for: {known}; a model of your own takes them with --model FILE.py:CLASS beside",
        )
    sizes = _sizes(ours)
    _agree_with_settings(sizes, settings)
    return Layout(name, ours, sizes, _told(settings))


def _unwrapped(tensors: Tensors) -> Tensors:
    """Drop the prefixes of wrappers, as often as they stand there."""
    found: Tensors = {}
    for name, value in tensors.items():
        short = re.sub(rf"^({'|'.join(map(re.escape, _WRAPPERS))})+", "", name)
        if short in found:
            raise WeightsError(
                f"{short} is there twice, once as {name}", "keep the weights of one model in the file"
            )
        found[short] = value
    return found


def _is_linear(tensors: Tensors) -> bool:
    """Tell [out, in] from [in, out] by the first matrix that is not square."""
    for name, factor in (("h.0.attn.c_attn.weight", 3), ("h.0.mlp.c_fc.weight", None)):
        matrix = tensors.get(name)
        width = tensors["wte.weight"].shape[-1]
        if matrix is not None and matrix.dim() == 2 and matrix.shape[0] != matrix.shape[1]:
            if matrix.shape[1] == width and (factor is None or matrix.shape[0] == factor * width):
                return True
            if matrix.shape[0] == width:
                return False
            raise WeightsError(
                f"{name} has the shape {list(matrix.shape)}, and tok_emb a width of {width}",
                "one side of it must be the width of the embedding",
            )
    raise WeightsError("there is no h.0.attn.c_attn.weight in the weights", "is a shard missing?")


def _from_gpt2(tensors: Tensors, linear: bool) -> Iterator[tuple[str, Tensor]]:
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
            rows = value if linear or value.dim() == 1 else value.t()  # (3·D, D) or (3·D,)
            if rows.shape[0] % 3:
                raise WeightsError(
                    f"{name} has the shape {list(value.shape)}, which is not three equal parts",
                    "it should hold query, key and value",
                )
            for part, piece in zip(("W_query", "W_key", "W_value"), rows.chunk(3), strict=True):
                yield f"trf_blocks.{number}.att.{part}.{kind}", piece
        elif block and block.group(2) in _BLOCK_PARTS:
            number, part, kind = block.groups()
            ours = _BLOCK_PARTS[part]
            if not linear and value.dim() == 2:
                value = value.t()
            yield f"trf_blocks.{number}.{ours}.{_kind(ours, kind)}", value
        else:
            yield name, value  # unknown: the comparison with the model will name it


def _kind(part: str, kind: str) -> str:
    return {"weight": "scale", "bias": "shift"}[kind] if "norm" in part else kind


def _sizes(tensors: Tensors) -> dict[str, Any]:
    """Read every size that the shapes tell."""
    needed = ("tok_emb.weight", "pos_emb.weight", "trf_blocks.0.ff.layers.0.weight")
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise WeightsError(f"the weights lack {', '.join(missing)}", "is a shard missing?")
    for name in needed:
        if tensors[name].dim() != 2:
            raise WeightsError(
                f"{name} has the shape {list(tensors[name].shape)}, not a matrix", "is it the right file?"
            )
    vocab_size, emb_dim = tensors["tok_emb.weight"].shape
    ff_dim = tensors["trf_blocks.0.ff.layers.0.weight"].shape[0]
    blocks = {
        int(found.group(1)) for name in tensors if (found := re.match(r"trf_blocks\.([0-9]{1,6})\.", name))
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


# Our key: what Hugging Face, nanoGPT and the course call it.
_SETTINGS_OF_SIZES = {
    "n_layers": ("n_layer", "n_layers"),
    "emb_dim": ("n_embd", "emb_dim"),
    "context_length": ("n_positions", "block_size", "context_length"),
    "vocab_size": ("vocab_size",),
}


def _agree_with_settings(sizes: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise WeightsError where the settings beside the tensors say another size: something is missing."""
    if settings.get("model_type", "gpt2") != "gpt2":
        raise WeightsError(
            f"config.json says model_type: {settings['model_type']}",
            "--weights takes GPT-2 and its kin; --model hf:FOLDER takes this one",
        )
    for key, names in _SETTINGS_OF_SIZES.items():
        for name in names:
            if settings.get(name, sizes[key]) != sizes[key]:
                raise WeightsError(
                    f"the settings beside the weights say {name}: {settings[name]}, the tensors {sizes[key]}",
                    "is a shard missing, or the file of another model?",
                )


_HUGGING_FACE_ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
}


def _told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read what shapes cannot tell from config.json (Hugging Face), model_args (nanoGPT) or course keys."""
    told: dict[str, Any] = {}
    heads = settings.get("n_head", settings.get("n_heads", settings.get("num_attention_heads")))
    if heads is not None:
        told["n_heads"] = heads
    if "layer_norm_epsilon" in settings:
        told["norm_eps"] = settings["layer_norm_epsilon"]
    if "drop_rate" in settings:
        told["drop_rate"] = settings["drop_rate"]
    if "dropout" in settings:
        told["drop_rate"] = settings["dropout"]
    if "activation_function" in settings:
        name = settings["activation_function"]
        if not isinstance(name, str) or name not in _HUGGING_FACE_ACTIVATIONS:
            raise WeightsError(
                f"config.json's activation_function {name!r} is not one that gptrace has",
                f"known: {', '.join(_HUGGING_FACE_ACTIVATIONS)}",
            )
        told["activation"] = _HUGGING_FACE_ACTIVATIONS[name]
    elif "bias" in settings and "block_size" in settings:
        told["activation"] = "gelu"  # nanoGPT's nn.GELU() is the exact one
    for key, usual in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False)):
        if settings.get(key) not in (usual, None):
            raise WeightsError(
                f"config.json says {key}: {settings[key]}, which gptrace's model does not do",
                "--model hf:FOLDER traces the model of transformers itself",
            )
    return told
