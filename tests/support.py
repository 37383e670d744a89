"""Helpers that several test files share."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec.structs import asdict, replace

import gptrace
from gptrace.model.build import load
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.record import Candidate, Explanation, Generation, Trace
from gptrace.record.schema import json_schema

nn = torch.nn


# Seconds after which a process is taken to hang. No test measures time: this only ends a wait that would last
# for ever, and is many times what a busy machine needs.
HANG_TIMEOUT = 300

IDS = torch.tensor([[15496, 11, 314, 716]])  # "Hello, I am"


# How far the same float32 figure may be off between two loads of the same weights, two batch shapes or two
# ways through a model. A matrix product adds up its terms in an order that the kernel chooses, by the
# processor, the shape and the place in memory where an array begins; each order rounds differently, by up to
# 2**-24 of the running sum for each term. Logits of the models under test are below 10, so that errors stay
# near 1e-6, while weights that are off by one part in a thousand are still noticed.
KERNEL_ROUNDING = 1e-5
# The same for models with weights ten times as large as usual: so are their logits and the errors of these.
KERNEL_ROUNDING_OF_LARGE_LOGITS = 1e-4


def assert_same_but_for_rounding(actual: Any, expected: Any, tolerance: float = KERNEL_ROUNDING) -> None:
    """Compare JSON values or records: floats to `tolerance`, absolute or relative, all else exactly."""
    if isinstance(expected, float) and isinstance(actual, float):
        assert actual == pytest.approx(expected, abs=tolerance, rel=tolerance, nan_ok=True)
    elif isinstance(expected, dict) and isinstance(actual, dict):
        assert list(actual) == list(expected)
        assert_same_but_for_rounding([*actual.values()], [*expected.values()], tolerance)
    elif isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        assert len(actual) == len(expected)
        for item, other in zip(actual, expected, strict=True):
            assert_same_but_for_rounding(item, other, tolerance)
    elif isinstance(expected, msgspec.Struct):
        assert type(actual) is type(expected)
        assert_same_but_for_rounding(asdict(actual), asdict(expected), tolerance)
    else:
        assert actual == expected


def logits_by_id(candidates: Iterable[Candidate]) -> dict[int, float]:
    return {candidate.token.id: candidate.logit for candidate in candidates}


def assert_top_logits(
    top: Mapping[int, float], logits: torch.Tensor, tolerance: float = KERNEL_ROUNDING
) -> None:
    """Check that `top`, the logit of each candidate in order, holds the greatest of `logits`, a vector.

    Candidates whose logits are closer than `tolerance` may stand in either order.
    """
    assert top
    assert [*top.values()] == pytest.approx(logits.topk(len(top)).values.tolist(), abs=tolerance)
    assert [*top.values()] == pytest.approx(logits[[*top]].tolist(), abs=tolerance)


def assert_same_candidates(actual: Iterable[Candidate], expected: Iterable[Candidate]) -> None:
    """Compare candidates from two loads or two batches; near ties may stand in either order."""
    logits, expected_logits = logits_by_id(actual), logits_by_id(expected)
    assert [*logits.values()] == pytest.approx([*expected_logits.values()], abs=KERNEL_ROUNDING)
    last = min(expected_logits.values())
    for token_id, logit in logits.items():  # only a near tie of the last one may have no counterpart
        assert logit == pytest.approx(expected_logits.get(token_id, last), abs=KERNEL_ROUNDING)


def assert_rank(rank: int, logits: torch.Tensor, token_id: int, tolerance: float = KERNEL_ROUNDING) -> None:
    """Check the rank of a token among `logits`, a vector; near ties may stand in either order."""
    least = 1 + int((logits > logits[token_id] + tolerance).sum())
    most = int((logits >= logits[token_id] - tolerance).sum())
    assert least <= rank <= most


def without_rounding_errors(text: str) -> str:
    """Replace differences that are rounding errors themselves, as `1.9e-06` or `differ by 0`, by a word."""
    return re.sub(r"\b[0-9.]+e-[0-9]+|(?<=\bby )0\b(?!\.)|(?<=相差 )0\b(?!\.)", "tiny", text)


_FIGURE = re.compile(r"(-?[0-9]+\.[0-9]+(?:e[+-]?[0-9]+)?)")


def agree_to_the_last_digit(actual: str, expected: str) -> bool:
    """Compare two texts: the last digit of a figure with decimals may differ by one, and nothing else.

    A figure that is rounded for people may lie at the border between two digits, and kernel rounding then
    decides which one is shown.
    """
    parts, expected_parts = _FIGURE.split(actual), _FIGURE.split(expected)
    if parts[::2] != expected_parts[::2]:
        return False
    return all(
        abs(float(figure) - float(other)) < 1.5 * _last_digit(other)
        for figure, other in zip(parts[1::2], expected_parts[1::2], strict=True)
    )


def _last_digit(figure: str) -> float:
    mantissa, _, exponent = figure.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def verdicts(explanation: Explanation) -> dict[str, list[bool | None]]:
    return {topic.topic: [claim.holds for claim in topic.claims] for topic in explanation.topics}


def flat(marks: dict[str, list[bool | None]]) -> list[bool | None]:
    return [holds for of_topic in marks.values() for holds in of_topic]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def is_error(self, code: int, *parts: str, shows: str | None = None) -> None:
        """Check for exactly one error line and one hint line, holding `parts`.

        On stdout is nothing, or a table that holds `shows`: a forward pass is shown up to where it broke.
        """
        lines = self.err.splitlines()
        assert self.code == code, self.err
        assert self.out == "" if shows is None else shows in self.out
        assert [line.split(":")[0] for line in lines] == ["error", "hint"], self.err
        for part in parts:
            assert part in self.err, self.err


Cli = Callable[..., Outcome]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process of its own: buffered output, no colour wishes, no defaults of ours."""
    dropped = ("COLUMNS", "LINES", "PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS")
    kept = {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith("GPTRACE_")}
    return kept | changes


def build_preset(name: str) -> GPTModel:
    module = load(select_model(name)).module
    assert isinstance(module, GPTModel)
    return module


def reproducible(trace: Trace) -> Trace:
    """A trace without what differs from run to run: times and versions."""
    return replace(
        trace,
        versions={"gptrace": "0", "torch": "0", "python": "0"},
        calls=tuple(replace(call, seconds=0.0) for call in trace.calls),
        totals=replace(trace.totals, seconds=0.0123),
    )


def fingerprint(module: torch.nn.Module) -> str:
    """A hash of everything of a module and of torch that a trace must leave as it was."""
    digest = hashlib.sha256()
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name} {tensor.dtype} {tensor.requires_grad} {id(tensor)}".encode())
        digest.update(tensor.detach().numpy().tobytes())
    for path, submodule in module.named_modules():
        hooks = {name: value for name, value in vars(submodule).items() if "hook" in name}
        digest.update(repr((path, submodule.training, hooks, sorted(vars(submodule)))).encode())
    digest.update(torch.get_rng_state().numpy().tobytes())
    digest.update(f"{torch.is_grad_enabled()} {torch.is_inference_mode_enabled()}".encode())
    return digest.hexdigest()


def measured(module: nn.Module, *inputs: Any, measure: str = "macs") -> gptrace.Trace:
    with torch.no_grad(), gptrace.watch(module, measure=[measure]) as trace:
        module(*inputs)
    return trace


def ids_of(generation: Generation) -> list[int]:
    return [token.id for token in generation.results[0].tokens]


def to_json(outcome: Outcome) -> dict[str, Any]:
    """Return the JSON that a command printed, after it ended well."""
    assert outcome.code == 0, outcome.err
    whole: dict[str, Any] = json.loads(outcome.out)
    return whole


def traced(module: nn.Module, *inputs: Any, **named: Any) -> gptrace.Trace:
    """Trace a call; check that the table has a row for each call, and that the JSON is as its schema says."""
    with torch.no_grad(), gptrace.watch(module) as trace:
        module(*inputs, **named)
    jsonschema.validate(json.loads(trace.to_json()), json_schema("trace"))
    assert "\x1b" not in str(trace)
    return trace
