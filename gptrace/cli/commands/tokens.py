"""`gptrace tokens`: ids, text and bytes of each token."""

from __future__ import annotations

from gptrace.cli.options.groups import OutputOptions, TextOptions
from gptrace.cli.output import CommandResult
from gptrace.session import Session


def tokens(text: TextOptions, output: OutputOptions) -> CommandResult:
    """Show the ids, text and bytes of each token; loads no model."""
    destination = output.destination()
    return destination.result(Session().tokens(text.source()))
