"""The blocks of a GPTModel as plain functions of their weights, which run faster than the modules.

A step of one token does little arithmetic for each call of a module, so the calls themselves take a
noticeable share of its time. Where one position of each text is wanted, the last block computes that alone.
Nothing is copied: the functions read the parameters of the model.
Shapes: B batch, T new tokens, S all tokens so far, D emb_dim, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, cast

from gptrace.model.gpt import (
    ACTIVATIONS,
    FeedForward,
    GPTModel,
    LayerNorm,
    MultiHeadAttention,
    TransformerBlock,
)
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
nn = torch.nn
linear = nn.functional.linear
layer_norm = nn.functional.layer_norm
Norm = tuple[torch.Size, Tensor, Tensor | None, float]  # the arguments of layer_norm after the first
Weights = tuple[Tensor, Tensor | None]  # those of linear: weight and bias


# All classes in a block, and the method of each that PlainBlock.run takes the place of.
PARTS: tuple[Any, ...] = (
    TransformerBlock, MultiHeadAttention, FeedForward, LayerNorm, *ACTIVATIONS.values(),
    nn.Linear, nn.Dropout, nn.Sequential,
)  # fmt: skip
_FORWARDS = {part: part.forward for part in PARTS}


class MaskedAttend(Protocol):
    """An `attend` that can be told which tokens each query may see."""

    def __call__(
        self, queries: Tensor, keys: Tensor, values: Tensor, dropout: nn.Dropout, *, allowed: Tensor
    ) -> Tensor:
        """Queries (B, H, R, D/H), keys and values (B, H, T, D/H), allowed (B, 1, R, T) → (B, H, R, D/H)."""
        ...


class PlainBlock(NamedTuple):
    """One TransformerBlock in evaluation mode."""

    norm1: Norm
    attending: tuple[Weights, ...]  # of queries, keys and values, or all in one
    attention: MultiHeadAttention  # whose `attend` is read in each run: it may get a cache
    projection: Weights
    norm2: Norm
    widening: Weights
    activation: Callable[[Tensor], Tensor]
    narrowing: Weights

    def linear_layers(self) -> tuple[tuple[Weights, ...], ...]:
        """Return the weights and biases of the linear layers; those that take the same input are a group."""
        return self.attending, (self.projection,), (self.widening,), (self.narrowing,)

    def with_weights(self, groups: Iterator[Sequence[Tensor]]) -> PlainBlock:
        """Return the block with the next of `groups` in its linear layers; one weight may replace a group."""
        layers = self.linear_layers()
        attending, (projection,), (widening,), (narrowing,) = (
            _replaced(each, next(groups)) for each in layers
        )
        return self._replace(
            attending=attending, projection=projection, widening=widening, narrowing=narrowing
        )

    def run(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D), by the operations of TransformerBlock.forward."""
        normed = layer_norm(x, *self.norm1)  # (B, T, D)
        projected = [linear(normed, *weights) for weights in self.attending]  # (B, T, D) each
        if len(projected) == 1:
            projected = [*projected[0].chunk(3, dim=-1)]
        queries, keys, values = map(self._heads, projected)  # (B, H, T, D/H) each
        context = self.attention.attend(queries, keys, values, self.attention.dropout)  # (B, H, T, D/H)
        return self._after_attention(x, context)

    def run_at(self, x: Tensor, positions: Tensor) -> Tensor:
        """(B, T, D), a position of each text (B,) → (B, 1, D): what `run` computes there.

        A text is not seen beyond its position. The block must attend by a MaskedAttend, and have a weight for
        the queries alone.
        """
        query, key, value = self.attending
        normed = layer_norm(x, *self.norm1)  # (B, T, D)
        keys, values = (self._heads(linear(normed, *weights)) for weights in (key, value))
        queries = self._heads(linear(_at(normed, positions), *query))  # (B, H, 1, D/H)
        allowed = torch.arange(x.shape[1], device=x.device) <= positions[:, None]  # (B, T)
        attend = cast(MaskedAttend, self.attention.attend)
        context = attend(queries, keys, values, self.attention.dropout, allowed=allowed[:, None, None])
        return self._after_attention(_at(x, positions), context)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, H, T, D/H)."""
        B, T, _ = x.shape
        return x.view(B, T, -1, self.attention.head_dim).transpose(1, 2)

    def _after_attention(self, x: Tensor, context: Tensor) -> Tensor:
        """(B, T, D), (B, H, T, D/H) → (B, T, D)."""
        x = x + linear(context.transpose(1, 2).reshape(x.shape), *self.projection)  # (B, T, D)
        hidden = self.activation(linear(layer_norm(x, *self.norm2), *self.widening))  # (B, T, 4·D)
        return x + linear(hidden, *self.narrowing)  # (B, T, D)


def _replaced(layers: tuple[Weights, ...], weights: Sequence[Tensor]) -> tuple[Weights, ...]:
    """Return linear layers with other weights; if there is one for all of them, with one bias as well."""
    biases = [bias for _, bias in layers]
    if len(weights) == len(layers):
        return tuple(zip(weights, biases, strict=True))
    (joint,) = weights
    if all(bias is None for bias in biases):
        return ((joint, None),)
    each = [weight.new_zeros(len(weight)) if bias is None else bias for weight, bias in layers]
    return ((joint, torch.cat(each)),)


def _at(x: Tensor, positions: Tensor) -> Tensor:
    """(B, T, D), a position of each text (B,) → (B, 1, D)."""
    return x[torch.arange(len(x), device=x.device), positions][:, None]


class PlainBlocks:
    """All blocks of a GPTModel in evaluation mode."""

    def __init__(self, blocks: Sequence[PlainBlock]) -> None:
        self._blocks = tuple(blocks)

    def weights(self) -> list[list[Tensor]]:
        """Return the weights (out, in) of all linear layers; those that take the same input are a group."""
        return [[weight for weight, _ in group] for block in self._blocks for group in block.linear_layers()]

    def with_weights(self, groups: Iterable[Sequence[Tensor]]) -> PlainBlocks:
        """Return blocks with other tensors in place of those that `weights` returns, in that order.

        One weight may stand for a group: it has the rows of all.
        """
        remaining = iter(groups)
        return PlainBlocks([block.with_weights(remaining) for block in self._blocks])

    def run(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        for block in self._blocks:
            x = block.run(x)
        return x

    def run_at(self, x: Tensor, positions: Tensor) -> Tensor:
        """(B, T, D), a position of each text (B,) → (B, 1, D): what `run` computes there.

        The last block computes those positions alone. It must attend by a MaskedAttend.
        """
        if not self._blocks:
            return _at(x, positions)
        for block in self._blocks[:-1]:
            x = block.run(x)
        return self._blocks[-1].run_at(x, positions)


def plain_blocks(model: GPTModel) -> PlainBlocks | None:
    """Return what computes `model.trf_blocks`, (B, T, D) → (B, T, D); None where it might differ.

    `model` is in evaluation mode. The result is right for blocks that are as gpt.py makes them: no part of
    another type, no hook, no changed method. It keeps the tensors that are parameters now: it sees a change
    in place, and not a parameter put in place of another.

    >>> model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 100}).eval()
    >>> x = torch.ones(1, 3, 48)
    >>> torch.allclose(plain_blocks(model).run(x), model.trf_blocks(x), atol=1e-5)
    True
    """
    if not _has_plain_blocks(model):
        return None
    return PlainBlocks([_plain_block(block) for block in model.trf_blocks])


def _has_plain_blocks(model: GPTModel) -> bool:
    blocks = model.trf_blocks
    if type(blocks) is not nn.Sequential:
        return False
    return (
        not has_global_hooks() and all(map(is_plain, blocks.modules())) and all(map(_has_own_parts, blocks))
    )


def is_plain(module: nn.Module) -> bool:
    """Tell whether a call of a module runs the `forward` that its class had at first, and nothing else."""
    # Private attributes, since torch has no public way to read hooks. Its own hooks count too.
    has_hooks = bool(module._forward_hooks or module._forward_pre_hooks)
    return not (has_hooks or has_own_methods(module)) and _FORWARDS.get(type(module)) is type(module).forward


def has_global_hooks() -> bool:
    """Tell whether the call of any module runs hooks."""
    has_some: bool = nn.modules.module._has_any_global_hook()  # type: ignore[no-untyped-call]  # torch has not typed it
    return has_some


def has_own_methods(module: nn.Module) -> bool:
    """Tell whether a module has methods of its own in place of those of its class."""
    return not vars(module).keys().isdisjoint(("forward", "split_heads"))


def _has_own_parts(block: Any) -> bool:
    """Tell whether a block is a TransformerBlock whose parts have the types that gpt.py gives them."""
    if type(block) is not TransformerBlock or type(block.att) is not MultiHeadAttention:
        return False
    att, ff = block.att, block.ff
    if type(ff) is not FeedForward or type(ff.layers) is not nn.Sequential or len(ff.layers) != 3:
        return False
    widening, activation, narrowing = ff.layers
    linears = (att.W_query, att.W_key, att.W_value, att.out_proj, widening, narrowing)
    return (
        all(type(part) is nn.Linear for part in linears)
        and all(type(part) is LayerNorm for part in (block.norm1, block.norm2))
        and all(type(part) is nn.Dropout for part in (att.dropout, block.drop_shortcut))
        and type(activation) in ACTIVATIONS.values()
    )


def _plain_block(block: Any) -> PlainBlock:
    def norm(part: LayerNorm) -> Norm:
        return part.scale.shape, part.scale, part.shift, part.eps

    def weights(part: nn.Linear) -> Weights:
        return part.weight, part.bias

    att, (widening, activation, narrowing) = block.att, block.ff.layers
    return PlainBlock(
        norm(block.norm1), (weights(att.W_query), weights(att.W_key), weights(att.W_value)), att,
        weights(att.out_proj),
        norm(block.norm2), weights(widening), activation.forward, weights(narrowing),
    )  # fmt: skip
