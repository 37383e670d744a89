"""`gptrace lens`: the tokens that each layer of a model would predict."""

from __future__ import annotations

from gptrace.cli.options.display import FullText
from gptrace.cli.options.groups import ModelOptions, OutputOptions, TextOptions, Truncate
from gptrace.cli.options.prediction import Head, K
from gptrace.cli.output import CommandResult
from gptrace.report import View


def lens(
    text: TextOptions, model: ModelOptions, output: OutputOptions,
    truncate: Truncate = False, k: K = None, head: Head = None, full: FullText = False,
) -> CommandResult:  # fmt: skip
    """Show what each layer would predict if it were the last.

    The output of each block goes through the final norm and the output head, at every position. gptrace
    checks that the last row is the prediction of the model itself.
    """
    destination = output.destination()
    session = model.session()
    record = session.lens(text.source(), truncate=truncate, k=k, head=head)
    return destination.result(record, View(full=full))
