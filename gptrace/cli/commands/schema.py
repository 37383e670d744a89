"""`gptrace schema`: the JSON Schema of the outputs."""

from __future__ import annotations

from typing import Annotated

import typer

from gptrace.cli.options.output import OutputFile
from gptrace.cli.output import CommandResult, Destination, checked_file
from gptrace.errors import OptionError
from gptrace.model.config import suggestion
from gptrace.report.json_report import to_json
from gptrace.report.schemas import SCHEMAS


def schema(
    name: Annotated[str | None, typer.Argument(metavar="NAME", hidden=True)] = None,
    output: OutputFile = None,
) -> CommandResult:
    """Print the JSON Schema of an output."""
    destination = Destination("json", checked_file(output))
    if name is not None and name not in SCHEMAS:
        raise OptionError(f"{name!r} is not an output with a schema", suggestion(name, SCHEMAS))
    content = SCHEMAS if name is None else SCHEMAS[name]
    return CommandResult(to_json(content, indent=2) + "\n", destination)


schema.__doc__ = f"{schema.__doc__}\n\n    NAME is one of {', '.join(SCHEMAS)} (default: all)."
