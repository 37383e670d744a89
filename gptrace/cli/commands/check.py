"""`gptrace check`: is this model right, and if not, which line is wrong?"""

from __future__ import annotations

from dataclasses import replace

from gptrace.cli.options.display import Devices, Dtypes, Learns, ListChecks, OnlyChecks
from gptrace.cli.options.groups import ModelOptions, OptionalTextOptions, OutputOptions
from gptrace.cli.output import JUNIT, CommandResult
from gptrace.errors import EXIT_DONE, EXIT_FAILED, OptionError
from gptrace.verify.check.names import check_list, resolve_checks


def check(
    text: OptionalTextOptions, model: ModelOptions, output: OutputOptions,
    only: OnlyChecks = None, learns: Learns = False, devices: Devices = False, dtypes: Dtypes = False,
    list_checks: ListChecks = False,
) -> CommandResult:  # fmt: skip
    """Check whether a model is right, and show the line that is not.

    Each check is an invariant that is measured on the model: ✓ where it holds, ✗ where it does not, – where
    it does not apply or cannot be judged. A ✗ comes with the first line of the model's own code that breaks
    it, the likely mistake, and the code to write instead. The exit code is 1 if a check fails, and if none
    applies or can be judged. A model with random weights is checked at a small size. With TEXT or --ids the
    prompts begin with these tokens, and the vocabulary keeps its size.
    """
    destination = output.destination(JUNIT)
    if list_checks:
        is_asked_for = output.json or output.format is not None or output.file is not None
        if is_asked_for and destination.format != "table":  # not by the variable GPTRACE_FORMAT
            raise OptionError(f"--list has no format {destination.format!r}", "drop --format: it is a text")
        return CommandResult(check_list(destination.language), destination)
    asked = {"learns": learns, "devices": devices, "dtypes": dtypes}
    names = resolve_checks(only or (), [name for name, is_asked in asked.items() if is_asked])
    session = model.session()
    record = session.check(text.source(), only=names, lang=destination.language)
    return replace(destination.result(record), exit_code=EXIT_DONE if record else EXIT_FAILED)
