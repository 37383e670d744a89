"""The topics of an explanation: for each a function that measures its claims, in the order they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel
from gptrace.predict.explain.topics import (
    flow,
    inference,
    last_dim,
    probabilities,
    projection,
    training,
    tying,
)

TOPICS: Mapping[str, Callable[[MeasuredModel], list[MeasuredClaim]]] = {
    "flow": flow.measure,
    "last-dim": last_dim.measure,
    "projection": projection.measure,
    "probabilities": probabilities.measure,
    "training": training.measure,
    "inference": inference.measure,
    "tying": tying.measure,
}
