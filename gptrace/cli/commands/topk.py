"""`gptrace topk`: the most likely next tokens of one prompt, of several, or of a stream without end."""

from __future__ import annotations

from typing import Any

from gptrace.cli.options.display import LogProbabilities
from gptrace.cli.options.file_run import FileRunOptions
from gptrace.cli.options.groups import OutputOptions, PredictingModelOptions, TextOptions, Truncate
from gptrace.cli.options.prediction import (
    BatchSize,
    InputFormat,
    K,
    NextTokens,
    Positions,
    Resume,
    Temperature,
)
from gptrace.cli.output import CommandResult
from gptrace.cli.prompt_lines import PromptStreamOptions
from gptrace.report import View


def topk(
    text: TextOptions, model: PredictingModelOptions, output: OutputOptions, files: FileRunOptions,
    input_format: InputFormat = None, resume: Resume = False, truncate: Truncate = False, k: K = None,
    temperature: Temperature = 1.0, tokens: NextTokens = None, positions: Positions = "last",
    logprobs: LogProbabilities = False, batch_size: BatchSize = None,
) -> CommandResult:  # fmt: skip
    """Show the most likely next tokens of prompts, or of a stream.

    With --lines or --input-format jsonl each line of stdin is a prompt. Results are written as soon as they
    are ready, in the order of the lines, for any number of lines; with --format jsonl each result is a line.
    A line that cannot be a prompt gets an error as its result, and the exit code is 1 at the end.
    With --from and --to, prompts and results are in files, and many processes or machines share the work.
    """
    destination = output.destination()
    view = View(log_probabilities=logprobs)
    options: dict[str, Any] = {
        "k": k, "temperature": temperature, "truncate": truncate, "positions": positions,
        "tokens": tokens or (), "batch_size": batch_size,
    }  # fmt: skip
    is_stdin = input_format is not None or resume
    if (done := files.result("topk", text, model, destination, is_stdin=is_stdin, **options)) is not None:
        return done
    lines = PromptStreamOptions.parse("topk", text, input_format, resume, destination)
    session = model.session()
    if lines is None:
        return destination.result(session.topk(text.source(), **options), view)
    stream = session.topk_stream(lines.prompts, special=not text.no_special, **options)
    return lines.result(destination, stream, view)
