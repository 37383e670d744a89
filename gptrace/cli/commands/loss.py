"""`gptrace loss`: how well a model expects each token of a text."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from gptrace import api
from gptrace.cli import options
from gptrace.cli.option_groups import ModelOptions, OutputOptions, TextOptions
from gptrace.cli.output import CommandResult
from gptrace.report import View


def loss(
    text: TextOptions,
    model: ModelOptions,
    output: OutputOptions,
    stride: options.Stride = None,
    batch_size: options.BatchSize = None,
    full: options.FullText = False,
) -> CommandResult:
    """Show how well the model expects a text: cross-entropy and perplexity, token by token.

    A text longer than the context goes through in windows that overlap.
    """
    target = output.target()
    chosen = model.chosen()
    given = text.given()
    with redirect_stdout(sys.stderr):
        found = api.loss(given, model=chosen, stride=stride, batch_size=batch_size)
    return target.reply(found, View(full=full))
