"""Parquet files of prompts and of results say the same as those of JSON Lines."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gptrace.errors import InputError
from gptrace.parallel.prompt_files import find_files
from gptrace.parallel.survey import survey

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow comes with Ray: make test-ray installs it")
from pyarrow import parquet  # noqa: E402 - only where it is installed

from gptrace.parallel.parquet_parts import KeptColumns, ParquetParts, ResultColumns  # noqa: E402

pytestmark = pytest.mark.ray

RESULT = {
    "text": "Hello", "ids": [15496], "padding": 0, "truncated": 0,
    "candidates": [
        {
            "rank": 1, "id": 11, "text": None, "bytes": "2c", "logit": None, "probability": 0.5,
            "log_probability": -0.7,
        },
    ],
}  # fmt: skip
FAILED: dict[str, Any] = {"text": None, "ids": [], "padding": 0, "truncated": 0, "candidates": []}
ERROR = {"error": {"message": "it is empty", "hint": "write more"}}


def lines_of(*paths: Path, workers: int = 1) -> list[dict[str, Any]]:
    seen = survey(find_files([str(path) for path in paths], Path("out")), "id")
    pieces = [piece for chunk in seen.chunks(workers) for piece in chunk]
    return [json.loads(line.raw or b"null") for piece in pieces for line in piece.lines()]


@pytest.mark.parametrize("group", [3, 64, 1000, 1 << 20])
def test_rows_are_read_once_whatever_the_row_groups(tmp_path: Path, group: int) -> None:
    rows = [{"id": number, "text": f"Hello {number}", "kept": [number]} for number in range(5000)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=group)
    assert lines_of(tmp_path / "a.parquet", workers=3) == rows


def test_values_that_json_lacks_become_text(tmp_path: Path) -> None:
    row = {
        "id": 1, "text": "Hello", "ids": None, "day": datetime.date(2026, 1, 2), "price": Decimal("1.50"),
        "at": datetime.datetime(2026, 1, 2, 3, 4), "raw": b"\x01", "nothing": None, "nan": float("nan"),
    }  # fmt: skip
    schema = pyarrow.schema([*pyarrow.Table.from_pylist([row]).schema]).remove(2)
    schema = schema.insert(2, pyarrow.field("ids", pyarrow.list_(pyarrow.int64())))
    parquet.write_table(pyarrow.Table.from_pylist([row], schema), tmp_path / "a.parquet")
    assert lines_of(tmp_path / "a.parquet") == [
        {
            "id": 1, "text": "Hello", "day": "2026-01-02", "price": "1.50", "at": "2026-01-02T03:04:00",
            "raw": "01", "nothing": None, "nan": None,
        }
    ]  # fmt: skip


def test_a_file_that_cannot_be_right_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text('{"id": 1, "text": "Hello"}')
    with pytest.raises(InputError, match=r"a\.parquet is not a Parquet file"):
        lines_of(tmp_path / "a.parquet")
    parquet.write_table(pyarrow.table({"name": ["a"], "text": ["b"]}), tmp_path / "b.parquet")
    with pytest.raises(
        InputError, match=r"b\.parquet needs the column id, and text or ids; it has name, text"
    ):
        lines_of(tmp_path / "b.parquet")


def test_the_same_id_in_two_formats_is_an_error(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"id": [1, 2], "text": ["a", "b"]}), tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_text('{"id": 2, "text": "c"}\n')
    with pytest.raises(InputError, match=r"2 is the id of several prompts: row 2 of a\.parquet, line 1 of b"):
        lines_of(tmp_path / "a.parquet", tmp_path / "b.jsonl")


VALUES: list[tuple[list[Any], str]] = [
    ([1, 2], "int64"),
    ([1, None, 2.5], "double"),
    (["a", None], "string"),
    ([None, None], "string"),
    ([True, False], "bool"),
    ([[], [1]], "list<item: int64>"),
    ([{"a": 1}, {"b": "x"}], "struct<a: int64, b: string>"),
    ([1, "1"], "json"),
    ([True, 1], "json"),
    ([2**70, 1], "json"),
    ([2**60 + 1, 0.5], "json"),
    ([0.5, 2**60 + 1], "json"),
    ([{}, {}], "json"),
    (["\ud800", "a"], "json"),
]


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize(("values", "expected"), VALUES, ids=[kind for _, kind in VALUES])
def test_the_type_of_a_column_holds_all_values(values: list[Any], expected: str, apart: bool) -> None:
    kept = KeptColumns()
    for value in values:
        for _ in range(1024 if apart else 1):  # types are found out from 1024 values at a time
            kept.add({"id": 1, "score": value})
    columns = ResultColumns("topk", kept.types())
    assert columns.described()["score"] == expected
    rows = [json.dumps({"id": 1, "score": value, **RESULT}) for value in values]
    read = columns.table(rows).to_pylist()
    found = [row["score"] for row in read]
    if columns.described()["score"] == "json":
        expected_values: list[Any] = [
            json.loads(json.dumps(value).replace("\\ud800", "?")) for value in values
        ]
        assert [None if each is None else json.loads(each) for each in found] == expected_values
    elif "struct" in expected:
        assert found == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    else:
        assert found == values


def test_columns_of_parquet_keep_their_types() -> None:
    types = {
        "id": pyarrow.int32(), "day": pyarrow.date32(), "half": pyarrow.float16(),
        "vector": pyarrow.list_(pyarrow.field("item", pyarrow.float32())),
        "label": pyarrow.dictionary(pyarrow.int8(), pyarrow.string()),
        "pairs": pyarrow.map_("string", "int64"),
    }  # fmt: skip
    kept = KeptColumns()
    kept.add_schema(pyarrow.schema(list(types.items())))
    columns = ResultColumns("topk", kept.types())
    assert columns.described() == {
        "id": "int32", "day": "string", "half": "double", "vector": "list<item: float>", "label": "string",
        "pairs": "json",
    }  # fmt: skip
    row = {"id": 1, "day": "2026-01-02", "half": 0.5, "vector": [0.5], "label": "a", "pairs": [["a", 1]]}
    read = columns.table([json.dumps({**row, **RESULT})]).to_pylist()[0]
    assert {name: read[name] for name in row} == {**row, "pairs": '[["a", 1]]'}


def test_parts_are_written_and_counted(tmp_path: Path) -> None:
    kept = KeptColumns()
    kept.add({"id": "a"})
    parts = ParquetParts(ResultColumns("topk", kept.types()))
    rows = [{"id": "a", **RESULT}, {**FAILED, **ERROR}]
    with (tmp_path / "a.parquet").open("wb") as file:
        parts.write(map(json.dumps, rows), file)
    read = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert {name: read[0][name] for name in ("id", *RESULT)} == rows[0]
    assert (read[1]["id"], read[1]["error"], read[0]["error"]) == (None, ERROR["error"], None)
    assert (parts.count(tmp_path / "a.parquet").prompts, parts.count(tmp_path / "a.parquet").failed) == (2, 1)


@pytest.mark.parametrize("task", ["topk", "loss"])
def test_every_field_of_a_result_has_a_column(task: str) -> None:
    names = ResultColumns(task, {}).schema.names
    assert {"text", "ids", "tokens", "error"} <= set(names)
    assert not {"index", "extra"} & set(names)


def test_prompts_with_endless_new_keys_are_an_error() -> None:
    kept = KeptColumns()
    for number in range(1001):
        kept.add({f"key{number}": number})
    with pytest.raises(InputError, match="more than 1000 different keys"):
        kept.types()
