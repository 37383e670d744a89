"""`gptrace loss`: the cross-entropy of each token of a text."""

from __future__ import annotations

from gptrace.cli.options.display import FullText
from gptrace.cli.options.groups import ModelOptions, OutputOptions, TextOptions
from gptrace.cli.options.prediction import BatchSize, Stride
from gptrace.cli.output import CommandResult
from gptrace.report import View


def loss(
    text: TextOptions, model: ModelOptions, output: OutputOptions,
    stride: Stride = None, batch_size: BatchSize = None, full: FullText = False,
) -> CommandResult:  # fmt: skip
    """Show the cross-entropy and perplexity of a text, by token.

    A text longer than the context goes through in windows that overlap.
    """
    destination = output.destination()
    session = model.session()
    record = session.loss(text.source(), stride=stride, batch_size=batch_size)
    return destination.result(record, View(full=full))
