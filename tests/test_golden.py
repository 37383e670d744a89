"""The outputs as they looked when somebody last read them. `make golden` rewrites them."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import asdict, replace

import gptrace
from gptrace.model import GPTModel
from gptrace.record import Report
from gptrace.report import View, render
from tests.support import agree_to_the_last_digit, reproducible, without_rounding_errors

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
LEAKY, MODEL = (f"{EXAMPLES / name}:GPT" for name in ("leaky.py", "model.py"))


@pytest.fixture(scope="module")
def hello(gpt2_small: GPTModel) -> gptrace.Trace:
    from gptrace.model.build import wrap_module
    from gptrace.predict.run import run_traced
    from gptrace.text.gpt2_tokenizer import GPT2
    from gptrace.text.prompts import from_texts

    loaded = wrap_module(gpt2_small, "gpt2-small", {"source": "random", "seed": 123})
    return reproducible(run_traced(loaded, GPT2, from_texts(["Hello"]), k=5, temperature=1.0))


@pytest.fixture(scope="module")
def batch() -> gptrace.Trace:
    return reproducible(gptrace.trace(["Hello, I am", "你好"], model="tiny", k=3))


def compare(name: str, text: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / name
    if request.config.getoption("--overwrite"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    golden = path.read_text(encoding="utf-8")
    if not agree_to_the_last_digit(text, golden):
        lines = difflib.unified_diff(
            golden.splitlines(), text.splitlines(), path.name, "now", n=1, lineterm=""
        )
        pytest.fail("\n".join([*lines, "read what changed, then `make golden` rewrites it"]), pytrace=False)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_table_of_hello(hello: gptrace.Trace, width: int, request: pytest.FixtureRequest) -> None:
    compare(f"run-hello-{width}.txt", render(hello, "table", View(width=width)), request)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_a_batch(batch: gptrace.Trace, width: int, request: pytest.FixtureRequest) -> None:
    compare(f"run-batch-{width}.txt", render(batch, "table", View(width=width, depth=3)), request)


@pytest.fixture(scope="module")
def simulated() -> gptrace.Trace:
    """Rank 3 of a GPT that is spread in two ways, by a simulation."""
    whole = gptrace.trace("Hello, I am", model="tiny", mesh="fsdp=2,tp=2", rank=3, measure=["macs", "memory"])
    return reproducible(whole)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_table_of_a_mesh(simulated: gptrace.Trace, width: int, request: pytest.FixtureRequest) -> None:
    compare(f"run-mesh-{width}.txt", render(simulated, "table", View(width=width)), request)


def test_the_other_formats_of_a_mesh(simulated: gptrace.Trace, request: pytest.FixtureRequest) -> None:
    text = json.dumps(rounded(json.loads(render(simulated, "json"))), indent=1) + "\n"
    compare("run-mesh.json", text, request)
    compare("run-mesh.csv", render(simulated, "csv"), request)
    compare("run-mesh-zh.txt", render(simulated, "table", View(width=120, lang="zh")), request)


@pytest.mark.parametrize(("form", "suffix"), [("json", "json"), ("csv", "csv"), ("markdown", "md")])
def test_the_other_formats_of_a_batch(
    batch: gptrace.Trace, form: str, suffix: str, request: pytest.FixtureRequest
) -> None:
    text = render(batch, form)
    if form == "json":
        text = json.dumps(rounded(json.loads(text)), indent=1) + "\n"
    compare(f"run-batch.{suffix}", text, request)


def test_the_tables_of_topk_tokens_and_models(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gptrace.api import presets

    monkeypatch.setenv("HF_HOME", "/nowhere")  # no weights are there

    prompts = ["Hello, I am", "你好\x1b[1m"]
    compare("topk.txt", render(gptrace.topk(prompts, model="tiny", k=3), "table", View(width=80)), request)
    compare("tokens.txt", render(gptrace.tokens(prompts), "table", View(width=80)), request)
    compare("models.txt", render(presets(), "table", View(width=120)), request)


def test_documents_and_pictures(request: pytest.FixtureRequest) -> None:
    tokens = gptrace.tokens(["Hello, I am", "你好\x1b[1m"])
    check = gptrace.check(LEAKY, only=["causal", "padding", "cache"], lang="en")
    for name, record in (("tokens", tokens), ("check-leaky", check)):
        _, _, body = render(record, "html", View(lang="en")).partition("</head>")
        compare(f"{name}.html", without_rounding_errors(body), request)
    compare("tokens.svg", render(tokens, "svg", View(lang="en")), request)


def rounded(value: Any) -> Any:
    """Floats differ in their last digits between processors."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return value


@pytest.fixture(scope="module")
def answers() -> list[tuple[str, Report]]:
    """One record of each kind of answer, without what differs from run to run."""
    lines = ["Hello", "", "Hello, I am"]
    generation = gptrace.generate("Hello, I am", model="tiny", max_new_tokens=3, trace=True)
    records: list[tuple[str, Report]] = [
        ("topk-positions", gptrace.topk("Hello, 你", model="tiny", k=2, positions="all", tokens=[" Paris"])),
        ("topk-stream", gptrace.topk_stream(lines, model="tiny", k=2, tokens=[" Paris"]).whole()),
        ("loss", gptrace.loss(["Hello, 你", "Hi"], model="tiny")),
        ("generate", replace(generation, seconds=0.0)),
        ("lens", gptrace.lens("Hello, 你", model="tiny", k=2)),
        ("check-tiny", without_figures(gptrace.check("tiny"))),
        ("check-leaky", gptrace.check(LEAKY, only=["causal", "padding", "cache"], lang="zh")),
        ("source", gptrace.source("Hello, I am", model=MODEL)),
        ("explain-en", gptrace.explain("Hello, 你", model="tiny")),
        ("explain-zh", gptrace.explain("Hello, 你", model="tiny", lang="zh")),
    ]
    versions = {"gptrace": "0", "torch": "0", "python": "0"}
    return [(name, coarser(replace(record, versions=versions))) for name, record in records]


def without_figures(check: gptrace.Check) -> gptrace.Check:
    """What is measured where a check holds is mostly rounding, which differs from processor to processor."""
    return replace(
        check, checks=tuple(replace(result, figure=None, tolerance=None) for result in check.checks)
    )


def coarser(value: Any, name: str = "") -> Any:
    """A record whose integers that come from floats have no more digits than every processor agrees on.

    Deep in a vocabulary of 50,257 tokens many logits are so near to each other that kernel rounding moves a
    token by a rank or two; a perplexity in the thousands shows more digits than float32 has.
    """
    if isinstance(value, msgspec.Struct):
        return replace(value, **{key: coarser(item, key) for key, item in asdict(value).items()})
    if isinstance(value, list | tuple):
        return type(value)(coarser(item) for item in value)
    if name == "rank" and isinstance(value, int) and value > 1000:
        return round(value, -3)
    return float(f"{value:.3g}") if name == "perplexity" and value is not None else value


@pytest.mark.parametrize("width", [80, 120])
def test_the_answers_as_people_read_them(
    answers: list[tuple[str, Report]], width: int, request: pytest.FixtureRequest
) -> None:
    for name, record in answers:
        text = render(record, "table", View(width=width))
        compare(f"{name}-{width}.txt", without_rounding_errors(text), request)


def test_the_answers_in_chinese(
    batch: gptrace.Trace, answers: list[tuple[str, Report]], request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from gptrace.api import presets

    monkeypatch.setenv("HF_HOME", "/nowhere")
    view = View(width=80, lang="zh")
    records = [("run-batch", batch), ("models", presets()), *answers]
    for name, record in records:
        if not name.startswith("explain"):
            compare(f"{name}-zh.txt", without_rounding_errors(render(record, "table", view)), request)


def test_the_answers_as_programs_read_them(
    answers: list[tuple[str, Report]], request: pytest.FixtureRequest
) -> None:
    for name, record in answers:
        if not name.startswith("explain"):  # its figures are in the tables
            whole = without_sources(rounded(json.loads(render(record, "json"))))
            compare(f"{name}.json", json.dumps(whole, indent=1) + "\n", request)
            compare(f"{name}.csv", rounded_csv(render(record, "csv")), request)
    page = render(answers[-1][1], "markdown")
    compare("explain-zh.md", without_rounding_errors(page), request)


def without_sources(value: Any) -> Any:
    """The lines of code that operations come from are of this machine, and move with every change."""
    if isinstance(value, dict):
        return {key: without_sources(item) for key, item in value.items() if key != "source"}
    return [without_sources(item) for item in value] if isinstance(value, list) else value


def rounded_csv(text: str) -> str:
    return re.sub(r"-?[0-9]+\.[0-9]+(e-?[0-9]+)?", lambda found: f"{float(found[0]):.3g}", text)
