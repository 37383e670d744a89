"""JSON → records: what gptrace printed is checked against its type and read back."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gptrace.errors import InputError
from gptrace.input_files import InputFile
from gptrace.record.base import Base64Bytes, HexBytes, Number, Report
from gptrace.record.lens import Lens
from gptrace.record.page import Page
from gptrace.record.prompt_result import PromptResult
from gptrace.record.schema import item_type, report_names, report_type
from gptrace.record.trace import TensorSpec, Trace
from gptrace.wording import quoted_value, shortened

AnyReport = TypeVar("AnyReport", bound=Report)
_HINT = "give a file that gptrace wrote with --json"
_LARGEST = 256 << 20  # bytes; read as JSON, they take many times as much memory


def load(path: str | Path) -> Report:
    """Read a file that gptrace wrote with `--json`, and return its record.

    The "schema" in the file says which record it is: a Trace, TopK, Loss, Generation, Lens, Explanation,
    Tokens, Presets or Difference. Raises an InputError for a file that cannot be read, has more than 256 MiB,
    is damaged, or was written by another version.
    """
    name = str(path)
    text = InputFile(path, name, _HINT).text(_LARGEST)
    return parse(text, name)


def parse(text: str, name: str = "the text") -> Report:
    """Return the record of a JSON text; `name` is what an error calls the text.

    >>> from gptrace.record import Tokens
    >>> tokens = Tokens({"gptrace": "1"}, "gpt2", 50257, ())
    >>> parse(tokens.to_json()) == tokens
    True
    """
    try:
        # A NaN that another program wrote is read as the null that it should have been.
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON: {error}", _HINT) from None
    record_type = _type_of(value, name)
    try:
        return _converted(value, record_type)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is damaged: {error}", "write it again with gptrace … --json") from None


def expect(report: Report, record_type: type[AnyReport], name: str) -> AnyReport:
    """Return a report that has to be of one type; raise an InputError for another."""
    if not isinstance(report, record_type):
        schema, wanted = (kind.__struct_config__.tag for kind in (type(report), record_type))
        hint = "traces are compared: make one with gptrace run … -o FILE.json"
        raise InputError(f"{name} holds {schema}, not {wanted}", hint)
    return report


def _type_of(value: Any, name: str) -> type[Report]:
    schema = value.get("schema") if isinstance(value, dict) else None
    kind, _, version = schema.rpartition("/") if isinstance(schema, str) else ("", "", "")
    output = kind.removeprefix("gptrace.")
    if not kind.startswith("gptrace.") or output not in report_names():
        outputs = ", ".join(report_names())
        raise InputError(
            f"{name} has the schema {quoted_value(schema)}", f"gptrace reads what it wrote: {outputs}"
        )
    if version != "1":
        version = shortened(version, 50)
        raise InputError(
            f"{name} is version {version} of gptrace.{output}, and this gptrace reads version 1",
            "read it with the version of gptrace that wrote it, or write it again with this one",
        )
    return report_type(output)


def _converted(value: dict[str, Any], record_type: type[Report]) -> Report:
    item, items = item_type(record_type), value.get(record_type.items)
    if item is not None and issubclass(item, PromptResult) and isinstance(items, list):
        value = value | {record_type.items: [_with_extra(result, item) for result in items]}
    report: Report = msgspec.convert(value, record_type, dec_hook=_decode)
    trace = report.trace if isinstance(report, Page) else report
    if isinstance(trace, Trace):
        _check_tree(trace)
        _check_parts(trace)
    if isinstance(report, Lens):
        _check_cells(report)
    return report


def _with_extra(result: Any, result_type: type[PromptResult]) -> Any:
    """Gather the keys of a result that are none of its fields: they came with the prompt."""
    if not isinstance(result, dict):
        return result
    names = result_type.own_keys()
    extra = {key: item for key, item in result.items() if key not in names}
    return {key: item for key, item in result.items() if key in names} | {result_type.pass_through: extra}


def _check_tree(trace: Trace) -> None:
    """Raise a ValueError where the calls are no tree in order of entry."""
    for index, call in enumerate(trace.calls):
        if call.index != index or not (call.parent is None or call.parent < index):
            raise ValueError(f"call {index} has the index {call.index} and the parent {call.parent}")
        if call.depth != (0 if call.parent is None else trace.calls[call.parent].depth + 1):
            raise ValueError(f"call {index} has the depth {call.depth}")
    if len({(call.path, call.call) for call in trace.calls}) < len(trace.calls):
        raise ValueError("one call is there twice")
    if any(not 0 <= prediction.input < len(trace.inputs) for prediction in trace.predictions):
        raise ValueError("a prediction belongs to no input")


def _check_parts(trace: Trace) -> None:
    """Raise a ValueError where the part of a tensor on one rank has another number of axes than it."""
    for call in trace.calls:
        specs = [*call.inputs, *call.outputs]
        specs += [spec for op in call.ops or () for spec in (*op.inputs, *op.outputs)]
        if not all(map(_has_part_of_itself, specs)):
            raise ValueError(f"call {call.index} has a tensor whose local_shape is not that of a part of it")


def _has_part_of_itself(spec: TensorSpec) -> bool:
    axes = [spec.shape, spec.dims, spec.local_shape, spec.split_by]
    return not spec.local_shape or not spec.split_by or len({len(each or ()) for each in axes}) == 1


def _check_cells(lens: Lens) -> None:
    """Raise a ValueError where a prompt without an error has no layers, or a layer not all positions."""
    for result in lens.results:
        if not result.layers and result.problem is None:
            raise ValueError(f"result {result.index} has no layers")
        if any(len(layer.cells) != len(result.tokens) for layer in result.layers):
            raise ValueError(f"result {result.index} has a layer that lacks positions")


def _decode(kind: type, value: Any) -> Any:
    if kind is HexBytes and isinstance(value, str):
        return HexBytes.fromhex(value)
    if kind is Base64Bytes and isinstance(value, str):
        return Base64Bytes(base64.b64decode(value, validate=True))
    if kind is Number and (value is None or type(value) in (int, float)):
        return Number(math.nan if value is None else value)
    raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
