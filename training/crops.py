"""Batches of text: crops of equal length, each token once in an epoch."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


class Crops:
    """All batches of a run. The batch of a step depends on nothing but the step and the seed.

    In each epoch the text `ids` (N,) is cut into crops of `length` tokens at an offset drawn for the epoch,
    and the crops are shuffled. So a resumed run needs no state, and no crop of one epoch returns in the next.
    Raises ValueError for a text that is too short for one batch.

    >>> inputs, targets = Crops(torch.arange(100), length=4, batch=2, seed=1).batch(0)
    >>> inputs.shape, bool((targets == inputs + 1).all())
    (torch.Size([2, 4]), True)
    """

    def __init__(self, ids: Tensor, length: int, batch: int, seed: int) -> None:
        self.ids, self.length, self.size, self.seed = ids, length, batch, seed
        self.crops = len(ids) // length - 1  # one less than fit: room for the offset and the last target
        self.batches = self.crops // batch
        if self.batches < 1:
            needed = (batch + 1) * length
            raise ValueError(f"a batch of {batch} crops needs {needed:,} tokens; the text has {len(ids):,}")
        self._epoch = -1
        self._starts = torch.empty(0)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the inputs and the targets (B, T) of a step, on the device of the text."""
        epoch, index = divmod(step, self.batches)
        if epoch != self._epoch:
            self._epoch, self._starts = epoch, self._shuffled_starts(epoch)
        starts = self._starts[index * self.size : (index + 1) * self.size]  # (B,)
        positions = starts[:, None] + torch.arange(self.length + 1, device=starts.device)  # (B, T+1)
        crops = self.ids[positions].long()
        return crops[:, :-1], crops[:, 1:]

    def _shuffled_starts(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        offset = torch.randint(self.length, (1,), generator=generator)
        return (torch.randperm(self.crops, generator=generator) * self.length + offset).to(self.ids.device)
