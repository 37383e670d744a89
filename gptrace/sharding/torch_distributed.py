"""torch for models on many devices, imported in one place: it takes a second."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed as distributed
from torch.distributed.device_mesh import DeviceMesh as DeviceMesh
from torch.distributed.device_mesh import init_device_mesh as init_device_mesh
from torch.distributed.fsdp import FSDPModule as FSDPModule
from torch.distributed.fsdp import fully_shard as fully_shard
from torch.distributed.tensor import DTensor as DTensor
from torch.distributed.tensor import Replicate as Replicate
from torch.distributed.tensor.debug import _clear_sharding_prop_cache
from torch.distributed.tensor.parallel import ColwiseParallel as ColwiseParallel
from torch.distributed.tensor.parallel import ParallelStyle as ParallelStyle
from torch.distributed.tensor.parallel import RowwiseParallel as RowwiseParallel
from torch.distributed.tensor.parallel import parallelize_module as parallelize_module


def forget_shardings() -> None:
    """Empty the cache in which DTensor keeps how the result of each operation is sharded.

    It finds its entries by the shape of a mesh, and they hold process groups, which may have ended.
    """
    _clear_sharding_prop_cache()  # type: ignore[no-untyped-call]


@contextmanager
def excepthook_kept() -> Iterator[None]:
    """Put back what shows uncaught exceptions after the block.

    Each new process group of torch has them begin with the number of the rank, also after it has ended.
    """
    before = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = before
