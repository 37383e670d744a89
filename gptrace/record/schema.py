"""The outputs by name, and the JSON Schema (2020-12) of each, derived from its record type."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import Any, get_args, get_type_hints

import msgspec

import gptrace.record
from gptrace.record.base import Base64Bytes, HexBytes, Number, Record, Report
from gptrace.record.prompt_result import PromptResult

# What an output is, where it is not the --json of a command of its name.
_TITLES = {"trace": "gptrace run --json", "page": "gptrace run -o FILE.html"}


@cache
def report_names() -> tuple[str, ...]:
    """Return the names of all outputs: each is the name of a file here that defines a tagged Report.

    >>> "topk" in report_names()
    True
    """
    modules = [module.name for module in pkgutil.iter_modules(gptrace.record.__path__)]
    return tuple(name for name in modules if _reports_in(name))


def report_type(name: str) -> type[Report]:
    """Return the record type of an output.

    >>> report_type("topk").__name__
    'TopK'
    """
    return _reports_in(name)[0]


def item_type(report: type[Report]) -> type[Record] | None:
    """Return the record type of the items of an output, None where it has no list of records.

    >>> item_type(report_type("topk")).__name__
    'TopKResult'
    """
    kind = get_type_hints(report).get(report.items)
    items = [item for item in get_args(kind) if isinstance(item, type) and issubclass(item, Record)]
    return items[0] if items else None


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of an output. Names may be added within a version, so more are allowed."""
    schema = msgspec.json.schema(report_type(name), schema_hook=_custom_types)
    item = item_type(report_type(name))
    if item is not None and issubclass(
        item, PromptResult
    ):  # keys that are passed through stand beside the fields
        del schema["$defs"][item.__name__]["properties"][item.pass_through]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLES.get(name, f"gptrace {name} --json"),
        **schema,
    }


def _reports_in(name: str) -> list[type[Report]]:
    """Return the record types that the file of an output defines with its schema, the output's own first."""
    members = vars(import_module(f"gptrace.record.{name}")).values()
    return [
        member
        for member in members
        if isinstance(member, type)
        and issubclass(member, Report)
        and member.__struct_config__.tag
        and member.output_name() == name
    ]


def _custom_types(kind: type) -> dict[str, Any]:
    if kind is HexBytes:
        return {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
    if kind is Base64Bytes:
        return {"type": "string", "contentEncoding": "base64"}
    if kind is Number:
        return {"type": ["number", "null"], "description": "null stands for NaN or an infinity"}
    raise NotImplementedError(kind)
