"""The keys and values of tokens that were seen, so that each new token is computed alone.

Shapes: B batch, H heads, T new tokens, S all tokens so far, D/H head_dim.
"""

from __future__ import annotations

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor


class KeyValueCache:
    """What one layer's attention has seen: keys and values (B, H, S, D/H), with room for `capacity` tokens.

    `length` is how many it holds; one that is made with some has no numbers for them, only their shape.

    >>> cache = KeyValueCache(capacity=8)
    >>> keys, values = cache.extended(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4))
    >>> cache.extended(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4))[0].shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(self, capacity: int, length: int = 0) -> None:
        self.capacity = capacity
        self.length = length
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def extended(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of new tokens (B, H, T, D/H); return those of all (B, H, S, D/H)."""
        B, H, T, _ = keys.shape
        if self._keys is None or self._values is None:
            # Room is made once: to join tensors at each token would copy all of them each time. That is no
            # operation of the model, so whoever notes those does not see it.
            with torch._C.DisableTorchFunction():
                self._keys = keys.new_empty(B, H, self.capacity, keys.shape[3])
                self._values = values.new_empty(B, H, self.capacity, values.shape[3])
        start, self.length = self.length, self.length + T
        self._keys[:, :, start : self.length] = keys
        self._values[:, :, start : self.length] = values
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]
