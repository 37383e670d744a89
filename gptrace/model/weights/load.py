"""A weight file → a GPTModel that holds it: the configuration is settled, every name and shape is checked."""

from __future__ import annotations

from typing import Any

from gptrace.errors import ConfigError, WeightsError
from gptrace.model.choice import ModelChoice
from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.hollow import hollow_model
from gptrace.model.quiet_torch import torch
from gptrace.model.weights.files import read_weights
from gptrace.model.weights.layouts import LINEAR, Layout, recognise
from gptrace.text import encoding

_HEAD_DIM = 64  # of every published GPT-2, and so the best guess where nothing tells
_LISTED = 6


def load_weights(choice: ModelChoice, device: torch.device) -> tuple[GPTModel, dict[str, Any]]:
    """Return the model that the file at `choice.weights` holds, and what a report says of its weights.

    Raises WeightsError for a file that is no checkpoint, or not of the model that was asked for.
    """
    assert choice.weights is not None
    file = read_weights(choice.weights)
    layout = recognise(file.tensors, file.settings)
    config, assumed = settle(layout, choice)
    model = hollow_model(config)  # nothing is initialised that the file overwrites
    tensors = dict(layout.tensors)
    if config.tie_head:
        tensors.pop("out_head.weight", None)
    _compare(model, tensors, str(choice.weights))
    dtype = getattr(torch, choice.dtype)
    stored = tensors["tok_emb.weight"].dtype
    model.load_state_dict(
        {name: tensor.to(device=device, dtype=dtype) for name, tensor in tensors.items()},
        strict=False,  # names were compared above, where a tied head counts as there
        assign=True,
    )
    if config.tie_head:
        model.out_head.weight = model.tok_emb.weight
    said: dict[str, Any] = {"source": "file", "path": str(choice.weights), "layout": layout.name}
    said |= choice.origin
    said["dtype"] = str(stored).removeprefix("torch.")
    padding = padding_rows(config.vocab_size)
    if padding:
        said["padding_rows"] = padding
    if assumed:
        said["assumed"] = assumed
    return model, said


def settle(layout: Layout, choice: ModelChoice) -> tuple[GPTConfig, dict[str, Any]]:
    """Return the configuration, and what of it was assumed.

    The shapes decide what they can; anything given that disagrees is an error. What shapes cannot tell
    comes from `--set` and `--config`, then from the file's own settings, then from a preset named with
    `--model`; the number of heads, failing all, from a head_dim of 64.
    """
    preset = choice.preset
    if preset is not None:
        wanted = {
            key: getattr(preset, key) for key in ("vocab_size", "context_length", "emb_dim", "n_layers")
        }
        _agree(wanted, layout, f"the model {choice.name}")
    _agree(
        {key: value for key, value in choice.keys.items() if key in layout.sizes}, layout, "the configuration"
    )
    keys = {**layout.told, **layout.sizes, **choice.keys}
    assumed: dict[str, Any] = {}
    if "n_heads" not in keys:
        keys["n_heads"] = preset.n_heads if preset else _assumed_heads(keys["emb_dim"])
        if preset is None:
            assumed["n_heads"] = keys["n_heads"]
    if "activation" not in keys and layout.name == LINEAR:
        assumed["activation"] = GPTConfig.activation  # minGPT's; nanoGPT of today has the exact one
    return GPTConfig.from_mapping(keys), assumed


def padding_rows(vocab_size: int) -> int:
    """Return how many rows only pad GPT-2's vocabulary to a multiple of 64, as nanoGPT does for speed.

    >>> padding_rows(50304), padding_rows(50257), padding_rows(60000)
    (47, 0, 0)
    """
    beyond = vocab_size - encoding.VOCAB_SIZE
    return beyond if 0 < beyond < 128 and vocab_size % 64 == 0 else 0


def _assumed_heads(emb_dim: int) -> int:
    if emb_dim % _HEAD_DIM:
        raise ConfigError(
            f"nothing tells the number of heads, and emb_dim {emb_dim} is no multiple of {_HEAD_DIM}",
            "give it with --set n_heads=…",
        )
    return emb_dim // _HEAD_DIM


def _agree(given: dict[str, Any], layout: Layout, giver: str) -> None:
    for key, value in given.items():
        held = layout.sizes[key]
        if key == "ff_dim":  # None stands for the usual width
            usual = 4 * layout.sizes["emb_dim"]
            value, held = value or usual, held or usual
        if value != held:
            sizes = ", ".join(f"{name} {size}" for name, size in layout.sizes.items() if size is not None)
            raise WeightsError(
                f"{giver} has {key} {value}, the weights have {held}", f"the weights hold: {sizes}"
            )


def _compare(model: GPTModel, tensors: dict[str, torch.Tensor], path: str) -> None:
    expected = model.state_dict()
    missing = [name for name in expected if name not in tensors]
    if model.config.tie_head:
        missing = [name for name in missing if name != "out_head.weight"]
    unexpected = [name for name in tensors if name not in expected]
    if missing or unexpected:
        parts = [f"missing: {_listed(missing)}"] * bool(missing) + [
            f"unexpected: {_listed(unexpected)}"
        ] * bool(unexpected)
        raise WeightsError(
            f"--weights {path}: {'; '.join(parts)}", "is a shard missing, or is it another architecture?"
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(
                f"--weights {path}: {name} has the shape {list(tensor.shape)}, "
                f"expected {list(expected[name].shape)}",
                "the sizes come from tok_emb, pos_emb and the first block; this tensor disagrees with them",
            )
        if not tensor.is_floating_point():
            raise WeightsError(
                f"--weights {path}: {name} is {str(tensor.dtype).removeprefix('torch.')}, not floating point",
                "weights are float16, bfloat16, float32 or float64",
            )


def _listed(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
