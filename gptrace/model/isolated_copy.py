"""A copy of a GPTModel that shares its weights and nothing else, so that it can run in another way.

Changes to the copy (the fused kernel, a cache) do not reach the original, which its owner may run at the same
time: in another thread, or in a listener between two generated tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeVar

from gptrace.model.fused_attention import fused_attention
from gptrace.model.gpt import GPTModel, MultiHeadAttention, TransformerBlock, attend
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
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


def attentions(model: torch.nn.Module) -> Iterator[MultiHeadAttention]:
    """Yield the attention of each block, except where a user has put another module in its place."""
    return (module for module in model.modules() if isinstance(module, MultiHeadAttention))


def has_standard_attention(model: GPTModel) -> bool:
    """Tell whether every block attends as in gpt.py: causally, and to cached tokens too.

    A user may have put another module in place of a block or its attention, or another function in place of
    `attend`. Such code may attend to padding, and knows nothing of a cache.
    """
    blocks = model.trf_blocks
    return isinstance(blocks, torch.nn.Sequential) and all(
        type(block) is TransformerBlock
        and type(block.att) is MultiHeadAttention
        and block.att.attend in (attend, fused_attention)
        for block in blocks
    )


def hidden_states(model: GPTModel, in_idx: Tensor, *, first_position: int = 0) -> Tensor:
    """Token ids (B, T) → the input (B, T, D) of the output head: GPTModel.forward without its last step.

    B batch, T tokens, D emb_dim. `first_position` is that of the first id: the number of cached tokens. A
    caller that needs few logits applies `model.out_head` to those rows alone.
    """
    last = first_position + in_idx.shape[1]
    positions = torch.arange(first_position, last, device=in_idx.device)  # (T,)
    x = model.drop_emb(model.tok_emb(in_idx) + model.pos_emb(positions))  # (B, T, D)
    normalised: Tensor = model.final_norm(model.trf_blocks(x))  # (B, T, D)
    return normalised


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
