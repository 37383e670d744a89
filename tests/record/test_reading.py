"""Records → JSON → records: nothing is lost, and what is damaged or of another version is one error."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields, replace

import gptrace
from gptrace.api import presets
from gptrace.errors import InputError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.record import Report, Trace
from gptrace.record.reading import load, parse
from gptrace.record.schema import report_names
from gptrace.report import FORMATS, View, render
from gptrace.verify.diff import diff_traces
from tests.models.spread import spread

LINES = [{"text": "Hello", "id": 7, "extra": [1]}, {"text": ""}, {"ids": [15496, 11]}]


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    broken = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(3, 3))
    with pytest.raises(RuntimeError), gptrace.watch(broken, measure="all") as failed:
        broken(torch.ones(1, 2))
    with gptrace.watch(torch.nn.ReLU()) as empty:
        pass
    return [
        gptrace.trace(["Hello", "你好 there"], model="tiny", k=3, temperature=0.5, measure="all"),
        gptrace.trace("Hello", model="tiny", device="meta"),
        failed,
        empty,
        spread(gptrace.trace("Hello", model="tiny", measure="all"), {"fsdp": 2, "tp": 2}, simulated=False),
    ]


@pytest.fixture(scope="module")
def reports(traces: list[Trace]) -> list[Report]:
    """One record of each kind, with every fact that may be absent."""
    session = gptrace.Session("tiny")
    first, second = (gptrace.trace("Hi", model="tiny", seed=seed, measure="statistics") for seed in (1, 2))
    return [
        *traces,
        diff_traces(first, second),
        gptrace.topk("Hello, 你", model="tiny", positions="all", tokens=[" Paris"]),
        gptrace.topk_stream(LINES, model="tiny", k=2).whole(),
        session.loss_stream(LINES).whole(),
        session.generate_stream(LINES, max_new_tokens=2).whole(),
        session.lens_stream(LINES).whole(),
        gptrace.loss(["Hello", "你好 there", "a " * 100], model="tiny"),
        gptrace.generate("你", model="tiny", max_new_tokens=2, trace=True),
        gptrace.generate(ids=[1], model="tiny", max_new_tokens=2, top_k=3, top_p=0.5, stop=["x"]),
        gptrace.lens("你好", model="tiny"),
        gptrace.explain("Hello, I am", model="tiny", lang="zh"),
        gptrace.check("tiny", only=["causal", "loss-labels"], lang="zh"),
        gptrace.source("Hello, 你", model="tiny"),
        session.page(["Hello, 你", "Hi"], check=True),
        traces[2].page(),
        gptrace.tokens("你好\x1b"),
        presets(),
    ]


def test_every_output_is_read_back_equal_and_printed_alike(reports: list[Report]) -> None:
    seen = set()
    for report in reports:
        loaded = parse(report.to_json())
        assert loaded == report
        assert type(loaded) is type(report)
        assert loaded.to_json() == report.to_json()
        for form in FORMATS:
            for view in (View(width=80), View(color=True, full=True)):
                assert render(loaded, form, view) == render(report, form, view), form
        seen.add(report.output_name())
    assert seen == set(report_names())


def test_nan_and_infinities_are_null_and_read_back_as_such(tiny: GPTModel) -> None:
    topk, loss = gptrace.topk("Hi", model=tiny), gptrace.loss("Hi there", model=tiny)
    result = topk.results[0]
    unlikely = replace(result.candidates[0], logit=math.nan, probability=math.nan, log_probability=math.nan)
    unknown = replace(loss.results[0], loss=math.nan, perplexity=math.nan)
    for report in (
        replace(topk, results=(replace(result, candidates=(unlikely,)),)),
        replace(loss, results=(unknown,)),
    ):
        assert "null" in report.to_json()
        loaded = parse(report.to_json())
        assert loaded == report
        assert str(loaded) == str(report)
    endless = replace(gptrace.loss("Hi there", model="tiny").results[0], loss=800.0, perplexity=math.inf)
    loss = replace(gptrace.loss("Hi there", model="tiny"), results=(endless,))
    assert str(parse(loss.to_json())) == str(loss)


def test_records_are_equal_when_they_say_the_same() -> None:
    first, again, other = (gptrace.trace(text, model="tiny") for text in ("Hello", "Hello", "Bye"))
    assert first.calls[0].seconds != again.calls[0].seconds
    assert first == again
    assert hash(first.calls[0].parameters) == hash(again.calls[0].parameters)
    assert first != other
    assert first != first.to_dict()
    assert replace(first, notes=("another",)) != first


def test_a_field_without_a_default_is_in_every_json(reports: list[Report]) -> None:
    for report in reports:
        required = {field.encode_name for field in fields(type(report)) if field.required}
        assert required <= set(report.to_dict())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "has the schema None"),
        ("[" * 100_000, "is not JSON"),
        ('{"schema": 5}', "has the schema 5"),
        ('{"schema": "gptrace.nothing/1"}', "has the schema 'gptrace.nothing/1'"),
        ('{"schema": "gptrace.topk/2"}', "is version 2 of gptrace.topk, and this gptrace reads version 1"),
        ('{"schema": "gptrace.topk/1"}', "is damaged: Object missing required field `versions`"),
    ],
)
def test_what_is_no_record_is_one_error(text: str, message: str) -> None:
    with pytest.raises(InputError, match="the file") as caught:
        parse(text, "the file")
    assert message in caught.value.message


@pytest.mark.parametrize(
    "spoil",
    [
        lambda trace: trace["calls"][0].update(index="0"),
        lambda trace: trace["calls"][1].update(parent=1),
        lambda trace: trace["calls"][1].update(depth=7),
        lambda trace: trace["calls"][2].update(path=trace["calls"][1]["path"]),
        lambda trace: trace["calls"][1]["inputs"][0].update(shape=[1, -1]),
        lambda trace: trace["predictions"][0].update(input=3),
        lambda trace: trace["predictions"][0]["candidates"][0].update(rank=0),
        lambda trace: trace["predictions"][0]["candidates"][0].update(logit="high"),
        lambda trace: trace["inputs"][0]["tokens"][0].update(bytes="xyz"),
        lambda trace: trace.update(temperature=0),
    ],
)
def test_damage_is_named(spoil: Callable[[Any], object]) -> None:
    trace = gptrace.trace("Hello", model="tiny").to_dict()
    spoil(trace)
    with pytest.raises(InputError, match="the file is damaged: "):
        parse(json.dumps(trace), "the file")


@pytest.mark.parametrize("key", ["local_shape", "dims"])
def test_a_part_of_a_tensor_with_other_axes_is_damage(traces: list[Trace], key: str) -> None:
    trace = traces[-1].to_dict()
    parts = [spec for call in trace["calls"] for spec in call["outputs"] if "tp" in str(spec.get("split_by"))]
    assert parts
    parts[0][key].pop()
    with pytest.raises(InputError, match=r"the file is damaged: call .* local_shape"):
        parse(json.dumps(trace), "the file")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda result: result.update(layers=[]),
        lambda result: result["layers"][0]["positions"].pop(),
        lambda result: result["layers"][0]["positions"][0].update(candidates=[]),
    ],
)
def test_a_lens_that_lacks_something_is_damage(spoil: Callable[[Any], object]) -> None:
    lens = gptrace.lens("Hello, I am", model="tiny").to_dict()
    spoil(lens["results"][0])
    with pytest.raises(InputError, match="the file is damaged: "):
        parse(json.dumps(lens), "the file")


def test_a_preset_without_a_key_is_shown_without_it() -> None:
    models = presets().to_dict()
    del models["models"][0]["config"]["n_heads"]
    for form in FORMATS:
        assert "gpt2-small" in render(parse(json.dumps(models)), form, View())


def test_names_that_a_later_version_adds_are_ignored() -> None:
    trace = gptrace.trace("Hello", model="tiny")
    added = trace.to_dict() | {"later": 1}
    added["calls"][0]["later"] = {"x": 1}
    assert parse(json.dumps(added)) == trace


def test_a_file_is_loaded_or_is_one_error(tmp_path: Path) -> None:
    tokens = gptrace.tokens("Hello")
    path = tmp_path / "tokens.json"
    path.write_text(tokens.to_json())
    assert load(path) == load(str(path)) == tokens
    path.write_bytes(b"\xff")
    for where, message in (
        (path, "is not UTF-8 text: byte 0xff at offset"),
        (tmp_path, "is a folder"),
        (tmp_path / "absent", "No such file"),
        ("a\0b", "null"),
    ):
        with pytest.raises(InputError, match=message):
            load(where)
