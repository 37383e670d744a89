"""A weight file → a GPTModel, or a state dict for another module. Every name and shape is checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, WeightsError
from gptrace.model.config import GPTConfig
from gptrace.model.dtypes import dtype_name
from gptrace.model.free_memory import check_memory
from gptrace.model.gpt import GPTModel
from gptrace.model.meta_device import meta_model
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import GPTSelection
from gptrace.model.user_code_errors import user_code_errors
from gptrace.model.weights.files import read_weights
from gptrace.model.weights.layouts import NANOGPT_OR_MINGPT, Layout, Tensors, recognise
from gptrace.model.weights.quantized import restored
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.wording import enumerated

_HEAD_DIM = 64  # that of every published GPT-2: the best guess for a file that does not say
_LISTED = 6


def load_weights(selection: GPTSelection, device: torch.device) -> tuple[GPTModel, dict[str, Any]]:
    """Return the model in the file at `selection.weights`, and facts about its weights for reports.

    Raises WeightsError for a file that is no checkpoint, or one of another model than the selected one.
    """
    assert selection.weights is not None
    file = read_weights(selection.weights)
    layout = recognise(restored(file.tensors), file.settings)
    config, assumed = _configuration(layout, selection)
    model = meta_model(config)  # takes no time to initialise weights that the file replaces
    tied = {"out_head.weight"} if config.tie_head else set()
    tensors = {name: tensor for name, tensor in layout.tensors.items() if name not in tied}
    _compare(model.state_dict(), tensors, str(selection.weights), optional=tied)
    dtype = getattr(torch, selection.dtype or "float32")
    # A tensor in a file may repeat a few numbers without end: a copy of it is as large as its shape says.
    copied = sum(tensor.numel() for tensor in tensors.values() if tensor.dtype != dtype)
    check_memory(copied * dtype.itemsize, f"the weights in {selection.weights} as {dtype_name(dtype)}")
    model.load_state_dict(
        {name: tensor.to(device=device, dtype=dtype) for name, tensor in tensors.items()},
        strict=False,  # _compare has checked the names; the weight of a tied head may be absent
        assign=True,
    )
    if config.tie_head:
        model.out_head.weight = model.tok_emb.weight
    padding = GPT2.padding_rows(config.vocab_size)
    facts = _facts(selection.weights, layout.name, tensors["tok_emb.weight"]) | selection.origin
    facts |= {"padding_rows": padding} if padding else {}
    return model, facts | ({"assumed": assumed} if assumed else {})


def _facts(path: Path, layout: str, tensor: torch.Tensor) -> dict[str, Any]:
    dtype = dtype_name(tensor.dtype)
    return {"source": "file", "path": str(path), "layout": layout, "dtype": dtype}


def _configuration(layout: Layout, selection: GPTSelection) -> tuple[GPTConfig, dict[str, Any]]:
    """Return the configuration, and the keys of it that were assumed.

    The shapes decide the sizes; a preset, --config or --set that disagrees is an error. Other keys come from
    --set and --config, else from the settings in the file. Where none of these has the number of heads, it
    comes from the preset that --model names, else from a head_dim of 64.
    """
    preset = selection.preset
    if preset is not None:
        compared = ("vocab_size", "context_length", "emb_dim", "n_layers")
        sizes = {key: getattr(preset, key) for key in compared}
        _check_sizes(sizes, layout, f"the model {selection.name}")
    sizes = {key: value for key, value in selection.keys.items() if key in layout.sizes}
    _check_sizes(sizes, layout, "the configuration")
    keys = {**layout.settings, **layout.sizes, **selection.keys}
    assumed: dict[str, Any] = {}
    if "n_heads" not in keys and preset is not None:
        keys["n_heads"] = preset.n_heads
    elif "n_heads" not in keys:
        D = keys["emb_dim"]
        if D % _HEAD_DIM:
            problem = f"the number of heads is unknown, and emb_dim {D} is no multiple of {_HEAD_DIM}"
            raise ConfigError(problem, "give it with --set n_heads=…")
        keys["n_heads"] = assumed["n_heads"] = D // _HEAD_DIM
    if "activation" not in keys and layout.name == NANOGPT_OR_MINGPT:
        assumed["activation"] = GPTConfig.activation  # that of minGPT; today's nanoGPT has the exact one
    return GPTConfig.from_mapping(keys), assumed


def load_state(module: torch.nn.Module, path: Path) -> dict[str, Any]:
    """Load the state dict at `path` into a module that is no GPTModel; return facts about it for reports.

    Prefixes of wrappers (torch.compile, DataParallel) are removed where no name matches with them. Raises
    WeightsError where names or shapes do not match, ModelCodeError where the module's own code raises.
    """
    tensors = read_weights(path).tensors
    # Extra state is no tensor, and a lazy parameter has no shape yet, so neither is compared.
    expected = {
        name: tensor
        for name, tensor in module.state_dict().items()
        if isinstance(tensor, torch.Tensor) and not torch.nn.parameter.is_lazy(tensor)
    }
    while not expected.keys() & tensors.keys() and (prefix := _common_prefix(tensors)):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    lazy = {name for name in module.state_dict() if name not in expected}
    compared = {name: tensor for name, tensor in tensors.items() if name not in lazy}
    _compare(expected, compared, str(path), optional=_tied_names(module, tensors))
    first = max(tensors.values(), key=torch.is_floating_point)  # the first of them, else any
    with user_code_errors(f" (while {type(module).__name__} loaded its state dict)"):
        module.load_state_dict(tensors, strict=False)  # _compare has checked the names
    return _facts(path, f"{type(module).__name__}'s own", first)


def _common_prefix(tensors: Tensors) -> str:
    """Return the prefix that a wrapper added to every name, or "" where there is none."""
    prefixes = ("_orig_mod.", "module.")
    return next((prefix for prefix in prefixes if all(name.startswith(prefix) for name in tensors)), "")


def _tied_names(module: torch.nn.Module, tensors: Tensors) -> set[str]:
    """Return the names of each parameter that the file has by at least one of its names."""
    names: dict[torch.Tensor, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return {name for group in names.values() if not tensors.keys().isdisjoint(group) for name in group}


def _check_sizes(expected: Mapping[str, Any], layout: Layout, source: str) -> None:
    """Raise WeightsError where a size differs from that in the file; `source` is where it comes from."""
    for key, value in expected.items():
        actual = layout.sizes[key]
        if key == "ff_dim":  # None stands for the default width
            default = 4 * layout.sizes["emb_dim"]
            value, actual = value or default, actual or default
        if value != actual:
            sizes = ", ".join(f"{name} {size}" for name, size in layout.sizes.items() if size is not None)
            hint = f"the sizes in the file: {sizes}"
            raise WeightsError(f"{source} has {key} {value}, the weights have {actual}", hint)


def _compare(expected: Tensors, tensors: Tensors, path: str, *, optional: Collection[str]) -> None:
    """Raise WeightsError unless the tensors have the expected names, shapes and kinds of dtype.

    Tensors whose names are `optional` may be missing.
    """
    missing = [name for name in expected if name not in tensors and name not in optional]
    unexpected = [name for name in tensors if name not in expected]
    if missing or unexpected:
        absent, surplus = enumerated(missing, _LISTED), enumerated(unexpected, _LISTED)
        problem = f"missing: {absent}; unexpected: {surplus}"
        if not missing or not unexpected:
            problem = f"missing: {absent}" if missing else f"unexpected: {surplus}"
        hint = "is a shard missing, or is it another architecture?"
        raise WeightsError(f"--weights {path}: {problem}", hint)
    wrong = [
        f"{name} has the shape {list(tensor.shape)}, expected {list(expected[name].shape)}"
        for name, tensor in tensors.items()
        if tensor.shape != expected[name].shape
    ]
    if wrong:
        rest = f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        problem = "; ".join(wrong[:_LISTED]) + rest
        hint = "is it the file of a model with other sizes, or damaged?"
        raise WeightsError(f"--weights {path}: {problem}", hint)
    for name, tensor in tensors.items():
        if expected[name].is_floating_point() != tensor.is_floating_point():
            stored, needed = (dtype_name(t.dtype) for t in (tensor, expected[name]))
            hint = "weights are float16, bfloat16, float32 or float64"
            raise WeightsError(f"--weights {path}: {name} is {stored}, and {needed} in the model", hint)
