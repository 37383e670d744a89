"""Results in Parquet: their columns are those of the record, and the other keys of the prompts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow
from msgspec import inspect
from pyarrow import parquet

from gptrace.errors import InputError
from gptrace.parallel.parts import Totals
from gptrace.record.base import HexBytes, Number
from gptrace.record.prompt_result import PromptResult
from gptrace.record.schema import item_type, report_type
from gptrace.record.writing import to_json

_VALUES_AT_ONCE = 1024
_MOST_COLUMNS = 1000
_EXACT_IN_DOUBLE = 1 << 53
_LEFT_OUT = "index"  # which counts the prompts of one batch of a worker


class KeptColumns:
    """The types of the keys that prompts have beside text and ids, found out from their values.

    A key whose values have several types, or a type that Parquet lacks, is kept as JSON: its type is None.
    """

    def __init__(self) -> None:
        self._types: dict[str, pyarrow.DataType | None] = {}
        self._held: list[Mapping[str, Any]] = []
        # Keys with whole numbers that a double does not hold exactly.
        self._large: set[str] = set()

    def add(self, values: Mapping[str, Any]) -> None:
        """Take the values of one prompt into account."""
        self._held.append(values)
        if len(self._held) == _VALUES_AT_ONCE:
            self._infer()

    def add_schema(self, schema: pyarrow.Schema) -> None:
        """Take the columns of a Parquet file into account."""
        for column in schema:
            kind = _type_in_json(column.type)
            if kind is not None and pyarrow.types.is_integer(kind) and kind.bit_width == 64:
                self._large.add(column.name)  # it may have such numbers
            self._merge(column.name, kind)

    def types(self) -> dict[str, pyarrow.DataType | None]:
        """Return the type of each key; None for one that is kept as JSON."""
        self._infer()
        text = pyarrow.string()
        return {name: text if kind == pyarrow.null() else kind for name, kind in self._types.items()}

    def _infer(self) -> None:
        held, self._held = self._held, []
        for name in dict.fromkeys(name for values in held for name in values):
            column = [values.get(name) for values in held]
            if any(isinstance(value, int) and abs(value) > _EXACT_IN_DOUBLE for value in column):
                self._large.add(name)
            self._merge(name, _type_of(column))

    def _merge(self, name: str, kind: pyarrow.DataType | None) -> None:
        known = self._types.setdefault(name, kind)
        if len(self._types) > _MOST_COLUMNS:
            raise InputError(
                f"the prompts have more than {_MOST_COLUMNS} different keys", "write --parts jsonl"
            )
        if known != kind:
            known = None if known is None or kind is None else _common(known, kind)
            self._types[name] = None if known == pyarrow.float64() and name in self._large else known


def _type_of(values: Sequence[Any]) -> pyarrow.DataType | None:
    """Return the type of values of JSON; None if they have several, or one that Parquet lacks."""
    try:
        kind = pyarrow.array(values).type
    except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError):
        return None
    return None if _has_empty_struct(kind) else kind


def _common(one: pyarrow.DataType, other: pyarrow.DataType) -> pyarrow.DataType | None:
    """Return the type that holds the values of both; None if there is none."""
    if {one, other} == {pyarrow.int64(), pyarrow.float64()}:
        return pyarrow.float64()
    try:
        schemas = [pyarrow.schema([("it", kind)]) for kind in (one, other)]
        return pyarrow.unify_schemas(schemas).field("it").type
    except pyarrow.ArrowException:
        return None


def _has_empty_struct(kind: pyarrow.DataType) -> bool:
    parts = [kind.field(index) for index in range(kind.num_fields)]
    is_empty = pyarrow.types.is_struct(kind) and not parts
    return is_empty or any(_has_empty_struct(part.type) for part in parts)


def _type_in_json(kind: pyarrow.DataType) -> pyarrow.DataType | None:
    """Return the type that a column of Parquet has when its values were JSON: a date is a text."""
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _type_in_json(kind.value_type)
    if types.is_nested(kind):
        is_list = types.is_list(kind) or types.is_struct(kind)
        inner = [kind.field(index).type for index in range(kind.num_fields)]
        return kind if is_list and inner and all(each == _type_in_json(each) for each in inner) else None
    if types.is_float16(kind):
        return pyarrow.float64()
    is_plain = types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)
    return kind if is_plain or types.is_null(kind) else pyarrow.string()


class ResultColumns:
    """The columns of the results of a task, from rows that are JSON.

    >>> columns = ResultColumns("loss", {"id": pyarrow.int64()})
    >>> columns.schema.names
    ['id', 'text', 'ids', 'tokens', 'loss', 'perplexity', 'windows', 'error']
    """

    def __init__(self, task: str, kept: Mapping[str, pyarrow.DataType | None]) -> None:
        record = item_type(report_type(task))
        assert record is not None
        assert issubclass(record, PromptResult)
        own = record.own_keys()
        self._kept = {name: kind for name, kind in kept.items() if name not in own}
        described = inspect.type_info(record)
        assert isinstance(described, inspect.StructType)
        fields = [(name, pyarrow.string() if kind is None else kind) for name, kind in self._kept.items()]
        fields += [
            (field.encode_name, _arrow_type(field.type))
            for field in described.fields
            if field.encode_name in own - {_LEFT_OUT}
        ]
        self.schema = pyarrow.schema(fields)

    def table(self, rows: Iterable[str]) -> pyarrow.Table:
        """Return a table of rows of JSON; half of a surrogate pair, which Parquet cannot hold, is "?"."""
        values = [self._row(_decoded(row)) for row in rows]
        return pyarrow.Table.from_pylist(values, self.schema)

    def described(self) -> dict[str, str]:
        """Return the types of the keys of the prompts, by their names."""
        return {name: "json" if kind is None else str(kind) for name, kind in self._kept.items()}

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        for name, kind in self._kept.items():
            value = row.get(name)
            if value is None:
                continue
            if kind is None:
                row[name] = to_json(value)
            elif kind == pyarrow.float64():
                row[name] = float(value)
        return row


def _decoded(row: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = msgspec.json.decode(row)
    except msgspec.DecodeError:
        whole = json.dumps(json.loads(row), ensure_ascii=False).encode(errors="replace")
        value = msgspec.json.decode(whole)
    return value


def _arrow_type(kind: inspect.Type) -> pyarrow.DataType:
    """Return the type of a field of a record, as it is in JSON."""
    match kind:
        case inspect.Metadata():
            return _arrow_type(kind.type)
        case inspect.UnionType():
            (known,) = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            return _arrow_type(known)
        case inspect.StructType():
            return pyarrow.struct([(field.encode_name, _arrow_type(field.type)) for field in kind.fields])
        case inspect.VarTupleType() | inspect.ListType():
            return pyarrow.list_(_arrow_type(kind.item_type))
        case inspect.IntType():
            return pyarrow.int64()
        case inspect.BoolType():
            return pyarrow.bool_()
        case inspect.StrType():
            return pyarrow.string()
    if isinstance(kind, inspect.FloatType) or (isinstance(kind, inspect.CustomType) and kind.cls is Number):
        return pyarrow.float64()
    assert isinstance(kind, inspect.CustomType)
    assert kind.cls is HexBytes
    return pyarrow.string()


class ParquetParts:
    """Parts that are Parquet, all with the same columns."""

    format = "parquet"

    def __init__(self, columns: ResultColumns) -> None:
        self._columns = columns

    def facts(self) -> dict[str, Any]:
        """Return what a run must share to add to the folder: all parts have the same columns."""
        return {"format": self.format, "columns": self._columns.described()}

    def write(self, rows: Iterable[str], file: BinaryIO) -> None:
        """Write results, each as JSON."""
        parquet.write_table(self._columns.table(rows), file)

    def count(self, part: Path) -> Totals:
        """Count the results in a part."""
        errors = parquet.read_table(part, columns=["error"])["error"]
        return Totals(len(errors), len(errors) - errors.null_count)
