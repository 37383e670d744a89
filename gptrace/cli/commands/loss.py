"""`gptrace loss`: the cross-entropy of each token of a text."""

from __future__ import annotations

from gptrace.cli.options.display import FullText
from gptrace.cli.options.file_run import FileRunOptions
from gptrace.cli.options.groups import OutputOptions, PredictingModelOptions, TextOptions
from gptrace.cli.options.prediction import BatchSize, InputFormat, Resume, Stride
from gptrace.cli.output import CommandResult
from gptrace.cli.prompt_lines import PromptStreamOptions, progress_bar
from gptrace.report import View
from gptrace.translation import words


def loss(
    text: TextOptions, model: PredictingModelOptions, output: OutputOptions, files: FileRunOptions,
    input_format: InputFormat = None, resume: Resume = False,
    stride: Stride = None, batch_size: BatchSize = None, full: FullText = False,
) -> CommandResult:  # fmt: skip
    """Show the cross-entropy and perplexity of a text, by token.

    A text longer than the context goes through in windows that overlap. With --lines or --input-format jsonl
    each line of stdin is a text, whose result is written as soon as it is ready.
    """
    destination = output.destination()
    view = View(full=full)
    done = files.result(
        "loss", text, model, destination, is_stdin=input_format is not None or resume,
        stride=stride, batch_size=batch_size,
    )  # fmt: skip
    if done is not None:
        return done
    lines = PromptStreamOptions.parse("loss", text, input_format, resume, destination)
    session = model.session()
    with progress_bar(words("windows"), is_stream=lines is not None) as bar:
        if lines is None:
            record = session.loss(text.source(), stride=stride, batch_size=batch_size, progress=bar.show)
            return destination.result(record, view)
        stream = session.loss_stream(
            lines.prompts, special=not text.no_special, stride=stride, batch_size=batch_size,
            progress=bar.show,
        )  # fmt: skip
    return lines.result(destination, stream, view, bar)
