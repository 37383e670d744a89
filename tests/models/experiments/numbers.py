"""What the logits are at the start."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gptrace.model.quiet_torch import torch
from tests.models.collection import RightModel, small
from tests.models.experiments.running import Tensor, differ, functional, lively, run, some_ids


def makes_nan(record: RightModel, path: Path) -> bool:
    """Some logits of an ordinary text are NaN or infinite."""
    return not run(small(record, path), some_ids()).isfinite().all()


def makes_nan_of(ids: Tensor, **arguments: Any) -> Callable[[RightModel, Path], bool]:
    """Some logits of these ids are NaN or infinite."""
    return lambda record, path: not run(small(record, path), ids, **arguments).isfinite().all()


def starts_away_from_uniform(record: RightModel, path: Path) -> bool:
    """The loss of random text is more than 1 away from ln V before any training."""
    ids = some_ids(batch=4, length=16)
    logits = run(small(record, path), ids)
    loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    return abs(float(loss) - math.log(logits.shape[-1])) > 1


def are_probabilities(record: RightModel, path: Path) -> bool:
    """The rows of the output are in [0, 1] and sum to 1."""
    rows = run(lively(small(record, path)), some_ids())
    return bool((rows >= 0).all()) and not differ(rows.sum(-1), torch.ones(()))


def are_log_probabilities(record: RightModel, path: Path) -> bool:
    """The exponentials of the rows of the output sum to 1."""
    rows = run(lively(small(record, path)), some_ids())
    return not differ(rows.exp().sum(-1), torch.ones(()))
