"""The keys and values of earlier tokens, kept so that each step computes only the new tokens.

Shapes: B batch, H heads, T new tokens, S all tokens so far, D emb_dim, V vocabulary.
"""

from __future__ import annotations

from functools import partial

from gptrace.model.gpt import Attend, GPTModel
from gptrace.model.gpt_parts import attentions, hidden_states
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor


def add_caches(model: GPTModel, capacity: int, *, length: int = 0) -> None:
    """Give each attention of `model` a cache; from then on the model takes only the tokens that are new.

    `model` is changed, so it must be an isolated copy or otherwise private. Each cache has room for
    `capacity` tokens. It counts the first `length` of them as cached, with undefined keys and values, which
    is enough to trace shapes.

    >>> model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 100}).eval()
    >>> whole = model(torch.tensor([[1, 2, 3]]))
    >>> add_caches(model, capacity=8)
    >>> _, last = model(torch.tensor([[1, 2]])), model(torch.tensor([[3]]))
    >>> torch.allclose(last[0, -1], whole[0, -1], atol=1e-5)
    True
    """
    for attention in attentions(model):
        attention.attend = CachedAttend(attention.attend, capacity, length)
    # An attribute of the instance hides the method of the class, and __call__ still runs the hooks. A
    # subclass would show another class name in a trace.
    vars(model)["forward"] = partial(_forward, model)


def remove_caches(model: GPTModel) -> None:
    """Undo `add_caches`: `model` takes all tokens in each call again."""
    for attention in attentions(model):
        if isinstance(attention.attend, CachedAttend):
            attention.attend = attention.attend.attend
    vars(model).pop("forward", None)


def _forward(model: GPTModel, in_idx: Tensor) -> Tensor:
    """New token ids (B, T) → logits (B, T, V)."""
    caches = (attention.attend for attention in attentions(model))
    cached = next((cache.length for cache in caches if isinstance(cache, CachedAttend)), 0)
    logits: Tensor = model.out_head(hidden_states(model, in_idx, first_position=cached))
    return logits


class CachedAttend:
    """`attend` over the cached tokens and the new ones. It holds keys and values of one layer.

    `attend` computes the attention itself. `length` counts the tokens that are cached, of at most `capacity`.

    >>> from gptrace.model.gpt import attend
    >>> cached = CachedAttend(attend, capacity=8)
    >>> x = torch.ones(1, 2, 3, 4)
    >>> cached(x, x, x, torch.nn.Dropout(0)).shape, cached.length
    (torch.Size([1, 2, 3, 4]), 3)
    """

    def __init__(self, attend: Attend, capacity: int, length: int = 0) -> None:
        self.attend = attend
        self.capacity = capacity
        self.length = length
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor, dropout: torch.nn.Dropout) -> Tensor:
        """Queries, keys and values (B, H, T, D/H) of the new tokens → (B, H, T, D/H)."""
        B, H, T, head_dim = keys.shape
        if self._keys is None or self._values is None:
            # The memory is reserved once: torch.cat in each step would copy every cached token again.
            # Reserving is no operation of the model, so it is hidden from traces of operations. Those listen
            # with a TorchFunctionMode, and this private context manager is assumed to switch modes off.
            with torch._C.DisableTorchFunction():
                self._keys = keys.new_empty(B, H, self.capacity, head_dim)
                self._values = values.new_empty(B, H, self.capacity, head_dim)
        start, self.length = self.length, self.length + T
        self._keys[:, :, start : self.length] = keys
        self._values[:, :, start : self.length] = values
        keys, values = self._keys[:, :, : self.length], self._values[:, :, : self.length]  # (B, H, S, D/H)
        return self.attend(queries, keys, values, dropout)
