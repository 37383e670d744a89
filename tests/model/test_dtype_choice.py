"""`auto` picks a dtype by measured rates, which every output names; a slow dtype is announced."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

import gptrace
from gptrace.errors import OptionError
from gptrace.model import dtype_choice
from gptrace.model.selection import select_model
from gptrace.parallel import manifest
from gptrace.parallel.file_run import FileRun
from gptrace.parallel.parts import LinesParts
from gptrace.parallel.predictor import Predictor
from gptrace.record import ProductRates
from gptrace.record.reading import parse
from tests.support import Cli

FAST, SLOW = ProductRates(float32=88.0, bfloat16=193.0), ProductRates(float32=61.0, bfloat16=21.3)


def measuring(rates: ProductRates) -> Any:
    """The measurement is replaced: what a busy machine measures must not decide a test."""
    return patch.object(dtype_choice, "measured_rates", lambda device: rates)


@pytest.mark.parametrize(("rates", "dtype"), [(FAST, "bfloat16"), (SLOW, "float32")])
@pytest.mark.parametrize(
    "asked",
    [
        lambda session: session.topk("Hello"),
        lambda session: session.trace("Hello"),
        lambda session: session.loss("Hello, I am"),
        lambda session: session.generate("Hello", max_new_tokens=1),
        lambda session: session.lens("Hello"),
        lambda session: session.explain("Hello", topics=["last-dim"]),
        lambda session: session.check(only=["causal"]),
    ],
    ids=["topk", "trace", "loss", "generate", "lens", "explain", "check"],
)
def test_every_record_has_the_dtype_that_is_faster_and_the_rates(
    asked: Any, rates: ProductRates, dtype: str
) -> None:
    with measuring(rates):
        record = asked(gptrace.Session("tiny", dtype="auto"))
    assert (record.model.dtype, record.model.dtype_rates) == (dtype, rates)
    assert f"in {dtype} on cpu, picked by --dtype auto: {rates.float32:g} GFLOP/s in float32" in " ".join(
        str(record).split()
    )
    kept: Any = parse(record.to_json())
    assert kept.model.dtype_rates == rates


def test_results_are_those_of_the_dtype_that_was_picked() -> None:
    for rates, dtype in ((FAST, "bfloat16"), (SLOW, "float32")):
        with measuring(rates):
            picked = gptrace.topk("Hello, I am", model="tiny", dtype="auto")
        assert picked.results == gptrace.topk("Hello, I am", model="tiny", dtype=dtype).results


def test_a_dtype_that_is_given_measures_nothing() -> None:
    with patch.object(dtype_choice, "measured_rates", side_effect=AssertionError):
        for dtype in (None, "float32", "float64"):
            info = gptrace.topk("Hello", model="tiny", dtype=dtype).model
            assert info.dtype_rates is None
        trace = gptrace.trace("Hello", model="tiny", device="meta", dtype="auto")
    assert (trace.model.dtype, trace.model.dtype_rates) == ("float32", None)
    assert "dtype_rates" not in json.loads(trace.to_json())["model"]


def test_bfloat16_is_picked_only_if_it_is_much_faster() -> None:
    assert dtype_choice.faster_dtype(ProductRates(100.0, 149.0)) == "float32"
    assert dtype_choice.faster_dtype(ProductRates(100.0, 151.0)) == "bfloat16"


def test_the_measurement_is_of_both_dtypes() -> None:
    rates = dtype_choice.measured_rates(torch.device("cpu"))
    assert 0 < rates.float32 < 1e6
    assert 0 < rates.bfloat16 < 1e6
    assert rates.float32 != rates.bfloat16


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_stream_without_a_header_says_it_on_stderr(form: str, cli: Cli) -> None:
    with measuring(SLOW):
        outcome = cli("topk", "--lines", "-m", "tiny", "--dtype", "auto", "-f", form, stdin=b"Hello\n")
    assert outcome.err == (
        "note: dtype auto is float32: matrix products run at 61 GFLOP/s in float32, 21.3 in bfloat16\n"
    )


def test_a_dtype_that_was_measured_to_be_faster_is_not_called_slow(cli: Cli) -> None:
    with measuring(FAST), patch.object(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64"}):
        outcome = cli("topk", "Hello", "-m", "tiny", "--dtype", "auto")
    assert outcome.err.startswith("note: dtype auto is bfloat16: ")
    assert outcome.err.count("note:") == 1


def test_the_notices_are_in_chinese_too(cli: Cli) -> None:
    with measuring(SLOW):
        outcome = cli("topk", "Hello", "-m", "tiny", "--dtype", "auto", "--lang", "zh")
    assert outcome.err.startswith("注意：dtype auto 选定 float32：矩阵乘法")
    assert "由 --dtype auto 选定：float32 为 61 GFLOP/s" in outcome.out


@pytest.mark.parametrize(
    ("capabilities", "warns"),
    [
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": True}, False),
        ({"architecture": "aarch64"}, False),
        ({}, False),
    ],
)
def test_bfloat16_is_announced_where_no_instruction_multiplies_it(
    capabilities: dict[str, object], warns: bool, cli: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    with patch.object(torch.cpu, "get_capabilities", lambda: capabilities):
        outcome = cli("topk", "Hello", "-m", "tiny", "--dtype", "bfloat16")
        assert ("no instructions that multiply bfloat16" in outcome.err) == warns
        assert cli("topk", "Hello", "-m", "tiny", "--dtype", "float32").err == ""
        caplog.clear()
        gptrace.topk("Hello", model="tiny", dtype="bfloat16")
    levels = [record.levelno for record in caplog.records if record.name == "gptrace"]
    assert levels == [logging.WARNING] * warns


def test_a_predictor_picks_where_it_is_made() -> None:
    with measuring(FAST):
        predict = Predictor("topk", model="tiny", k=1, dtype="auto")
    with measuring(SLOW):  # in a process that would pick another one
        other = pickle.loads(pickle.dumps(predict))
        rows = other([{"text": "Hello, I am"}])
    assert len(pickle.dumps(predict)) < 1024
    expected = gptrace.topk("Hello, I am", model="tiny", k=1, dtype="bfloat16").results[0].candidates[0]
    assert rows[0]["candidates"][0]["logit"] == expected.logit


def test_the_manifest_of_files_names_the_dtype_and_a_later_run_keeps_it(tmp_path: Path) -> None:
    def run(device: str = "cpu", folder: str = "out") -> FileRun:
        selection = select_model("tiny", dtype="auto", device=device)
        run = FileRun("topk", selection, {}, tmp_path / folder, "id", LinesParts())
        with run.alone():
            return run

    with measuring(FAST):
        assert run().selection.dtype == "bfloat16"
    written = json.loads((tmp_path / "out" / manifest.NAME).read_text())
    assert written["model"]["dtype"] == "bfloat16"
    with measuring(SLOW):
        assert run().selection.dtype == "bfloat16"
        assert run(folder="other").selection.dtype == "float32"
    with pytest.raises(OptionError, match="the workers run on cuda"):
        run("cuda", "third")
    written["model"]["dtype"] = "float99"
    (tmp_path / "out" / manifest.NAME).write_text(json.dumps(written))
    with measuring(SLOW), pytest.raises(OptionError, match='was "float99", and is "float32"'):
        run()


def test_an_output_is_not_continued_in_a_dtype_that_may_be_another(tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "out.jsonl"
    arguments = ("topk", "--lines", "-m", "tiny", "--dtype", "auto", "-o", str(file), "--resume")
    with measuring(SLOW):
        assert cli(*arguments, stdin=b"Hello\n").code == 0
        outcome = cli(*arguments, stdin=b"Hello\nand\n")
    assert outcome.code == 2
    assert "another dtype than --dtype auto picks now" in outcome.err
    assert len(file.read_text().splitlines()) == 1
