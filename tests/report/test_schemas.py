"""Every JSON output against the JSON Schema that `gptrace schema` prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

import gptrace
from gptrace.api import presets
from gptrace.model.quiet_torch import torch
from gptrace.record.schema import json_schema, report_names
from gptrace.report import render


def outputs() -> list[tuple[str, gptrace.Trace | Any]]:
    broken = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(3, 3))
    with pytest.raises(RuntimeError), gptrace.watch(broken) as failed:
        broken(torch.ones(1, 2))
    with gptrace.watch(torch.nn.ReLU()) as empty:
        pass
    beyond_the_tokenizer = gptrace.topk(ids=[1], model="tiny", config={"vocab_size": 60000}, k=100)
    assert None in [candidate.text for candidate in beyond_the_tokenizer.results[0].candidates]
    return [
        ("trace", gptrace.trace(["Hello", "你好 there"], model="tiny", k=3)),
        ("trace", gptrace.trace("Hello", model="tiny", device="meta")),
        ("trace", failed),
        ("trace", empty),
        ("topk", gptrace.topk(["Hello", "你好 there"], model="tiny")),
        ("topk", beyond_the_tokenizer),
        ("topk", gptrace.topk("Hello, 你", model="tiny", positions="all", tokens=[" Paris"])),
        ("topk", gptrace.topk_stream(["a", "", [1, 2]], model="tiny")),
        ("loss", gptrace.loss(["Hello", "你好 there", "a " * 100], model="tiny")),
        ("generate", gptrace.generate("你", model="tiny", max_new_tokens=2, trace=True)),
        ("generate", gptrace.generate(ids=[1], model="tiny", max_new_tokens=2, top_k=3, top_p=0.5)),
        ("lens", gptrace.lens("你好", model="tiny")),
        ("explain", gptrace.explain("Hello, I am", model="tiny")),
        ("explain", gptrace.explain("Hello", model="tiny", lang="zh")),
        ("check", gptrace.check("tiny", only=["causal", "loss-labels"])),
        ("source", gptrace.source("Hello", model="tiny")),
        ("tokens", gptrace.tokens("你好\x1b")),
        ("tokens", gptrace.tokens_stream(["a", "", {"ids": [1, 2], "name": "b"}])),
        ("models", presets()),
    ]


@pytest.mark.parametrize("name", report_names())
def test_the_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(json_schema(name))


def test_every_output_is_valid() -> None:
    for name, record in outputs():
        Draft202012Validator(json_schema(name)).validate(json.loads(render(record, "json")))


def test_the_schema_notices_what_is_missing_or_wrong() -> None:
    whole = json.loads(render(gptrace.trace("Hello", model="tiny"), "json"))
    validator = Draft202012Validator(json_schema("trace"))
    spoilers: list[Callable[[Any], object]] = [
        lambda trace: trace.pop("flow"),
        lambda trace: trace["calls"][0].pop("path"),
        lambda trace: trace["calls"][0]["inputs"][0].update(shape="[1, 1]"),
        lambda trace: trace["predictions"][0]["candidates"][0].update(rank=0),
        lambda trace: trace["inputs"][0]["tokens"][0].update(bytes="xyz"),
        lambda trace: trace.update(schema="gptrace.trace/2"),
    ]
    for spoil in spoilers:
        copy = json.loads(json.dumps(whole))
        spoil(copy)
        with pytest.raises(ValidationError):
            validator.validate(copy)


# The other keys of a prompt stand beside the fields: an output has no `extra`. A page has it in what it takes
# over from other outputs.
SELF_EVIDENT = {"schema", "id", "extra"}


@pytest.mark.parametrize("name", report_names())
def test_every_field_is_described(name: str) -> None:
    schema = json_schema(name)
    records = {name: schema, **schema["$defs"]}
    undescribed = [
        f"{record}.{field}"
        for record, body in records.items()
        for field, facts in body.get("properties", {}).items()
        if not facts.get("description") and field not in SELF_EVIDENT
    ]
    assert undescribed == []
