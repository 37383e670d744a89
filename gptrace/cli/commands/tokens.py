"""`gptrace tokens`: ids, text and bytes of each token."""

from __future__ import annotations

from gptrace import api
from gptrace.cli.option_groups import OutputOptions, TextOptions
from gptrace.cli.output import CommandResult


def tokens(text: TextOptions, output: OutputOptions) -> CommandResult:
    """Show ids, text and bytes of each token; loads no model."""
    target = output.target()
    return target.reply(api.tokens_of(text.given()))
