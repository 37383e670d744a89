"""A Predictor answers in any process as `Session` does, and never loses a row."""

from __future__ import annotations

import math
import pickle
import subprocess
from tempfile import NamedTemporaryFile
from typing import Any

import numpy
import pytest

import gptrace
from gptrace.errors import InputError, OptionError
from gptrace.parallel.predictor import Predictor
from tests.support import environment
from tests.warm import warm_python

TEXTS = ["Hello", "", "Every effort moves you", "Hello, I am"]


def test_columns_are_kept_and_the_candidates_are_those_of_topk() -> None:
    batch = Predictor("topk", model="tiny", k=3)({"id": [4, 5, 6, 7], "text": TEXTS})
    assert list(batch) == ["id", "text", "candidates", "error"]
    assert (batch["id"], batch["text"]) == ([4, 5, 6, 7], TEXTS)
    for text, candidates, error in zip(TEXTS, batch["candidates"], batch["error"], strict=True):
        assert bool(error) == (not text)
        expected = gptrace.topk(text, model="tiny", k=3).results[0].candidates if text else ()
        assert [candidate["id"] for candidate in candidates] == [each.id for each in expected]
        for candidate, each in zip(candidates, expected, strict=True):
            # Another shape of batch may use another kernel: the last bits of float32 differ.
            assert candidate["logit"] == pytest.approx(each.logit, abs=1e-5)


def test_losses_are_those_of_loss() -> None:
    batch = Predictor("loss", model="tiny")({"text": TEXTS})
    assert list(batch) == ["text", "loss", "perplexity", "tokens", "error"]
    expected = gptrace.loss(TEXTS[2], model="tiny").results[0]
    assert expected.loss is not None
    assert batch["loss"][2] == pytest.approx(expected.loss, abs=1e-5)
    assert batch["loss"][:2] == [None, None]  # nothing is predicted in a text of one token, or without any
    tokens = batch["tokens"][2]
    assert {len(token) for token in tokens} == {6}
    mean = -sum(token["log_probability"] for token in tokens[1:]) / len(tokens[1:])
    assert mean == pytest.approx(expected.loss, abs=1e-5)
    assert math.exp(mean) == pytest.approx(batch["perplexity"][2], rel=1e-4)


@pytest.mark.parametrize(
    "texts", [numpy.array(TEXTS), numpy.array(TEXTS, dtype=object), tuple(TEXTS)], ids=["U", "O", "tuple"]
)
def test_arrays_are_columns(texts: Any) -> None:
    predict = Predictor("topk", model="tiny", k=2)
    assert predict({"text": texts})["candidates"] == predict({"text": TEXTS})["candidates"]


def test_rows_and_a_single_row_come_back_as_such() -> None:
    predict = Predictor("topk", model="tiny", k=2)
    rows = [{"id": number, "text": text} for number, text in enumerate(TEXTS)]
    assert [row["id"] for row in predict(rows)] == [0, 1, 2, 3]
    assert predict(rows)[1]["error"] == "the text is empty: a prompt needs at least one character"
    assert predict(rows[2])["candidates"][0]["id"] == predict(rows)[2]["candidates"][0]["id"]


def test_ids_of_a_column_that_is_named() -> None:
    predict = Predictor("topk", model="tiny", k=2, ids="input_ids")
    by_text = Predictor("topk", model="tiny", k=2)({"text": ["Hello, I am"]})
    ids = [15496, 11, 314, 716]
    for column in ([ids], numpy.array([ids]), [numpy.array(ids)]):
        assert predict({"input_ids": column})["candidates"] == by_text["candidates"]
    assert predict({"input_ids": ids})["candidates"] == by_text["candidates"][0]
    assert predict({"input_ids": []}) == {"input_ids": [], "candidates": [], "error": []}


@pytest.mark.parametrize("bad", [None, 7, b"bytes", ["a"], float("nan")])
def test_a_bad_row_has_an_error_and_the_others_their_results(bad: object) -> None:
    batch = Predictor("topk", model="tiny", k=2)({"text": ["Hello", bad]})
    assert [len(candidates) for candidates in batch["candidates"]] == [2, 0]
    assert batch["error"][0] == ""
    assert "not a string" in batch["error"][1]


@pytest.mark.parametrize(
    "row",
    [
        {"text": None}, {"text": 7}, {"text": b"abc"}, {"text": {"a": 1}}, {"ids": None}, {"ids": 7},
        {"ids": "5 6"}, {"ids": [5, "x"]}, {"ids": [5, None]}, {"ids": [5.5, 6]}, {"ids": [], "n": 1},
        {"ids": [None, None], "n": 1}, {"ids": [None, None], "n": [1, 2, 3]}, {"ids": numpy.array([5.5])},
        {"ids": {"a": 1}}, {"ids": "", "n": [1]},
    ],
    ids=repr,
)  # fmt: skip
def test_a_bad_value_gives_its_row_one_error(row: dict[str, Any]) -> None:
    predict = Predictor("topk", model="tiny", k=2, ids="ids" if "ids" in row else None)
    result = predict(row)
    assert result["error"]
    assert isinstance(result["error"], str)
    assert (list(result), result["candidates"]) == ([*row, "candidates", "error"], [])
    assert [other["error"] for other in predict([row, row])] == [result["error"]] * 2


@pytest.mark.parametrize(
    ("column", "count"),
    [
        ([[5, 6], None, [], [1, "a"]], 4), ([None, None], 2), ([float("nan"), None], 2), (["5 6", "7"], 2),
        ([], 0), (numpy.zeros((2, 0)), 2), (numpy.zeros((0, 3)), 0), ([[5], 7], 2), ([[[5]], "7"], 2),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("is_alone", [True, False])
def test_a_batch_of_ids_gives_columns_of_its_length(column: Any, count: int, is_alone: bool) -> None:
    batch = {"ids": column} if is_alone else {"ids": column, "n": [*range(count)]}
    result = Predictor("topk", model="tiny", k=2, ids="ids")(batch)
    for row, candidates, error in zip(column, result["candidates"], result["error"], strict=True):
        is_good = isinstance(row, list) and row in ([5, 6], [5])
        assert (bool(error), bool(candidates)) == (not is_good, is_good)
    assert len(result["error"]) == count


def test_what_is_wrong_for_all_rows_is_raised_at_once() -> None:
    predict = Predictor("topk", model="tiny")
    with pytest.raises(InputError, match="there is no column 'text'; there are id, prompt") as missing:
        predict({"id": [1], "prompt": ["Hello"]})
    assert missing.value.hint == "name it, as in text='id'"
    with pytest.raises(InputError, match="the column 'error' is there already"):
        predict({"text": ["Hello"], "error": [""]})
    for options in ({"k": 0}, {"temperature": 0}, {"batch_size": 0}, {"model": "tinny"}):
        with pytest.raises(InputError):
            Predictor("topk", **options)
    with pytest.raises(InputError, match="pick one of topk, loss"):
        Predictor("lens")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="would travel with every pickle"):
        Predictor("topk", model=gptrace.GPTModel)  # type: ignore[arg-type]


def test_a_pickle_holds_the_options_alone() -> None:
    predict = Predictor("topk", model="tiny", k=2)
    before = predict({"text": TEXTS})
    data = pickle.dumps(predict)
    assert len(data) < 1024
    assert pickle.loads(data)({"text": TEXTS}) == before


@pytest.mark.processes
def test_processes_of_python_predict_the_same() -> None:
    # The parent has used torch before it forks, which leaves its children locks of threads that they lack.
    code = """
import multiprocessing, torch
from gptrace import Predictor
if __name__ == "__main__":
    predict = Predictor("topk", model="tiny", k=2)
    batches = [{"text": ["Hello", ""]}, {"text": ["Hello, I am"]}]
    torch.set_num_threads(2)
    expected = [predict(batch) for batch in batches]
    torch.ones(512, 512) @ torch.ones(512, 512)
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            answers = pool.map(predict, batches)
        for answer, own in zip(answers, expected, strict=True):
            assert answer["error"] == own["error"], method
            for row, other in zip(answer["candidates"], own["candidates"], strict=True):
                assert [each["id"] for each in row] == [each["id"] for each in other], method
    print("same")
"""
    with NamedTemporaryFile("w", suffix=".py") as script:
        script.write(code)
        script.flush()
        outcome = subprocess.run(
            [*warm_python(), script.name], env=environment(), capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
    assert (outcome.returncode, outcome.stdout.strip()) == (0, "same"), outcome.stderr


def test_a_wrong_k_is_refused_without_a_word_about_a_vocabulary_that_is_not_known_yet() -> None:
    with pytest.raises(OptionError, match="k is 0") as error:
        Predictor("topk", model="tiny", k=0)
    assert error.value.hint == "it must be a whole number of at least 1"
