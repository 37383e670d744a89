"""Models that see no word, or one: what a trained model has to beat on the same text."""

from __future__ import annotations

import numpy as np

DISCOUNT = 0.75
Array = np.ndarray


def unigram_loss(text: Array, held_out: Array, vocab_size: int) -> float:
    """Return the mean loss of the targets in `held_out` (N,), each by its frequency in `text`.

    Every token counts once more than it occurs, so that none is impossible. The first token is no target.
    """
    counts = np.bincount(text, minlength=vocab_size) + 1
    return float(-np.log(counts[held_out[1:]] / counts.sum()).mean())


def bigram_loss(text: Array, held_out: Array, vocab_size: int) -> float:
    """Return the mean loss of the targets in `held_out` (N,), each by the token before it.

    Interpolated Kneser-Ney smoothing: each pair in `text` counts 0.75 less than it occurs. What that leaves
    goes to all tokens, by the number of different tokens that each follows; a last small part is uniform.

    >>> text = np.array([0, 1, 0, 1, 0, 2] * 50)
    >>> round(bigram_loss(text, np.array([0, 1]), 3), 2)  # -log(2/3)
    0.41
    """
    codes, counts = np.unique(_pairs(text, vocab_size), return_counts=True)
    before, after = codes // vocab_size, codes % vocab_size
    total = np.bincount(before, weights=counts, minlength=vocab_size)  # how often each token is followed
    followers = np.bincount(before, minlength=vocab_size)  # by how many different ones
    preceded = np.bincount(after, minlength=vocab_size)  # how many different ones each follows
    unseen = np.count_nonzero(preceded)
    lower = (np.maximum(preceded - DISCOUNT, 0) + DISCOUNT * unseen / vocab_size) / len(codes)

    wanted = _pairs(held_out, vocab_size)
    previous, targets = held_out[:-1].astype(np.int64), held_out[1:].astype(np.int64)
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    count = np.where(codes[place] == wanted, counts[place], 0)
    known = np.maximum(total[previous], 1)
    seen = np.maximum(count - DISCOUNT, 0) / known
    rest = np.where(total[previous] > 0, DISCOUNT * followers[previous] / known, 1)
    return float(-np.log(seen + rest * lower[targets]).mean())


def _pairs(ids: Array, vocab_size: int) -> Array:
    """Return a number for each pair of neighbours: (N,) → (N-1,)."""
    pairs: Array = ids[:-1].astype(np.int64) * vocab_size + ids[1:]
    return pairs
