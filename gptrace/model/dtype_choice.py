"""The dtype that `auto` stands for: the one in which this machine multiplies matrices fastest.

bfloat16 keeps 8 significant bits of a number, float32 keeps 24. bfloat16 is picked only if it is much faster;
that holds for weights that are stored in bfloat16 too, since float32 holds them exactly.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from gptrace.model.quiet_torch import torch
from gptrace.model.selection import AUTO, ModelSelection
from gptrace.record import ProductRates

# A forward pass is more than matrix products, and rounding has its price: a small gain is not worth it.
_WORTHWHILE = 1.5
_SECONDS = 0.01  # for each of the two dtypes
# Rows, inner size and columns: milliseconds of work, in tensors that do not stay in the fastest cache.
_SHAPE = {"cpu": (256, 768, 768)}
_SHAPE_ELSEWHERE = (4096, 4096, 4096)
# What an x86 processor calls its instructions that multiply bfloat16.
_BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16", "avx10_2")
_log = logging.getLogger("gptrace")


def settled(selection: ModelSelection, device: torch.device) -> tuple[ModelSelection, ProductRates | None]:
    """Return the selection with a dtype in place of `auto`, and the rates that were measured to pick it.

    The choice is logged. On device meta, where nothing is computed, it is float32 without a measurement.
    """
    if selection.dtype != AUTO:
        return selection, None
    if device.type == "meta":
        _log.info("dtype auto is float32, since device meta computes nothing")
        return replace(selection, dtype="float32"), None
    rates = measured_rates(device)
    dtype = faster_dtype(rates)
    _log.info(
        f"dtype auto is {dtype}: matrix products run at {rates.float32:.3g} GFLOP/s in float32, "
        f"{rates.bfloat16:.3g} in bfloat16"
    )
    return replace(selection, dtype=dtype), rates


def faster_dtype(rates: ProductRates) -> str:
    """Return the dtype to pick.

    >>> faster_dtype(ProductRates(float32=88.0, bfloat16=193.0)), faster_dtype(ProductRates(60.0, 65.0))
    ('bfloat16', 'float32')
    """
    return "bfloat16" if rates.bfloat16 >= _WORTHWHILE * rates.float32 else "float32"


def measured_rates(device: torch.device) -> ProductRates:
    """Multiply matrices for about 20 ms, with the threads that torch uses; the fastest product counts.

    The two dtypes take turns, so that other work on the machine slows both.
    """
    rows, inner, columns = _SHAPE.get(device.type, _SHAPE_ELSEWHERE)
    pairs = {
        dtype: (
            torch.ones(rows, inner, dtype=dtype, device=device),
            torch.ones(columns, inner, dtype=dtype, device=device),
        )
        for dtype in (torch.float32, torch.bfloat16)
    }
    best = dict.fromkeys(pairs, float("inf"))
    with torch.inference_mode():
        for pair in pairs.values():
            _seconds(*pair)  # the first product of a dtype loads its kernels
        start = time.perf_counter()
        while time.perf_counter() - start < _SECONDS * len(pairs) or float("inf") in best.values():
            for dtype, pair in pairs.items():
                best[dtype] = min(best[dtype], _seconds(*pair))
    float32, bfloat16 = (2e-9 * rows * inner * columns / seconds for seconds in best.values())
    return ProductRates(float32, bfloat16)


def _seconds(x: torch.Tensor, weight: torch.Tensor) -> float:
    """Return the seconds of one product; an accelerator must be waited for."""
    start = time.perf_counter()
    torch.nn.functional.linear(x, weight)
    if x.device.type != "cpu":
        torch.accelerator.synchronize(x.device)
    return max(time.perf_counter() - start, 1e-9)


def warn_if_slow(dtype: str | None, device: torch.device) -> None:
    """Log a warning for bfloat16 on a processor without instructions for it; it converts every number."""
    if dtype != "bfloat16" or device.type != "cpu":
        return
    # Older versions of torch do not tell.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if capabilities.get("architecture") != "x86_64" or any(map(capabilities.get, _BFLOAT16_UNITS)):
        return
    _log.warning(
        "this processor has no instructions that multiply bfloat16 (avx512_bf16, amx_bf16), so batches may "
        "run slower than in float32; --dtype auto measures which is faster"
    )
