"""Helpers that several test files share."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

import gptrace
from gptrace.model.build import load
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.record import Explanation, Generation, Trace
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


def assert_same_but_for_rounding(actual: Any, expected: Any, tolerance: float = KERNEL_ROUNDING) -> None:
    """Compare two JSON values: floats to `tolerance`, absolute and relative, and everything else exactly."""
    if isinstance(expected, float) and isinstance(actual, float):
        assert actual == pytest.approx(expected, abs=tolerance, rel=tolerance, nan_ok=True)
    elif isinstance(expected, dict) and isinstance(actual, dict):
        assert list(actual) == list(expected)
        for key, value in expected.items():
            assert_same_but_for_rounding(actual[key], value, tolerance)
    elif isinstance(expected, list) and isinstance(actual, list):
        assert len(actual) == len(expected)
        for item, other in zip(actual, expected, strict=True):
            assert_same_but_for_rounding(item, other, tolerance)
    else:
        assert actual == expected


def verdicts(found: Explanation) -> dict[str, list[bool | None]]:
    return {topic.topic: [claim.holds for claim in topic.claims] for topic in found.topics}


def flat(held: dict[str, list[bool | None]]) -> list[bool | None]:
    return [holds for of_topic in held.values() for holds in of_topic]


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
    dropped = ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS")
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


def ids_of(found: Generation) -> list[int]:
    return [token.id for token in found.results[0].tokens]


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
