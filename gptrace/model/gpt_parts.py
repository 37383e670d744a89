"""The parts of a GPTModel that others need by themselves: its attentions, and all but its output head."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gptrace.model.fused_attention import fused_attention
from gptrace.model.gpt import GPTModel, MultiHeadAttention, TransformerBlock, attend
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
RunBlocks = Callable[[Tensor], Tensor]  # (B, T, D) → (B, T, D), or fewer positions


def attentions(model: torch.nn.Module) -> Iterator[MultiHeadAttention]:
    """Yield the attention of each block, except where a user has put another module in its place."""
    return (module for module in model.modules() if isinstance(module, MultiHeadAttention))


def has_standard_attention(model: GPTModel) -> bool:
    """Tell whether every block attends as in gpt.py: causally, and to cached tokens too.

    A user may have put another module in place of a block or its attention, or another function in place of
    `attend`. Such code may attend to padding, and knows nothing of a cache. An attention that several blocks
    share would need a cache for each of them.
    """
    blocks = model.trf_blocks
    if not isinstance(blocks, torch.nn.Sequential):
        return False
    are_standard = all(
        type(block) is TransformerBlock
        and type(block.att) is MultiHeadAttention
        and block.att.attend in (attend, fused_attention)
        for block in blocks
    )
    return are_standard and len({block.att for block in blocks}) == len(blocks)


def hidden_states(
    model: GPTModel, in_idx: Tensor, *, first_position: int = 0, run_blocks: RunBlocks | None = None
) -> Tensor:
    """Token ids (B, T) → the input (B, T, D) of the output head: GPTModel.forward without its last step.

    B batch, T tokens, D emb_dim. `first_position` is that of the first id: the number of cached tokens. A
    caller that needs few logits applies `model.out_head` to those rows alone. `run_blocks` runs in place of
    `model.trf_blocks`.
    """
    last = first_position + in_idx.shape[1]
    positions = torch.arange(first_position, last, device=in_idx.device)  # (T,)
    x = model.drop_emb(model.tok_emb(in_idx) + model.pos_emb(positions))  # (B, T, D)
    normalised: Tensor = model.final_norm((run_blocks or model.trf_blocks)(x))  # (B, T, D)
    return normalised
