"""A copy of a GPTModel that shares its weights and nothing else, so that it can run in another way.

Changes to the copy (the fused kernel, a cache) do not reach the original, which its owner may run at the same
time: in another thread, or in a listener between two generated tokens.
"""

from __future__ import annotations

import copy
from typing import TypeVar

from gptrace.model.fused_attention import fused_attention
from gptrace.model.gpt import GPTModel, attend
from gptrace.model.gpt_parts import attentions
from gptrace.model.quiet_torch import torch

Module = TypeVar("Module", bound=torch.nn.Module)


def isolated_copy(model: GPTModel, *, fused: bool) -> GPTModel:
    """Return a copy in evaluation mode with the same parameters, buffers and hooks.

    `fused`: its attention uses PyTorch's fused kernel; otherwise it attends as `model` does. A user's own
    function in place of `attend` stays.

    >>> model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 100})
    >>> isolated_copy(model, fused=True).tok_emb.weight is model.tok_emb.weight
    True
    """
    isolated = _copied(model, {}).eval()
    for attention in attentions(isolated) if fused else ():
        if attention.attend is attend:
            attention.attend = fused_attention
    return isolated


def _copied(module: Module, copies: dict[int, torch.nn.Module]) -> Module:
    """Copy a module and its submodules; one that is used twice is copied once.

    copy.copy copies the attribute dict of a module and shares the registries in it: _parameters, _buffers and
    the hooks. Of these only _modules, the private registry of submodules, must hold the copies instead.
    """
    shallow = copy.copy(module)
    copies[id(module)] = shallow
    vars(shallow)["_modules"] = {
        name: child if child is None else copies.get(id(child)) or _copied(child, copies)
        for name, child in module._modules.items()
    }
    return shallow
