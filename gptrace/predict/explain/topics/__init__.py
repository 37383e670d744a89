"""The topics of an explanation: for each a function that measures its claims, in the order they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from gptrace.predict import validation
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel

# Topic → `measure` of the file of its name.
TOPICS: Mapping[str, Callable[[MeasuredModel], list[MeasuredClaim]]] = {
    topic: import_module(f"{__name__}.{topic.replace('-', '_')}").measure for topic in validation.TOPICS
}
