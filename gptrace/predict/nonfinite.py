"""Say which call, operation and line made the NaN or Inf of logits that cannot be ranked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from gptrace.errors import NotFiniteError
from gptrace.model.build import LoadedModel
from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.quiet_torch import torch
from gptrace.predict.forward import guarded_forward
from gptrace.tracing.nonfinite_maker import find_first_maker


def with_origin(
    error: NotFiniteError, loaded: LoadedModel, prompts: Sequence[Sequence[int]]
) -> NotFiniteError:
    """Return the error with the origin of its NaN or Inf, found by running the model once more.

    `prompts` are the ids of those that may have made it. Where none does so again, the error stays as it is.
    """
    rows = [error.ids] if error.ids else prompts
    for ids in rows:
        origin = origin_of(loaded, ids, error.value)
        if origin:
            check = loaded.command("check", "--only=finite")
            return NotFiniteError(
                f"{error.message}: {origin}", f"{check} says what is wrong there", error.value
            )
    return error


def origin_of(loaded: LoadedModel, ids: Sequence[int], value: float) -> str:
    """Return where the NaN or Inf after these ids comes from, in words; "" where it is not found."""
    if value < 0:  # every logit is minus infinity, as many a mask is
        return ""
    batch = torch.tensor([list(ids)], dtype=torch.int64, device=loaded.device)
    with suppress(Exception), guarded_forward(loaded, batch), interrupts_allowed():
        kind = "Inf" if value == float("inf") else "NaN"
        return find_first_maker(loaded.module, lambda: loaded.module(batch, **loaded.arguments), kind)
    return ""
