"""Names of devices, checked without torch."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Any

DEVICES = ("cpu", "cuda", "xpu", "mps", "meta", "auto")
# Devices that torch has names for, or that the package of a vendor brings under this name.
_OTHER_DEVICES = ("hpu", "mtia", "npu", "mlu", "musa", "sdaa", "privateuseone")


def may_be_device(name: str) -> bool:
    """Tell whether torch may know a device, which `find_device` asks it. Packages may add further ones."""
    kind, colon, index = name.partition(":")
    if not kind.isidentifier() or (colon and not index.isdecimal()):
        return False
    if kind in DEVICES or kind in _OTHER_DEVICES:
        return True
    loaded: Any = sys.modules.get("torch")
    is_named = loaded is not None and kind == loaded._C._get_privateuse1_backend_name()
    return is_named or any(entry_points(group="torch.backends"))  # torch imports these when it is imported
