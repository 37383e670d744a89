"""Scores and weights of attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.overrides import TorchFunctionMode

from gptrace.model.quiet_torch import torch
from tests.models.collection import RightModel, small
from tests.models.experiments.running import NOTICED, Tensor, differ, lively, run, some_ids


@contextmanager
def recorded_softmaxes() -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collect the scores and the weights of each softmax in the block."""
    found: list[tuple[Tensor, Tensor]] = []

    class Recorder(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if getattr(func, "__name__", "") == "softmax":
                found.append((args[0].clone(), result.clone()))
            return result

    with Recorder():
        yield found


def _first_softmax(record: RightModel, path: Path) -> tuple[Tensor, Tensor]:
    model = lively(small(record, path))
    with recorded_softmaxes() as found:
        run(model, some_ids())
    return found[0]


def weights_do_not_sum_to_one(record: RightModel, path: Path) -> bool:
    """The weights of a query, which a softmax makes, do not sum to 1 over the keys."""
    _, weights = _first_softmax(record, path)
    return differ(weights.sum(-1), torch.ones(()))


def masked_keys_have_weight(record: RightModel, path: Path) -> bool:
    """A key after the query has a weight that is not 0."""
    _, weights = _first_softmax(record, path)
    return bool(weights.triu(1).abs().max() > NOTICED)


def scores_grow_by(factor: float) -> Callable[[RightModel, Path], bool]:
    """What enters the first softmax is `factor` times what it is in the right model with the same weights."""

    def experiment(record: RightModel, path: Path) -> bool:
        scores, _ = _first_softmax(record, path)
        expected, _ = _first_softmax(record, record.path)
        seen = expected.isfinite() & (expected > -1e8)
        return not differ(scores[seen], expected[seen] * factor)

    return experiment
