"""`gptrace models`: the models that have a name."""

from __future__ import annotations

from gptrace import api
from gptrace.cli.options.groups import OutputOptions
from gptrace.cli.output import CommandResult


def models(output: OutputOptions) -> CommandResult:
    """List the models that --model knows by name, with their sizes."""
    destination = output.destination()
    return destination.result(api.presets())
