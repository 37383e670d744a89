"""The main line of a trace, as shapes, and what the last of them means."""

from __future__ import annotations

from gptrace.record import FlowStep, Trace
from gptrace.translation import words

_LOGITS_OF_TOKENS = (
    "Each position has {} logits, one for each token of the vocabulary; softmax over those of the last "
    "position gives the next token."
)
_LOGITS = "Each position has {} logits; softmax over those of the last position gives the next token."


def main_line(trace: Trace) -> list[FlowStep]:
    """Return each shape of the main line that differs from the one before; nothing where none changes."""
    steps: list[FlowStep] = []
    for step in trace.flow:
        if not steps or (step.dims, step.shape) != (steps[-1].dims, steps[-1].shape):
            steps.append(step)
    return steps if len(steps) > 1 else []


def sentence_on_logits(trace: Trace) -> str:
    """Return what the logits of one position are, or nothing where there are none."""
    candidates = [candidate for prediction in trace.predictions for candidate in prediction.candidates]
    if not candidates or not trace.logits_per_position:
        return ""
    # Ids without bytes are of no known vocabulary: nothing says that each logit is that of a token.
    has_tokens = any(candidate.bytes is not None for candidate in candidates)
    return words(_LOGITS_OF_TOKENS if has_tokens else _LOGITS, f"{trace.logits_per_position:,}")
