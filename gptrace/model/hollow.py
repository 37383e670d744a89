"""A GPTModel with shapes and no numbers: what weights are assigned to, and what device meta runs."""

from __future__ import annotations

from typing import Any

from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch


def hollow_model(config: GPTConfig) -> GPTModel:
    """Return a model whose parameters are on device meta: they take no memory.

    >>> hollow_model(GPTConfig(n_layers=96, emb_dim=12288, n_heads=96)).out_head.weight.shape
    torch.Size([50257, 12288])
    """
    with torch.device("meta"), _NoInitialisation():
        return GPTModel(config)


class _NoInitialisation(torch.overrides.TorchFunctionMode):
    """Leaves out torch.nn.init, which on device meta fills nothing and imports for a second to do so."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
