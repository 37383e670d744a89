"""The call of the module that makes the logits: the output head.

A model may have several heads of the same size, such as one for each of the next tokens, or call one head
several times. The values tell which call makes the logits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from gptrace.errors import OptionError
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64
from gptrace.predict.capture import each_output
from gptrace.record import ModuleCall, Trace

Tensor = torch.Tensor


def find_output_head(
    trace: Trace, module: torch.nn.Module, path: str | None, shape: tuple[int, ...], run: Callable[[], Tensor]
) -> ModuleCall | None:
    """Return the call that makes the logits; None where no module does.

    `shape` is the (B, T, V) of the logits, and `run` returns them once more; it is called where several calls
    may have made them. `path` is that of the head, if the user names it. Raises an OptionError if that
    module did not run, or returns no logits.
    """
    leaves = _leaves([call for call in trace.calls if call.path])
    if path is not None:
        heads = [call for call in trace.calls if call.path == path and may_be_head(call, shape)]
        if not heads:
            raise _no_head(trace, leaves, shape, path)
    else:
        heads = [leaf for leaf in leaves if leaf.parameters.own and may_be_head(leaf, shape)]
    if len(heads) < 2:
        return next(iter(heads), None)
    return heads[_nearest(module, heads, run)]


def may_be_head(call: ModuleCall, logits_shape: tuple[int, ...]) -> bool:
    """Tell whether the output of a call may be the logits (B, T, V), or some rows of them."""
    shape = call.outputs[0].shape if call.outputs else ()
    return len(shape) == 3 and (shape[0], shape[-1]) == (logits_shape[0], logits_shape[-1])


def _no_head(trace: Trace, leaves: Sequence[ModuleCall], shape: tuple[int, ...], path: str) -> OptionError:
    has_run = any(call.path == path for call in trace.calls)
    heads = [leaf for leaf in leaves if may_be_head(leaf, shape)]
    paths = [leaf.path for leaf in heads or leaves]
    problem = f"--head {path!r} {'makes no logits' if has_run else 'is no module that ran'}"
    return OptionError(problem, f"it may be one of: {', '.join(dict.fromkeys(paths))}")


def _leaves(calls: Sequence[ModuleCall]) -> list[ModuleCall]:
    """Return the calls that called no other module and returned tensors."""
    parents = {call.parent for call in calls}
    return [call for call in calls if call.index not in parents and call.outputs]


def _nearest(module: torch.nn.Module, heads: Sequence[ModuleCall], run: Callable[[], Tensor]) -> int:
    """Return the index of the call whose last scores are most like the last logits; of equal ones the last.

    A model may cap or scale the scores, so they need not be the same.
    """
    rows: dict[tuple[str, int], Tensor] = {}
    numbers: Counter[str] = Counter()

    def keep(path: str, output: Tensor) -> None:
        numbers[path] += 1
        if output.dim() and (path, numbers[path]) in wanted:
            rows[path, numbers[path]] = as_float64(output.flatten(0, -2)[-1])

    wanted = {(head.path, head.call) for head in heads}
    with each_output(module, [head.path for head in heads], keep):
        logits = as_float64(run().flatten(0, -2)[-1])
    likeness = [_likeness(rows.get((head.path, head.call)), logits) for head in heads]
    return max(range(len(heads)), key=lambda index: (likeness[index], index))


def _likeness(row: Tensor | None, logits: Tensor) -> float:
    """Return the correlation coefficient of the finite numbers of two rows (V,); -1 where there is none."""
    if row is None or row.shape != logits.shape:
        return -1.0
    finite = row.isfinite() & logits.isfinite()
    if int(finite.sum()) < 2:
        return -1.0
    coefficient = float(torch.corrcoef(torch.stack([row[finite], logits[finite]]))[0, 1])
    return round(coefficient, 9) if coefficient == coefficient else -1.0
