"""Run a model and return where it attends, with the tensors of the first place alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.recorder import AttentionRecorder

Tensor = torch.Tensor
_Summary = TypeVar("_Summary")


@dataclass(frozen=True, eq=False)
class AttentionRun(Generic[_Summary]):
    """The places where one run attends, in order: the first with its tensors, and a summary of each.

    `other_count` is the number of places whose queries or keys are not the T tokens, such as chunks of these,
    or could not be told apart. `logits` is what the run returned.
    """

    first: AttentionPlace | None
    places: tuple[_Summary, ...]
    other_count: int
    logits: Any


def run_with_attention(
    module: torch.nn.Module,
    run: Callable[[Tensor], object],
    ids: Tensor,
    summarise: Callable[[AttentionPlace], _Summary],
) -> AttentionRun[_Summary]:
    """Run a model on `ids` (1, T) by `run`.

    Where there are as many heads as tokens, say, the axes of the weights are told apart by their lengths in
    a run on one token less.
    """
    seen, recorder = _run(module, run, ids, summarise)
    if not recorder.needs_shorter:
        return seen
    try:
        _, less = _run(module, run, ids[:, :-1], lambda place: None)
    except Exception:  # a user's model may take texts of one length alone
        return seen
    if len(less.weight_shapes) != len(recorder.weight_shapes):
        return seen
    return _run(module, run, ids, summarise, less.weight_shapes)[0]


def _run(
    module: torch.nn.Module,
    run: Callable[[Tensor], object],
    ids: Tensor,
    summarise: Callable[[AttentionPlace], _Summary],
    shorter: Sequence[tuple[int, ...]] = (),
) -> tuple[AttentionRun[_Summary], AttentionRecorder]:
    first: list[AttentionPlace] = []
    summaries: list[_Summary] = []

    def receive(place: AttentionPlace) -> None:
        summaries.append(summarise(place))
        if not first:
            first.append(place)

    recorder = AttentionRecorder(ids.shape[1], receive, shorter)
    with recorder.on(module):
        logits = run(ids)
    return AttentionRun(next(iter(first), None), tuple(summaries), recorder.other_count, logits), recorder
