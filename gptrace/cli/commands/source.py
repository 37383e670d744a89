"""`gptrace source`: the model's own code, each line with the shapes that it makes."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gptrace.cli import output_file, streams
from gptrace.cli.failures import after_report, nothing_returned
from gptrace.cli.options.display import CheckLines, DiffComments, FullCode, RemoveComments, WriteComments
from gptrace.cli.options.groups import ModelOptions, OutputOptions, TextOptions, Truncate
from gptrace.cli.output import CommandResult, Destination
from gptrace.errors import EXIT_DONE, EXIT_FAILED, GptraceError, OptionError, OutputError
from gptrace.record import Source
from gptrace.report import View
from gptrace.report.safe_text import visible_lines
from gptrace.wording import enumerated

if TYPE_CHECKING:
    from gptrace.verify.source.writing import CommentedFile


def source(
    text: TextOptions, model: ModelOptions, output: OutputOptions,
    truncate: Truncate = False, full: FullCode = False, check: CheckLines = False,
    write: WriteComments = False, remove: RemoveComments = False, diff: DiffComments = False,
) -> CommandResult:  # fmt: skip
    """Show your own code, each line with the shapes that it makes.

    The functions that ran are shown as they are in the file, with axis names and sizes beside each line that
    makes a tensor. "×12" marks a line that ran 12 times, "–" a line that did not run. With --write the shapes
    become comments in the file, which begin with "# gptrace:"; a second run replaces them, and --remove
    restores the file.
    """
    destination = output.destination()
    _check_options(destination, write=write, remove=remove, diff=diff)
    session = model.session()
    failure: GptraceError | None = None
    try:
        record = session.source(text.source(), truncate=truncate, check=check, lang=destination.language)
        failure = nothing_returned(record, destination)
    except GptraceError as error:
        if not isinstance(error.source, Source):
            raise
        record = error.source  # up to where it broke
        failure = error if diff else after_report(error, record.error, destination)
    # The lines after a failure have no shapes, so writing would remove the comments that they have.
    if diff or remove or (write and record.error is None):
        from gptrace.verify.source.writing import ChangedFileError, commented_files  # it needs torch

        try:
            changed = commented_files(record, remove=remove)
        except ChangedFileError as error:
            refusal = error
            return CommandResult(_safe(refusal.diff), final_error=lambda: refusal)
        if diff:
            text_of_diff = "".join(file.diff for file in changed)
            return CommandResult(_safe(text_of_diff), final_error=lambda: failure)
        _write(changed, record)
    result = destination.result(record, View(full=full))
    exit_code = EXIT_FAILED if record.checks else EXIT_DONE
    return replace(result, final_error=lambda: failure, exit_code=exit_code)


def _check_options(destination: Destination, *, write: bool, remove: bool, diff: bool) -> None:
    """Raise an OptionError for options that do not go together."""
    if write and (diff or remove):
        problem = f"--write and {'--diff' if diff else '--remove'} are both given"
        raise OptionError(problem, "drop one of the two")
    if diff and (destination.format != "table" or destination.file is not None):
        raise OptionError("--diff is plain text on stdout", "leave out --format, --json and --output")


def _safe(diff: str) -> str:
    """Return a diff without control characters; harmless ones stay, so that it can be applied."""
    parts = re.split("(\t|\f|\r\n)", diff)
    return "".join(part if part in ("\t", "\f", "\r\n") else visible_lines(part) for part in parts)


def _write(files: Sequence[CommentedFile], record: Source) -> None:
    """Write the files with their comments, or without, and say how many there are, and which take none."""
    from gptrace.verify.source.writing import files_without_comments

    for file in files:
        if file.before != file.after:
            _check_replaceable(file)
    for file in files:
        is_new = file.before != file.after
        if is_new:
            try:
                output_file.replace_file(file.path, [file.after])
            except OSError as error:
                problem = f"{file.name!r} cannot be written: {error.strerror}"
                raise OutputError(problem, "the file is as it was before") from None
        count = file.comments
        if not file.has_comments:
            streams.write_notice(
                f"{count} shape {'comment was' if count == 1 else 'comments were'} taken out of {file.name!r}"
            )
        elif is_new:
            streams.write_notice(
                f"{count} shape {'comment is' if count == 1 else 'comments are'} now in {file.name!r}"
            )
        else:
            streams.write_notice(
                f"{file.name!r} is up to date: it has {count} shape {'comment' if count == 1 else 'comments'}"
            )
        if file.foreign:
            numbers = enumerated(list(map(str, file.foreign)), 8)
            streams.write_notice(
                f"comments that gptrace did not write stay in {file.name!r}: lines {numbers}"
            )
        if file.refused:
            numbers = enumerated(list(map(str, file.refused)), 8)
            streams.write_notice(f"no comment fits at the end of these lines of {file.name!r}: {numbers}")
    for reason in files_without_comments(record):
        streams.write_notice(f"no comments in {reason}")


def _check_replaceable(file: CommentedFile) -> None:
    """Raise an OutputError for a file that may not be replaced by a new one of its name."""
    status = os.stat(file.path)
    if not status.st_mode & 0o222:
        hint = f"allow it first: chmod u+w {shlex.quote(str(file.path))}"
        raise OutputError(f"{file.name!r} cannot be written: it is read-only", hint)
    if status.st_nlink > 1:
        problem = f"{file.name!r} is left as it is: it has other names (hard links), which would part from it"
        raise OutputError(problem, "copy the file, and name the copy: --model FILE.py:OBJECT")
