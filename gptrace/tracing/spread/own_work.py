"""Tell the work that torch does to spread a model from the work of the model."""

from __future__ import annotations

import sys
from collections.abc import Set

from gptrace.model.quiet_torch import torch
from gptrace.tracing.module_calls import call_watched
from gptrace.tracing.spread.layout import loaded

_FOLDER = torch.__file__.rpartition("/")[0]
# DTensor computes the shape of a result here: it runs the operation on fake tensors of the whole size.
SHAPES = frozenset({f"{_FOLDER}/distributed/tensor/_sharding_prop.py"})
# FSDP gathers parameters here, copies them, and frees them.
GATHERING = frozenset(
    f"{_FOLDER}/distributed/fsdp/_fully_shard/{name}.py"
    for name in ("_fsdp_param_group", "_fsdp_param", "_fsdp_collectives")
)
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def runs_in(files: Set[str]) -> bool:
    """Tell whether code of these files runs inside of the innermost call of a module."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not call_watched.__code__:
        if frame.f_code.co_filename in files:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def stands_for_another(kind: type) -> bool:
    """Tell whether tensors of this type hold a tensor of this process, on which the kernels run."""
    return kind not in _PLAIN and kind in (
        loaded("torch.distributed.tensor", "DTensor"),
        loaded("torch.distributed._functional_collectives", "AsyncCollectiveTensor"),
    )
