"""`gptrace lens`: the tokens that each layer of a model would predict."""

from __future__ import annotations

from gptrace.cli.options.display import FullText
from gptrace.cli.options.groups import OutputOptions, PredictingModelOptions, TextOptions, Truncate
from gptrace.cli.options.prediction import Head, InputFormat, K, Resume
from gptrace.cli.output import CommandResult
from gptrace.cli.prompt_lines import PromptStreamOptions
from gptrace.report import View


def lens(
    text: TextOptions, model: PredictingModelOptions, output: OutputOptions,
    input_format: InputFormat = None, resume: Resume = False,
    truncate: Truncate = False, k: K = None, head: Head = None, full: FullText = False,
) -> CommandResult:  # fmt: skip
    """Show what each layer would predict if it were the last.

    The output of each block goes through the final norm and the output head, at every position. gptrace
    checks that the last row is the prediction of the model itself. With --lines or --input-format
    jsonl each line of stdin is a prompt, whose result is written as soon as it is ready.
    """
    destination = output.destination()
    view = View(full=full)
    lines = PromptStreamOptions.parse("lens", text, input_format, resume, destination)
    session = model.session()
    if lines is None:
        record = session.lens(text.source(), truncate=truncate, k=k, head=head)
        return destination.result(record, view)
    stream = session.lens_stream(
        lines.prompts, special=not text.no_special, truncate=truncate, k=k, head=head
    )
    return lines.result(destination, stream, view)
