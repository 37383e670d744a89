"""The tensors of code that runs inside of torch.func, such as the function that torch.vmap maps.

There torch wraps tensors: a wrapper has no memory, and the shape of one lane.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
# What an operation in there is called: it computes something else on the whole tensors.
TRANSFORMED = "torch.func"


def is_in_transform() -> bool:
    """Tell whether torch.vmap or another transform of torch.func runs now."""
    return torch._C._functorch.maybe_current_level() is not None


def whole(tensor: Tensor) -> Tensor:
    """Return the tensor with all lanes that a wrapped one stands for; any other tensor as it is."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


@contextmanager
def unseen() -> Iterator[None]:
    """Let no function mode and no transform of torch.func work on what the block does."""
    with torch._C.DisableTorchFunction():
        if not is_in_transform():
            yield
            return
        with torch._functorch.pyfunctorch.temporarily_clear_interpreter_stack():
            yield
