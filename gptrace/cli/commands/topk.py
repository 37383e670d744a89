"""`gptrace topk`: the most likely next tokens, of one prompt or of a stream of them."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from gptrace import api
from gptrace.cli import options
from gptrace.cli.groups import ModelOptions, OutputOptions, TextOptions
from gptrace.cli.reply import Reply


def topk(
    text: TextOptions,
    model: ModelOptions,
    output: OutputOptions,
    truncate: options.Truncate = False,
    k: options.K = None,
    temperature: options.Temperature = 1.0,
) -> Reply:
    """Show the most likely next tokens of one prompt or several."""
    target = output.target()
    chosen = model.chosen()
    given = text.given()
    with redirect_stdout(sys.stderr):
        result = api.topk_given(given, chosen, k=k, temperature=temperature, truncate=truncate)
    return target.reply(result)
