"""Two traces → their differences: calls added, removed and changed, and the first call whose values differ.

Works on records, so that either trace may have been kept in a file. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import gptrace
from gptrace.errors import OptionError
from gptrace.record import (
    Change,
    ChangedCall,
    Difference,
    ModuleCall,
    Statistics,
    TensorSpec,
    Trace,
    TraceSummary,
    ValueDifference,
)

Key = tuple[str, int]  # module path, and number of the call

_STATISTICS = ("mean", "std", "min", "max", "nan", "infinite")
_LONGEST_SETTING = 80  # characters
DEFAULT_RTOL, DEFAULT_ATOL = 1e-4, 1e-6


def diff_traces(
    a: Trace,
    b: Trace,
    *,
    names: tuple[str, str] = ("A", "B"),
    rtol: float = DEFAULT_RTOL,
    atol: float = DEFAULT_ATOL,
) -> Difference:
    """Return the differences between two traces. Calls are matched by module path and number.

    Values are compared by the statistics of outputs, where both traces have them: two numbers agree when
    they differ by no more than atol + rtol times the larger of them (for a mean: or of the standard
    deviation).

    Args:
        a: the first trace.
        b: the second trace.
        names: what the report calls the two, such as file names.
        rtol: relative tolerance, at least 0.
        atol: absolute tolerance, at least 0.

    Raises:
        OptionError: a tolerance is negative or not finite.
    """
    for option, value in (("--rtol", rtol), ("--atol", atol)):
        if not 0 <= value < float("inf"):
            raise OptionError(f"{option} is {value}", "it must be a number of at least 0")
    calls_a, calls_b = _by_key(a), _by_key(b)
    pairs = [(call, calls_b[key]) for key, call in calls_a.items() if key in calls_b]
    changed = [
        _changed_call(after, changes) for before, after in pairs if (changes := _changes(before, after))
    ]
    removed = [_changed_call(call, ()) for key, call in calls_a.items() if key not in calls_b]
    added = [_changed_call(call, ()) for key, call in calls_b.items() if key not in calls_a]
    values = _compare_values(pairs, b, same_prompts=_ids(a) == _ids(b), rtol=rtol, atol=atol)
    return Difference(
        versions={"gptrace": gptrace.__version__},
        same=not (removed or added or changed or values.first_apart),
        settings=tuple(_settings(a, b)),
        a=TraceSummary(names[0], a.model.name, len(a.calls)),
        b=TraceSummary(names[1], b.model.name, len(b.calls)),
        removed=tuple(removed),
        added=tuple(added),
        changed=tuple(changed),
        values=values,
    )


def measured(trace: Trace) -> set[str]:
    """Return the measures that a trace holds: "macs", "statistics"."""
    measures = {"macs"} if any(call.macs is not None for call in trace.calls) else set()
    specs = (spec for call in trace.calls for spec in call.outputs)
    return measures | ({"statistics"} if any(spec.statistics is not None for spec in specs) else set())


def _by_key(trace: Trace) -> dict[Key, ModuleCall]:
    return {(call.path, call.call): call for call in trace.calls}


def _ids(trace: Trace) -> list[Sequence[int]]:
    return [prompt.ids for prompt in trace.inputs]


def _changed_call(call: ModuleCall, changes: Sequence[Change]) -> ChangedCall:
    return ChangedCall(call.path, call.call, call.type, tuple(changes))


def _settings(a: Trace, b: Trace) -> Iterator[Change]:
    """Yield the inputs of the two traces that differ: prompts, weights, configuration."""
    if _ids(a) != _ids(b):
        texts = (", ".join(str(prompt.text) for prompt in trace.inputs) for trace in (a, b))
        yield Change("prompt", *(text[:_LONGEST_SETTING] for text in texts))
    for group in ("weights", "config"):
        before, after = (getattr(trace.model, group) or {} for trace in (a, b))
        for key in dict.fromkeys([*before, *after]):
            if before.get(key) != after.get(key):
                values = (str(settings.get(key, "–"))[:_LONGEST_SETTING] for settings in (before, after))
                yield Change(f"{group} {key}", *values)


def _changes(a: ModuleCall, b: ModuleCall) -> list[Change]:
    changes = []
    for name, fact in _FACTS.items():
        before, after = fact(a), fact(b)
        if before != after and None not in (before, after):  # None: not measured in both
            changes.append(Change(name, str(before), str(after)))
    return changes


def _shapes(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(str(list(spec.shape)) for spec in specs) or "no tensor"


def _distinct(facts: Iterator[str]) -> str:
    return ", ".join(dict.fromkeys(facts))


_FACTS: dict[str, Callable[[ModuleCall], str | None]] = {
    "type": lambda call: call.type,
    "input": lambda call: _shapes(call.inputs),
    "output": lambda call: _shapes(call.outputs),
    "input dtype": lambda call: _distinct(spec.dtype for spec in call.inputs),
    "output dtype": lambda call: _distinct(spec.dtype for spec in call.outputs),
    "device": lambda call: _distinct(spec.device for spec in call.outputs),
    "parameters": lambda call: f"{call.parameters.total:,}",
    "MACs": lambda call: None if call.macs is None else f"{call.macs:,}",
    "raised": lambda call: "yes" if call.failed else "no",
}


def _compare_values(
    pairs: Sequence[tuple[ModuleCall, ModuleCall]], b: Trace, *, same_prompts: bool, rtol: float, atol: float
) -> ValueDifference:
    compared = 0
    first: tuple[ModuleCall, list[Change]] | None = None
    for before, after in pairs:
        statistics = [
            (after_spec.name, before_spec.statistics, after_spec.statistics)
            for before_spec, after_spec in zip(before.outputs, after.outputs, strict=False)
            if before_spec.statistics and after_spec.statistics
        ]
        compared += bool(statistics)
        apart = [
            Change(f"{name} of {output}", _number(getattr(one, name)), _number(getattr(other, name)))
            for output, one, other in statistics
            if one is not None and other is not None
            for name in _STATISTICS
            if not _agree(name, one, other, rtol, atol)
        ]
        if apart and (first is None or _is_inside(first[0], after, b)):
            first = (after, apart)
    first_apart = None if first is None else _changed_call(*first)
    return ValueDifference(same_prompts, compared, rtol, atol, first_apart)


def _agree(name: str, a: Statistics, b: Statistics, rtol: float, atol: float) -> bool:
    one, other = getattr(a, name), getattr(b, name)
    if one is None or other is None:
        return one is other
    scale = max(abs(one), abs(other))
    if name == "mean":  # the mean of numbers on both sides of 0 says little by itself
        scale = max(scale, a.std or 0.0, b.std or 0.0)
    return bool(abs(one - other) <= atol + rtol * scale)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.7g}"


def _is_inside(outer: ModuleCall, call: ModuleCall, trace: Trace) -> bool:
    """Tell whether a call was made inside another, and so ended before it."""
    parent = call.parent
    while parent is not None:
        if parent == outer.index:
            return True
        parent = trace.calls[parent].parent
    return False
