"""`gptrace lens`: what each layer of a model would predict."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from gptrace import api
from gptrace.cli import options
from gptrace.cli.option_groups import ModelOptions, OutputOptions, TextOptions
from gptrace.cli.output import CommandResult
from gptrace.report import View


def lens(
    text: TextOptions,
    model: ModelOptions,
    output: OutputOptions,
    truncate: options.Truncate = False,
    k: options.K = None,
    head: options.Head = None,
    full: options.FullText = False,
) -> CommandResult:
    """Show what each layer would predict if it were the last.

    What leaves a block goes through the final norm and the output head, at every position. The last layer's
    row is checked to be what the model predicts.
    """
    target = output.target()
    chosen = model.chosen()
    given = text.given()
    with redirect_stdout(sys.stderr):
        found = api.lens(given, model=chosen, truncate=truncate, k=k, head=head)
    return target.reply(found, View(full=full))
