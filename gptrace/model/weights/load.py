"""A weight file → a GPTModel that holds it: the configuration is settled, every name and shape is checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, WeightsError
from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.meta_device import meta_model
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import GPTSelection
from gptrace.model.user_code_errors import user_code_errors
from gptrace.model.weights.files import read_weights
from gptrace.model.weights.layouts import LINEAR, Layout, recognise
from gptrace.text import encoding
from gptrace.wording import enumerated

_HEAD_DIM = 64  # of every published GPT-2, and so the best guess where nothing tells
_LISTED = 6


def load_weights(choice: GPTSelection, device: torch.device) -> tuple[GPTModel, dict[str, Any]]:
    """Return the model that the file at `choice.weights` holds, and what a report says of its weights.

    Raises WeightsError for a file that is no checkpoint, or not of the model that was asked for.
    """
    assert choice.weights is not None
    file = read_weights(choice.weights)
    layout = recognise(file.tensors, file.settings)
    config, assumed = settle(layout, choice)
    model = meta_model(config)  # nothing is initialised that the file overwrites
    tensors = dict(layout.tensors)
    if config.tie_head:
        tensors.pop("out_head.weight", None)
    tied = {"out_head.weight"} if config.tie_head else set()
    _compare(model.state_dict(), tensors, str(choice.weights), optional=tied)
    dtype = getattr(torch, choice.dtype or "float32")
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
    padding = encoding.padding_rows(config.vocab_size)
    if padding:
        said["padding_rows"] = padding
    if assumed:
        said["assumed"] = assumed
    return model, said


def settle(layout: Layout, choice: GPTSelection) -> tuple[GPTConfig, dict[str, Any]]:
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


def load_state(module: torch.nn.Module, path: Path) -> dict[str, Any]:
    """Put a state dict into somebody's own module, name by name; return what a report says of its weights.

    Prefixes of wrappers (torch.compile, DataParallel) are dropped where no name fits with them.
    """
    tensors = read_weights(path).tensors
    # An extra state is no tensor, and a lazy parameter has no shape yet: any will do.
    expected = {
        name: tensor
        for name, tensor in module.state_dict().items()
        if isinstance(tensor, torch.Tensor) and not torch.nn.parameter.is_lazy(tensor)
    }
    while not expected.keys() & tensors.keys() and _wrapper(tensors):
        tensors = {name.removeprefix(_wrapper(tensors)): value for name, value in tensors.items()}
    lazy = {name for name in module.state_dict() if name not in expected}
    compared = {name: tensor for name, tensor in tensors.items() if name not in lazy}
    _compare(expected, compared, str(path), optional=_tied_names(module, tensors))
    stored = next(tensor.dtype for tensor in tensors.values() if tensor.is_floating_point())
    with user_code_errors(f"while {type(module).__name__} loaded its state dict"):
        module.load_state_dict(tensors, strict=False)  # names were compared above
    return {
        "source": "file", "path": str(path), "layout": f"{type(module).__name__}'s own",
        "dtype": str(stored).removeprefix("torch."),
    }  # fmt: skip


def _wrapper(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return what a wrapper put before every name, or nothing."""
    wrappers = ("_orig_mod.", "module.")
    return next((one for one in wrappers if all(name.startswith(one) for name in tensors)), "")


def _tied_names(module: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> set[str]:
    """Return the names that need not be there, since the same tensor is there by another name."""
    names: dict[torch.Tensor, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return {name for group in names.values() if any(one in tensors for one in group) for name in group}


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


def _compare(
    expected: Mapping[str, torch.Tensor],
    tensors: Mapping[str, torch.Tensor],
    path: str,
    *,
    optional: Collection[str] = (),
) -> None:
    """Raise WeightsError unless the tensors have the names and shapes that a model expects."""
    missing = [name for name in expected if name not in tensors and name not in optional]
    unexpected = [name for name in tensors if name not in expected]
    if missing or unexpected:
        parts = [f"missing: {enumerated(missing, _LISTED)}"] * bool(missing) + [
            f"unexpected: {enumerated(unexpected, _LISTED)}"
        ] * bool(unexpected)
        raise WeightsError(
            f"--weights {path}: {'; '.join(parts)}", "is a shard missing, or is it another architecture?"
        )
    wrong = [name for name, tensor in tensors.items() if tensor.shape != expected[name].shape]
    if wrong:
        shapes = [
            f"{name} has the shape {list(tensors[name].shape)}, expected {list(expected[name].shape)}"
            for name in wrong[:_LISTED]
        ]
        rest = f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise WeightsError(
            f"--weights {path}: {'; '.join(shapes)}{rest}",
            "is it the file of a model of other sizes, or damaged?",
        )
    for name, tensor in tensors.items():
        if expected[name].is_floating_point() != tensor.is_floating_point():
            held, wanted = (str(one.dtype).removeprefix("torch.") for one in (tensor, expected[name]))
            raise WeightsError(
                f"--weights {path}: {name} is {held}, and {wanted} in the model",
                "weights are float16, bfloat16, float32 or float64",
            )
