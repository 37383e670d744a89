"""`gptrace schema`: the JSON Schema of the outputs."""

from __future__ import annotations

from typing import Annotated

import typer

from gptrace.cli.options.groups import Language, OutputFile
from gptrace.cli.output import CommandResult, Destination, checked_file, settled_language
from gptrace.errors import OptionError
from gptrace.record.schema import json_schema, report_names
from gptrace.record.writing import to_json
from gptrace.wording import suggestion


def schema(
    name: Annotated[str | None, typer.Argument(metavar="NAME", hidden=True)] = None,
    output: OutputFile = None, lang: Language = None,
) -> CommandResult:  # fmt: skip
    """Print the JSON Schema of an output."""
    settled_language(lang)
    if output is not None and output.suffix.lower() not in ("", ".json", ".txt"):
        problem = f"--output {output}: a schema is JSON, and this suffix names another format"
        raise OptionError(problem, "give a name that ends in .json")
    destination = Destination("json", checked_file(output))
    if name is not None and name not in report_names():
        raise OptionError(f"{name!r} is not an output with a schema", suggestion(name, report_names()))
    schemas = {each: json_schema(each) for each in ([name] if name else report_names())}
    content = schemas[name] if name else schemas
    return CommandResult(to_json(content, indent=2) + "\n", destination)


schema.__doc__ = f"{schema.__doc__}\n\n    NAME is one of {', '.join(report_names())} (default: all)."
