"""Notes on a trace: rows that it cannot have, and where NaN begins."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import short_place
from gptrace.tracing.diagnosis.returned import UNRUN
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.token_lanes import MixingView
from gptrace.wording import enumerated

Module = torch.nn.Module
# Containers have no forward, so they are never called.
_CONTAINERS = (torch.nn.ModuleList, torch.nn.ModuleDict, torch.nn.ParameterList, torch.nn.ParameterDict)


def trace_notes(
    recorder: SpanRecorder, called: set[Module], used: set[str], replaced: set[str]
) -> tuple[str, ...]:
    """Return the notes.

    `called` are the modules that ran, `used` the paths of these and of their parents, `replaced` the paths
    that got another module meanwhile.
    """
    macs = recorder.charges.macs_outside
    notes = (
        _replaced_modules(replaced),
        _compiled_modules(recorder),
        _modules_without_row(recorder, called, used - replaced - set(recorder.compiled)),
        _without_fast_path(recorder, called),
        _without_operations(recorder) if recorder.lines is None else "",
        _unrun_modules(recorder),
        f"{macs:,} more MACs ran outside of any call, for example in a backward pass" if macs else "",
        _first_nonfinite(recorder, "NaN"),
        _first_nonfinite(recorder, "Inf"),
    )
    return tuple(filter(None, notes))


def notes_on_lanes(views: Sequence[MixingView], *, leaks: bool, check: str) -> list[str]:
    """Say that a model mixes tokens, or lets later ones through; `check` is the command that says more.

    Tokens that are mixed leak as well, so there is one note at most.
    """
    if views:
        names = ", ".join(dict.fromkeys(view.name for view in views))
        places = enumerated(_places(views), 3)
        return [
            f"{names} at {places} mixes the numbers of several tokens: such an axis is not called "
            f"seq_len; {check} says what is wrong there"
        ]
    if leaks:
        return [f"later tokens change what this model returns for earlier ones; {check} names the line"]
    return []


def _places(views: Sequence[MixingView]) -> list[str]:
    """Return the lines, in order: the first of a file with its path, the others as numbers alone."""
    places: list[str] = []
    last_file = ""
    for view in views:
        file, _, line = view.source.rpartition(":")
        places.append(line if file == last_file else short_place(file, int(line)))
        last_file = file
    return places


def _replaced_modules(replaced: set[str]) -> str:
    if not replaced:
        return ""
    return (
        f"replaced while the trace ran: {enumerated(sorted(replaced), 5)}; calls of a new module have no "
        "row, since only modules that were there at the start are watched"
    )


def _compiled_modules(recorder: SpanRecorder) -> str:
    if not recorder.compiled:
        return ""
    paths = [path or "the model itself" for path in sorted(recorder.compiled)]
    return f"compiled while the trace ran: {enumerated(paths, 5)}; what they ran since then has no row"


def _modules_without_row(recorder: SpanRecorder, called: set[Module], used: set[str]) -> str:
    """Name modules that have no row although submodules ran: their forward or submodules were called."""
    paths = [
        path or "the model itself"
        for path, module in recorder.paths
        if path in used and module not in called and not isinstance(module, _CONTAINERS)
        and type(module).forward is not Module.forward
    ]  # fmt: skip
    if not paths:
        return ""
    return (
        f"no row for {enumerated(paths, 5)}: submodules ran, but nothing called the module itself; "
        "module(x) is traced, module.forward(x) skips the hooks"
    )


def _without_fast_path(recorder: SpanRecorder, called: set[Module]) -> str:
    """Report that torch's encoder runs without its fused kernels, which torch skips where hooks are set."""
    fused: tuple[type[Module], ...] = (torch.nn.TransformerEncoder, torch.nn.TransformerEncoderLayer)
    names = {type(module).__name__ for module in called if isinstance(module, fused) and not module.training}
    if not names:
        return ""
    return (
        f"traced without the fused fast path of {', '.join(sorted(names))}: the submodules run one by one, "
        "and the last digits may differ"
    )


def _without_operations(recorder: SpanRecorder) -> str:
    """Report the modules whose operations are not listed: torch would run other kernels if they were."""
    paths = dict.fromkeys(
        span.path or "the model itself" for span in recorder.spans if span.suspends_operations
    )
    if not paths:
        return ""
    return f"operations are not listed inside {enumerated(list(paths), 5)}, which may run by fused kernels"


def _unrun_modules(recorder: SpanRecorder) -> str:
    """Name the modules whose forward has not run. That of the root is told where its logits are missing."""
    paths = dict.fromkeys(
        span.path for span in recorder.spans if span.returned_class in UNRUN and span.parent is not None
    )
    if not paths:
        return ""
    return (
        "forward() is declared with async def or holds yield, so it has not run when it returns: "
        f"{enumerated(list(paths), 5)}; use plain def and return"
    )


def _first_nonfinite(recorder: SpanRecorder, kind: str) -> str:
    """Name the first call that turned finite inputs into NaN, or into infinities."""
    spans = [span for span in recorder.spans if span.introduced == kind]
    if not spans:
        return ""
    first = min(spans, key=lambda span: span.start + span.seconds)  # an inner call ends before its parent
    nonfinite = [
        name
        for name, parameter in first.module.named_parameters(recurse=False)
        if not parameter.is_meta and not bool(parameter.isfinite().all())
    ]
    reason = f"; its {nonfinite[0]} is not finite" if nonfinite else ""
    return f"{first.path or 'the model itself'} is the first to turn finite inputs into {kind}{reason}"
