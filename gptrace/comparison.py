"""Two traces → where they part: calls added, removed and changed, and the first whose values differ.

Works on traces as JSON holds them, so that one may be a file of long ago. No torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gptrace
from gptrace.errors import InputError, OptionError
from gptrace.printable import Printable

Call = Mapping[str, Any]
Key = tuple[str, int]  # path, and number of the call

_SCHEMA = "gptrace.trace/1"
_STATISTICS = ("mean", "std", "min", "max", "nan", "infinite")
DEFAULT_RTOL, DEFAULT_ATOL = 1e-4, 1e-6


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that is another in the second trace."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class ChangedCall:
    """A call of two traces, by path and number, and what of it changed."""

    path: str
    call: int
    type: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """Which trace was compared: where it was, its model, and how many calls it has."""

    name: str
    model: str
    calls: int


@dataclass(frozen=True, slots=True)
class Difference(Printable):
    """Where two traces part.

    `settings` are what the two were given: prompts, weights, configuration; no difference by themselves.
    `compared` counts the calls whose values both traces have statistics of; `first_apart` is the first of
    them, in the order in which calls end, that differs beyond the tolerances.
    """

    versions: dict[str, str]
    a: TraceSummary
    b: TraceSummary
    removed: tuple[ChangedCall, ...]
    added: tuple[ChangedCall, ...]
    changed: tuple[ChangedCall, ...]
    settings: tuple[Change, ...]
    same_prompts: bool
    compared: int
    first_apart: ChangedCall | None
    rtol: float
    atol: float

    @property
    def is_same(self) -> bool:
        """Whether nothing parts them."""
        return not (self.removed or self.added or self.changed or self.first_apart)


def read_trace(text: str, name: str) -> dict[str, Any]:
    """Read what `gptrace run --json` printed; raise InputError for anything else."""
    hint = "make it with: gptrace run … --json --output trace.json"
    try:
        trace = json.loads(text, parse_constant=lambda _: None)  # what older ones wrote as NaN
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON: {error}", hint) from None
    schema = trace.get("schema") if isinstance(trace, dict) else None
    if schema != _SCHEMA:
        raise InputError(f"{name} is no trace: its schema is {schema!r}, not {_SCHEMA!r}", hint)
    calls = trace.get("calls")
    assert isinstance(trace, dict)
    needed = ("path", "call", "type", "inputs", "outputs", "parameters")
    if not isinstance(calls, list) or not all(
        isinstance(call, dict) and all(key in call for key in needed) for call in calls
    ):
        raise InputError(f"{name} is a trace with calls that lack something", hint)
    return trace


def read_trace_file(path: Path) -> dict[str, Any]:
    """Read a trace from a file."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder", "give a file that holds a trace, or - for stdin")
        return read_trace(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", "give a file that holds a trace") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: {reason}", "give a file that holds a trace, or - for stdin") from None


def compare(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    *,
    names: tuple[str, str] = ("A", "B"),
    rtol: float = DEFAULT_RTOL,
    atol: float = DEFAULT_ATOL,
) -> Difference:
    """Return where two traces part. Calls are matched by path and number.

    Values are compared by their statistics, where both have them: two numbers agree when they differ by no
    more than atol + rtol times the larger of them (for a mean: or of the spread around it).
    """
    for option, value in (("--rtol", rtol), ("--atol", atol)):
        if not 0 <= value < float("inf"):
            raise OptionError(f"{option} is {value}", "it must be a number from 0 up")
    with _damage_told():
        return _difference(a, b, names, rtol, atol)


def measured(trace: Mapping[str, Any]) -> set[str]:
    """Return which measures a trace holds: "macs", "statistics"."""
    with _damage_told():
        facts = {"macs" for call in trace["calls"] if "macs" in call}
        specs = [spec for call in trace["calls"] for spec in call["outputs"]]
        return facts | {"statistics" for spec in specs if "statistics" in spec}


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn whatever a trace that was tampered with leads to into one error that says so."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, IndexError) as error:
        raise InputError(
            f"one of the traces is damaged: {type(error).__name__}: {error}",
            "make it again with: gptrace run … --json --output trace.json",
        ) from None


def _difference(
    a: Mapping[str, Any], b: Mapping[str, Any], names: tuple[str, str], rtol: float, atol: float
) -> Difference:
    calls_a, calls_b = _by_key(a), _by_key(b)
    changed = []
    compared, first_apart = 0, None
    for key, call in calls_a.items():
        other = calls_b.get(key)
        if other is None:
            continue
        changes = tuple(_changes(call, other))
        if changes:
            changed.append(ChangedCall(*key, str(other["type"]), changes))
        apart, was_compared = _values_apart(call, other, rtol, atol)
        compared += was_compared
        if apart and (first_apart is None or _ended_before(other, first_apart[1], b)):
            first_apart = (ChangedCall(*key, str(other["type"]), apart), other)
    return Difference(
        versions={"gptrace": gptrace.__version__},
        a=_summary(a, names[0]),
        b=_summary(b, names[1]),
        removed=tuple(
            ChangedCall(*key, str(call["type"]), ()) for key, call in calls_a.items() if key not in calls_b
        ),
        added=tuple(
            ChangedCall(*key, str(call["type"]), ()) for key, call in calls_b.items() if key not in calls_a
        ),
        changed=tuple(changed),
        settings=tuple(_settings(a, b)),
        same_prompts=_prompts(a) == _prompts(b),
        compared=compared,
        first_apart=first_apart[0] if first_apart else None,
        rtol=rtol,
        atol=atol,
    )


def _by_key(trace: Mapping[str, Any]) -> dict[Key, Call]:
    found = {(call["path"], call["call"]): call for call in trace["calls"]}
    if len(found) < len(trace["calls"]):
        raise ValueError("a call is there twice")
    return found


def _summary(trace: Mapping[str, Any], name: str) -> TraceSummary:
    model = trace.get("model", {})
    return TraceSummary(name, str(model.get("name", "")), len(trace["calls"]))


def _prompts(trace: Mapping[str, Any]) -> list[object]:
    return [prompt.get("ids") for prompt in trace.get("inputs", [])]


def _settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Change]:
    """Yield what the two traces were given that is not the same."""
    if _prompts(a) != _prompts(b):
        texts = [[str(prompt.get("text")) for prompt in trace.get("inputs", [])] for trace in (a, b)]
        yield Change("prompt", *(", ".join(each)[:80] for each in texts))
    for group in ("weights", "config"):
        one, two = ((trace.get("model") or {}).get(group) or {} for trace in (a, b))
        for key in dict.fromkeys([*one, *two]):
            if one.get(key) != two.get(key):
                yield Change(f"{group} {key}", str(one.get(key, "–"))[:80], str(two.get(key, "–"))[:80])


def _changes(a: Call, b: Call) -> Iterator[Change]:
    for what, of in _FACTS.items():
        before, after = of(a), of(b)
        if before != after and not (what == "MACs" and None in (before, after)):  # not measured in both
            yield Change(what, str(before), str(after))


def _shapes(side: str) -> Any:
    return lambda call: ", ".join(str(list(spec["shape"])) for spec in call[side]) or "no tensor"


def _fact(side: str, fact: str) -> Any:
    return lambda call: ", ".join(dict.fromkeys(str(spec[fact]) for spec in call[side]))


_FACTS: dict[str, Any] = {
    "type": lambda call: call["type"],
    "input": _shapes("inputs"),
    "output": _shapes("outputs"),
    "input dtype": _fact("inputs", "dtype"),
    "output dtype": _fact("outputs", "dtype"),
    "device": _fact("outputs", "device"),
    "parameters": lambda call: f"{call['parameters']['total']:,}",
    "MACs": lambda call: f"{call['macs']:,}" if "macs" in call else None,
    "raised": lambda call: "yes" if call.get("failed") else "no",
}


def _values_apart(a: Call, b: Call, rtol: float, atol: float) -> tuple[tuple[Change, ...], bool]:
    """Return the statistics of the outputs that differ, and whether there were any to compare."""
    apart, compared = [], False
    for before, after in zip(a["outputs"], b["outputs"], strict=False):
        one, two = before.get("statistics"), after.get("statistics")
        if not one or not two:
            continue
        compared = True
        for name in _STATISTICS:
            if not _agree(name, one, two, rtol, atol):
                apart.append(Change(f"{name} of {after['name']}", _number(one[name]), _number(two[name])))
    return tuple(apart), compared


def _agree(name: str, a: Mapping[str, Any], b: Mapping[str, Any], rtol: float, atol: float) -> bool:
    one, two = a.get(name), b.get(name)
    if one is None or two is None:
        return one is two
    scale = max(abs(one), abs(two))
    if name == "mean":  # of numbers on both sides of 0 it says little by itself
        scale = max(scale, *(abs(each["std"] or 0) for each in (a, b)))
    return bool(abs(one - two) <= atol + rtol * scale)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.7g}"


def _ended_before(call: Call, other: Call, trace: Mapping[str, Any]) -> bool:
    """Tell whether a call ended before another: one inside the other does."""
    calls = trace["calls"]
    parent = call.get("parent")
    before = len(calls)
    while isinstance(parent, int) and 0 <= parent < before:  # a parent stands before its children
        if calls[parent] is other:
            return True
        before, parent = parent, calls[parent].get("parent")
    return False
