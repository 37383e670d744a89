"""The causal mask in course state dicts: course code stores it as a buffer, and gptrace's model has none."""

from __future__ import annotations

from typing import Any

from gptrace.model.quiet_torch import torch


def ignore_course_mask(attention: torch.nn.Module) -> None:
    """Let a strict `load_state_dict` of `attention`, or of a model around it, accept and drop the key `mask`.

    >>> linear = torch.nn.Linear(1, 1)
    >>> ignore_course_mask(linear)
    >>> linear.load_state_dict(linear.state_dict() | {"mask": torch.ones(2, 2)})
    <All keys matched successfully>
    """
    attention.register_load_state_dict_pre_hook(_drop_mask)  # type: ignore[no-untyped-call]


def _drop_mask(module: torch.nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    # load_state_dict has copied the caller's dict, so that dict keeps the key.
    state_dict.pop(f"{prefix}mask", None)
