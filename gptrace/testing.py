"""Assertions about models and traces, for tests of your own.

from gptrace.testing import assert_causal, assert_shapes
"""

from __future__ import annotations

from gptrace.api import check, trace
from gptrace.model.on_demand import Model
from gptrace.record import Trace
from gptrace.wording import bracketed

__all__ = ["assert_causal", "assert_checks", "assert_shapes", "trace"]


def assert_causal(model: Model) -> None:
    """Raise an AssertionError that names the line, if a token changes the logits before it.

    It is raised too where that cannot be judged, as of a model whose logits are NaN.

    model  a torch.nn.Module, its class, or a name as for `gptrace.Session`

    >>> assert_causal("tiny")
    """
    assert_checks(model, "causal")


def assert_checks(model: Model, *names: str) -> None:
    """Raise an AssertionError that names the lines, if one of the checks fails; without names, of all checks.

    A check that is named has to hold: it is raised too where one does not apply or cannot be judged.

    >>> assert_checks("tiny", "batch", "padding")
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    results = check(model, only=names).checks
    failed = [result for result in results if result.holds is False or (names and result.holds is None)]
    if failed:
        raise AssertionError("\n".join(map(str, failed)))


def assert_shapes(trace: Trace, path: str, axes: str) -> None:
    """Raise an AssertionError unless what the module at `path` returns has these axes, by name or by size.

    trace  what `gptrace.trace` returned
    path   the path of a module; "" is the model itself
    axes   names or numbers, as in "batch seq_len vocab_size" or "1 4 50257"

    >>> assert_shapes(trace("Hello, I am", model="tiny"), "out_head", "batch seq_len vocab_size")
    """
    __tracebackhide__ = True
    call = next((call for call in trace.calls if call.path == path), None)
    if call is None:
        raise AssertionError(f"no module at {path!r} was called")
    if not call.outputs:
        raise AssertionError(f"{path!r} returned no tensor")
    output, wanted = call.outputs[0], axes.split()
    dims = output.dims or tuple(map(str, output.shape))
    fits = len(wanted) == len(dims) and all(
        part in (dim, str(size)) for part, dim, size in zip(wanted, dims, output.shape, strict=True)
    )
    if not fits:
        raise AssertionError(
            f"{path!r} returned {bracketed(dims)} = {bracketed(output.shape)}, not {bracketed(wanted)}"
        )
