"""The keys and values of a beginning that several prompts share, computed once and used in each.

Shapes: B batch, H heads, P tokens of the beginning, T tokens after it, S = P + T, D emb_dim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from gptrace.model.gpt import Attend, GPTModel
from gptrace.model.gpt_parts import RunBlocks, attentions, hidden_states
from gptrace.model.plain_blocks import MaskedAttend
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
functional = torch.nn.functional


class SharedBeginning:
    """The first ids of a batch of prompts: what each layer made of them, and the hidden states (1, P, D).

    It holds for the model that made it. What a causal model makes of the first ids does not depend on those
    that follow, so it can be cut shorter.

    >>> model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 100}).eval()
    >>> beginning = SharedBeginning(model, [1, 2, 3])
    >>> rest = beginning.hidden_states(model, torch.tensor([[4, 5], [6, 7]]), 3)  # (B, T, D)
    >>> whole = hidden_states(model, torch.tensor([[1, 2, 3, 6, 7]]))
    >>> torch.allclose(rest[1], whole[0, 3:], atol=1e-5)
    True
    """

    def __init__(self, model: GPTModel, ids: Sequence[int], run_blocks: RunBlocks | None = None) -> None:
        """Run the ids through the model, which must be private: its attention is changed meanwhile.

        `run_blocks` runs in place of `model.trf_blocks`, here and below.
        """
        self.ids = tuple(ids)
        self._layers: list[tuple[Tensor, Tensor]] = []
        batch = torch.tensor([self.ids], dtype=torch.int64, device=model.tok_emb.weight.device)  # (1, P)
        with _attending(model, [_Recording(layer.attend, self._layers) for layer in attentions(model)]):
            self.hidden = hidden_states(model, batch, run_blocks=run_blocks)  # (1, P, D)

    def hidden_states(
        self, model: GPTModel, in_idx: Tensor, length: int, run_blocks: RunBlocks | None = None
    ) -> Tensor:
        """Ids (B, T) that follow the first `length` ids → what enters the output head (B, T, D)."""
        after = [
            _After(layer.attend, keys[:, :, :length], values[:, :, :length])
            for layer, (keys, values) in zip(attentions(model), self._layers, strict=True)
        ]
        with _attending(model, after):
            return hidden_states(model, in_idx, first_position=length, run_blocks=run_blocks)


class _Recording:
    """`attend`, which notes its keys and values (1, H, P, D/H)."""

    def __init__(self, attend: Attend, layers: list[tuple[Tensor, Tensor]]) -> None:
        self._attend, self._layers = attend, layers

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor, dropout: torch.nn.Dropout) -> Tensor:
        self._layers.append((keys, values))
        return self._attend(queries, keys, values, dropout)


class _After:
    """`attend` over the keys and values of the beginning and the new ones."""

    def __init__(self, attend: Attend, keys: Tensor, values: Tensor) -> None:
        self._attend, self._keys, self._values = attend, keys, values

    def __call__(
        self, queries: Tensor, keys: Tensor, values: Tensor, dropout: torch.nn.Dropout,
        *, allowed: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Queries, keys and values (B, H, T, D/H) → (B, H, T, D/H); all may see the beginning."""
        B = len(queries)
        keys = torch.cat((self._keys.expand(B, -1, -1, -1), keys), dim=2)  # (B, H, S, D/H)
        values = torch.cat((self._values.expand(B, -1, -1, -1), values), dim=2)  # (B, H, S, D/H)
        if allowed is None:
            return self._attend(queries, keys, values, dropout)
        allowed = functional.pad(allowed, (self._keys.shape[2], 0), value=True)  # (B, 1, T, S)
        return cast(MaskedAttend, self._attend)(queries, keys, values, dropout, allowed=allowed)


@contextmanager
def _attending(model: GPTModel, attends: Sequence[Attend]) -> Iterator[None]:
    """Let each layer attend by another function in the block."""
    layers = list(attentions(model))
    before = [layer.attend for layer in layers]
    try:
        for layer, attend in zip(layers, attends, strict=True):
            layer.attend = attend
        yield
    finally:
        for layer, attend in zip(layers, before, strict=True):
            layer.attend = attend
