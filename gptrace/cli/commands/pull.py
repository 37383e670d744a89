"""`gptrace pull`: download published weights."""

from __future__ import annotations

from typing import Annotated

import typer

from gptrace.cli import streams
from gptrace.cli.options.groups import Language
from gptrace.cli.output import CommandResult, settled_language
from gptrace.model.weights import hub


def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME", hidden=True)], lang: Language = None
) -> CommandResult:
    """Download published weights, unless they are there already."""
    settled_language(lang)
    published = [hub.published(name) for name in names]
    folders = [hub.fetch(name, streams.write_notice) for name in published]
    return CommandResult("".join(f"{folder}\n" for folder in folders))


pull.__doc__ = f"{pull.__doc__}\n\n    NAME is one or more of {', '.join(hub.PUBLISHED)}."
