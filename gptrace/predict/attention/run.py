"""Run a model and return where it attends, with the tensors of the first place alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.heads import PlaceSummary, summarise
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.recorder import AttentionRecorder

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class AttentionRun:
    """The places where one run attends, in order: the first with its tensors, and a summary of each.

    `other_count` is the number of places whose queries or keys are not the T tokens, such as chunks of these.
    """

    first: AttentionPlace | None
    places: tuple[PlaceSummary, ...]
    other_count: int
    logits: Tensor


def run_with_attention(module: torch.nn.Module, run: Callable[[], Tensor], length: int) -> AttentionRun:
    """Run a model on `length` tokens by `run`, which returns the logits (1, T, V)."""
    places: list[AttentionPlace] = []
    summaries: list[PlaceSummary] = []

    def receive(place: AttentionPlace) -> None:
        summaries.append(summarise(place))
        if not places:
            places.append(place)

    recorder = AttentionRecorder(length, receive)
    with recorder.on(module):
        logits = run()
    return AttentionRun(next(iter(places), None), tuple(summaries), recorder.other_count, logits)
