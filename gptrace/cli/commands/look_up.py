"""What is there: `gptrace models`, `gptrace pull` to have more of it, and `gptrace schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from gptrace import api
from gptrace.cli import options, streams
from gptrace.cli.option_groups import OutputOptions
from gptrace.cli.output import CommandResult, checked
from gptrace.errors import OptionError
from gptrace.model.weights import hub
from gptrace.record.encoding import to_json
from gptrace.record.schema import json_schema, report_names
from gptrace.wording import suggestion


def models(output: OutputOptions) -> CommandResult:
    """List the models that --model knows by name, with their sizes."""
    return output.target().reply(api.presets())


def pull(names: Annotated[list[str], typer.Argument(metavar="NAME", hidden=True)]) -> CommandResult:
    """Fetch published weights, once."""
    known = [hub.published(name) for name in names]
    return CommandResult("".join(f"{hub.fetch(name, streams.write_notice)}\n" for name in known))


def schema(
    name: Annotated[str | None, typer.Argument(metavar="NAME", hidden=True)] = None,
    output: options.Output = None,
) -> CommandResult:
    """Print the JSON Schema of an output."""
    if name is not None and name not in report_names():
        raise OptionError(f"{name!r} is not an output with a schema", suggestion(name, report_names()))
    wanted = json_schema(name) if name is not None else {each: json_schema(each) for each in report_names()}
    return CommandResult(to_json(wanted, indent=2) + "\n", output=checked(output))


pull.__doc__ = f"{pull.__doc__} NAME is one or more of {', '.join(hub.PUBLISHED)}."
schema.__doc__ = f"{schema.__doc__} NAME is one of {', '.join(report_names())}; without it: all."
