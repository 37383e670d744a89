"""Two traces → their differences: calls added, removed and changed, and the first call whose values differ.

A call is changed, too, where its steps differ: the operations and calls that it makes, in order.

Works on records without torch, so that either trace may have been kept in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import zip_longest

import gptrace
from gptrace.errors import OptionError
from gptrace.record import (
    Change,
    ChangedCall,
    Difference,
    Mesh,
    ModuleCall,
    OpCall,
    ParameterCount,
    Statistics,
    TensorSpec,
    Trace,
    TraceSummary,
    ValueDifference,
)
from gptrace.record.mesh import counted

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

    Values are compared by the statistics of outputs, where both traces have them: two numbers agree if their
    difference is at most atol + rtol * the larger magnitude (for means: that, or the standard deviation).

    a, b   the two traces
    names  their names in the report, such as file names
    rtol   relative tolerance, at least 0
    atol   absolute tolerance, at least 0

    A tolerance that is negative or not finite is an OptionError.
    """
    _check_tolerances(rtol, atol)
    calls_a, calls_b = ({(call.path, call.call): call for call in trace.calls} for trace in (a, b))
    pairs = [(call, calls_b[key]) for key, call in calls_a.items() if key in calls_b]
    have_operations = all("ops" in measured(trace) for trace in (a, b))
    changed = _changed_calls(a, b, pairs, with_operations=have_operations)
    removed = tuple(_changed_call(call) for key, call in calls_a.items() if key not in calls_b)
    added = tuple(_changed_call(call) for key, call in calls_b.items() if key not in calls_a)
    values = _compare_values(pairs, b, same_prompts=_ids(a) == _ids(b), rtol=rtol, atol=atol)
    return Difference(
        versions={"gptrace": gptrace.__version__},
        same=not (removed or added or changed or values.first_apart),
        settings=tuple(_settings(a, b)),
        a=TraceSummary(names[0], a.model.name, len(a.calls)),
        b=TraceSummary(names[1], b.model.name, len(b.calls)),
        removed=removed,
        added=added,
        changed=changed,
        values=values,
        operations_compared=sum(len(call.ops) for call, _ in pairs) if have_operations else None,
        without_statistics=tuple(
            name for name, trace in zip(names, (a, b), strict=True) if "statistics" not in measured(trace)
        ),
    )


def _check_tolerances(rtol: float, atol: float) -> None:
    for option, value in (("--rtol", rtol), ("--atol", atol)):
        if not 0 <= value < float("inf"):
            raise OptionError(f"{option} is {value}", "it must be a number of at least 0")


def _changed_calls(
    a: Trace, b: Trace, pairs: Sequence[tuple[ModuleCall, ModuleCall]], *, with_operations: bool
) -> tuple[ChangedCall, ...]:
    """Return those of the calls that both traces have in which something differs."""
    keys = {(call.path, call.call) for call, _ in pairs}
    steps_a, steps_b = (_steps(trace, keys, with_operations=with_operations) for trace in (a, b))
    in_both = [
        _changed_call(
            call_b,
            [
                *_changes(call_a, call_b),
                *_exceptions(a, b, call_a, call_b),
                *_step_changes(steps_a[call_a.index], steps_b[call_b.index]),
            ],
        )
        for call_a, call_b in pairs
    ]
    return tuple(call for call in in_both if call.changes)


def measured(trace: Trace) -> set[str]:
    """Return the measures that a trace holds and that a comparison needs: "macs", "ops", "statistics"."""
    measures = {"macs"} if any(call.macs is not None for call in trace.calls) else set()
    if any(spec.statistics is not None for call in trace.calls for spec in call.outputs):
        measures.add("statistics")
    if trace.totals.ops is not None:
        measures.add("ops")
    return measures


def _ids(trace: Trace) -> list[Sequence[int]]:
    return [prompt.ids for prompt in trace.inputs]


def _changed_call(call: ModuleCall, changes: Sequence[Change] = ()) -> ChangedCall:
    return ChangedCall(call.path, call.call, call.type, tuple(changes))


def _settings(a: Trace, b: Trace) -> Iterator[Change]:
    """Yield the inputs of the two traces that differ: prompts, weights, configuration, mesh."""
    if _ids(a) != _ids(b):
        texts = (", ".join(str(prompt.text) for prompt in trace.inputs) for trace in (a, b))
        yield Change("prompt", *(text[:_LONGEST_SETTING] for text in texts))
    for group in ("weights", "config"):
        settings_a, settings_b = (getattr(trace.model, group) or {} for trace in (a, b))
        for key in dict.fromkeys([*settings_a, *settings_b]):
            if settings_a.get(key) != settings_b.get(key):
                values = (str(settings.get(key, "–")) for settings in (settings_a, settings_b))
                yield Change(f"{group} {key}", *(value[:_LONGEST_SETTING] for value in values))
    settings_a, settings_b = (_mesh_settings(trace.mesh) for trace in (a, b))
    for key in dict.fromkeys([*settings_a, *settings_b]):
        if settings_a.get(key) != settings_b.get(key):
            yield Change(key, settings_a.get(key, "–"), settings_b.get(key, "–"))


def _mesh_settings(mesh: Mesh | None) -> dict[str, str]:
    if mesh is None:
        return {}
    return {
        "mesh": ",".join(f"{name}={size}" for name, size in mesh.dims.items()),
        "rank": str(mesh.rank),
        "backend": mesh.backend,
        "plan": mesh.plan or "–",
    }


def _changes(a: ModuleCall, b: ModuleCall) -> list[Change]:
    facts = [(name, fact(a), fact(b)) for name, fact in _FACTS.items()]
    # None: not measured in both
    changes = [Change(name, x, y) for name, x, y in facts if x != y and x is not None and y is not None]
    following = _following_from_number(a.parameters, b.parameters)
    return [change for change in changes if change.what not in following]


def _following_from_number(a: ParameterCount, b: ParameterCount) -> set[str]:
    """Return the facts of parameters that can differ only because their number does."""
    following = set[str]()
    if a.bytes * b.total == b.bytes * a.total:  # as many bytes for each
        following.add("parameter bytes")
    if a.trainable == a.total and b.trainable == b.total:
        following.add("trainable parameters")
    return following


def _exceptions(a: Trace, b: Trace, call_a: ModuleCall, call_b: ModuleCall) -> list[Change]:
    """Return the classes of two exceptions that the same call raised, where they differ."""
    if not (call_a.failed and call_b.failed and a.error and b.error) or a.error.type == b.error.type:
        return []
    is_innermost = a.error.path == call_a.path or b.error.path == call_b.path
    return [Change("exception", a.error.type, b.error.type)] if is_innermost else []


def _steps(
    trace: Trace, in_both: AbstractSet[tuple[str, int]], *, with_operations: bool
) -> dict[int, list[str]]:
    """Return what each call does, in order, by index of the call: calls of modules, and operations.

    Calls that one trace alone has are left out: they are listed as such.
    """
    steps: dict[int, list[tuple[int, bool, str]]] = {call.index: [] for call in trace.calls}
    for call in trace.calls:
        if call.parent is not None and (call.path, call.call) in in_both:
            # Not by the number of all calls: another trace may have more.
            number = f" ({call.call})" if call.call > 1 else ""
            steps[call.parent].append((call.index, True, f"call of {call.path}{number}"))
        if with_operations:
            steps[call.index] += [(op.place, False, _operation_text(op)) for op in call.ops]
    # An operation's place is the index of the next call: it stands before the call of that index.
    return {
        index: [text for _, _, text in sorted(of_call, key=lambda step: step[:2])]
        for index, of_call in steps.items()
    }


def _operation_text(op: OpCall) -> str:
    inputs, outputs = (
        ", ".join(f"{list(spec.shape)} {spec.dtype}" for spec in side) for side in (op.inputs, op.outputs)
    )
    return f"{op.name}: {inputs} → {outputs or 'raised'}"


def _step_changes(a: Sequence[str], b: Sequence[str]) -> list[Change]:
    """Return the first step of a call that differs; the steps after it may only follow from that."""
    pairs = zip_longest(a, b, fillvalue="–")
    first = next(((number, x, y) for number, (x, y) in enumerate(pairs, start=1) if x != y), None)
    return [] if first is None else [Change(f"step {first[0]}", first[1], first[2])]


def _shapes(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(str(list(spec.shape)) for spec in specs) or "no tensor"


def _local_shapes(call: ModuleCall, specs: Sequence[TensorSpec]) -> str | None:
    """Return the shapes of this rank's parts of tensors, where the model is spread."""
    if call.here is None:
        return None
    return ", ".join(str(list(spec.local_shape or spec.shape)) for spec in specs) or "no tensor"


def _messages(call: ModuleCall) -> str | None:
    if call.here is None:
        return None
    texts = [
        f"{each.kind} {each.bytes:,} B × {each.count}, {each.mesh_dim or f'{each.group_size} ranks'}"
        for each in counted(call.here.traffic)
    ]
    return "; ".join(sorted(texts)) or "no message"


def _of_this_rank(fact: str) -> Callable[[ModuleCall], str | None]:
    def value(call: ModuleCall) -> str | None:
        number = None if call.here is None else getattr(call.here, fact)
        return None if number is None else f"{number:,}"

    return value


def _one_or_each(facts: Iterator[str]) -> str:
    """Return the fact that all tensors share, or that of each, in order."""
    each = list(facts)
    return ", ".join(each if len(set(each)) > 1 else each[:1])


_FACTS: dict[str, Callable[[ModuleCall], str | None]] = {
    "type": lambda call: call.type,
    "input": lambda call: _shapes(call.inputs),
    "output": lambda call: _shapes(call.outputs),
    "input dtype": lambda call: _one_or_each(spec.dtype for spec in call.inputs),
    "output dtype": lambda call: _one_or_each(spec.dtype for spec in call.outputs),
    "device": lambda call: _one_or_each(spec.device for spec in call.outputs),
    "parameters": lambda call: f"{call.parameters.total:,}",
    "parameter bytes": lambda call: f"{call.parameters.bytes:,}",
    "trainable parameters": lambda call: f"{call.parameters.trainable:,}",
    "MACs": lambda call: None if call.macs is None else f"{call.macs:,}",
    "input here": lambda call: _local_shapes(call, call.inputs),
    "output here": lambda call: _local_shapes(call, call.outputs),
    "parameters here": _of_this_rank("parameters"),
    "MACs here": _of_this_rank("macs"),
    "messages": _messages,
    "raised": lambda call: "yes" if call.failed else "no",
}


def _compare_values(
    pairs: Sequence[tuple[ModuleCall, ModuleCall]], b: Trace, *, same_prompts: bool, rtol: float, atol: float
) -> ValueDifference:
    compared = 0
    first: tuple[ModuleCall, list[Change]] | None = None
    for call_a, call_b in pairs:
        statistics = [
            (spec_b.name, spec_a.statistics, spec_b.statistics)
            for spec_a, spec_b in zip(call_a.outputs, call_b.outputs, strict=False)
            if spec_a.statistics and spec_b.statistics
        ]
        compared += bool(statistics)
        apart = [change for outputs in statistics for change in _values_apart(*outputs, rtol, atol)]
        # A call inside the first one so far ended before it.
        if apart and (first is None or _is_inside(first[0], call_b, b)):
            first = (call_b, apart)
    first_apart = None if first is None else _changed_call(*first)
    return ValueDifference(same_prompts, compared, rtol, atol, first_apart)


def _values_apart(output: str, a: Statistics, b: Statistics, rtol: float, atol: float) -> Iterator[Change]:
    """Yield the statistics of an output that differ by more than the tolerances."""
    for name in _STATISTICS:
        x, y = getattr(a, name), getattr(b, name)
        if x is None or y is None:
            agree = x is y
        else:
            # The mean of numbers on both sides of 0 says little by itself.
            deviation = max(a.std or 0.0, b.std or 0.0) if name == "mean" else 0.0
            agree = abs(x - y) <= atol + rtol * max(abs(x), abs(y), deviation)
        if not agree:
            yield Change(f"{name} of {output}", *("–" if v is None else f"{v:.7g}" for v in (x, y)))


def _is_inside(outer: ModuleCall, call: ModuleCall, trace: Trace) -> bool:
    parent = call.parent
    while parent is not None and parent != outer.index:
        parent = trace.calls[parent].parent
    return parent is not None
