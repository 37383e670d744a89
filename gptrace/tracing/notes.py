"""What a reader should know of a trace: what it cannot show, and what it found to be wrong."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.tracing.recorder import SpanRecorder

Module = torch.nn.Module
# Lists of modules, which nobody calls.
_CONTAINERS = (torch.nn.ModuleList, torch.nn.ModuleDict, torch.nn.ParameterList, torch.nn.ParameterDict)


def notes_of(recorder: SpanRecorder, called: set[Module], used: set[str]) -> tuple[str, ...]:
    """Return the remarks; `called` are the modules that ran, `used` the paths with anything that did."""
    return (
        *_bypassed(recorder, called, used),
        *_without_fast_path(recorder, called),
        *_uncounted(recorder),
        *_spoiled(recorder),
    )


def _bypassed(recorder: SpanRecorder, called: set[Module], used: set[str]) -> list[str]:
    """Say which modules have no row though what is in them ran: somebody called their forward() or parts."""
    passed_over = [
        path
        for path, module in recorder.paths
        if path in used and module not in called and not isinstance(module, _CONTAINERS)
        and type(module).forward is not Module.forward
    ]  # fmt: skip
    if not passed_over:
        return []
    names = ", ".join(path or "the model itself" for path in passed_over[:5])
    rest = f" and {len(passed_over) - 5} more" if passed_over[5:] else ""
    return [
        f"no row for {names}{rest}: parts of it ran, but it was not called itself (.forward() runs no hooks)"
    ]


def _uncounted(recorder: SpanRecorder) -> list[str]:
    """Say what ran outside of any call, and so is in no row."""
    if not recorder.macs_outside:
        return []
    return [f"{recorder.macs_outside:,} MACs more ran outside of any call (a backward pass, say)"]


def _without_fast_path(recorder: SpanRecorder, called: set[Module]) -> list[str]:
    """Say that hooks turn off the fused kernels of torch's own encoder: the last bits may differ from it."""
    fused: tuple[type[Module], ...] = (torch.nn.TransformerEncoder, torch.nn.TransformerEncoderLayer)
    if recorder.measures.ops:
        fused = (*fused, torch.nn.MultiheadAttention)
    names = sorted({type(one).__name__ for one in called if isinstance(one, fused) and not one.training})
    if not names:
        return []
    return [
        f"the fused fast path of {' and '.join(names)} is off while it is traced: its parts run one by one"
    ]


def _spoiled(recorder: SpanRecorder) -> list[str]:
    """Name the first calls that made NaN, or an infinity, of finite numbers."""
    notes = []
    for kind in ("NaN", "Inf"):
        # Those inside end first: the innermost one is to blame.
        made = [span for span in recorder.spans if span.made == kind]
        if not made:
            continue
        first = min(made, key=lambda span: span.start + span.seconds)
        held = [
            name
            for name, parameter in first.module.named_parameters(recurse=False)
            if not parameter.is_meta and not bool(parameter.isfinite().all())
        ]
        because = f", since its {held[0]} holds some" if held else ""
        notes.append(
            f"{first.path or 'the model itself'} is the first to make {kind} of finite numbers{because}"
        )
    return notes
