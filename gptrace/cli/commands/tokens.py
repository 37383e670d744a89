"""`gptrace tokens`: ids, text and bytes of each token."""

from __future__ import annotations

from gptrace.cli.options.groups import OutputOptions, TextOptions
from gptrace.cli.options.prediction import InputFormat, Resume
from gptrace.cli.output import CommandResult
from gptrace.cli.prompt_lines import PromptStreamOptions
from gptrace.session import Session


def tokens(
    text: TextOptions, output: OutputOptions, input_format: InputFormat = None, resume: Resume = False
) -> CommandResult:
    """Show the ids, text and bytes of each token; loads no model.

    With --lines or --input-format jsonl each line of stdin is a prompt, whose result is written as soon as it
    is ready. A line that cannot be a prompt gets an error as its result, and the exit code is 1 at the end.
    """
    destination = output.destination()
    lines = PromptStreamOptions.parse("tokens", text, input_format, resume, destination)
    if lines is None:
        return destination.result(Session().tokens(text.source()))
    return lines.result(destination, Session().tokens_stream(lines.prompts, special=not text.no_special))
