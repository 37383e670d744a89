"""stdout and stderr: data goes to stdout, all else to stderr."""

from __future__ import annotations

import os
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import TextIO

from gptrace.cli import raw_stderr
from gptrace.cli.language import can_show, spoken
from gptrace.cli.sink import Sink, encodable, encoding_of, is_terminal
from gptrace.errors import OutputError
from gptrace.ranks import rank
from gptrace.report.glyphs import in_encoding
from gptrace.report.safe_text import visible, visible_lines
from gptrace.translation import recorded, words
from gptrace.wording import shortened

_PIECE = 1 << 20  # characters
_LONGEST = 3000  # characters of an error, a hint or a note


class ReaderGoneError(Exception):
    """The reader of stdout has gone away, which is no error: `gptrace run | head`."""


_written = False
# The file that was being continued when the run was interrupted.
_continued: Path | None = None
# The stream that data goes to, while `only_data_on_stdout` redirects sys.stdout.
_kept: list[TextIO | None] = []
_sinks: deque[Sink] = deque(maxlen=8)


def write_stdout(text: str) -> None:
    """Write data; raise ReaderGoneError when its reader is gone, OutputError when it cannot be written."""
    global _written
    stdout = _stdout()
    if stdout is None:
        raise OutputError("stdout is closed", "send it somewhere, or use --output FILE")
    try:
        with suppress(OSError, ValueError):  # not every stream is a descriptor
            # A parent may have left it non-blocking, where a full pipe would look like an error.
            os.set_blocking(stdout.fileno(), True)
        _written = _written or bool(text)
        try:
            stdout.write(encodable(text, stdout))
            stdout.flush()  # now, because an error at exit could not be handled
        except KeyboardInterrupt:
            stdout.flush()  # so that the reader gets whole lines
            raise
    except OSError as error:
        _let_go_of_stdout()
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError from None
        raise OutputError(
            f"stdout cannot be written: {error.strerror}", "is the disk full? Nothing more was written"
        ) from None


@contextmanager
def only_data_on_stdout() -> Iterator[None]:
    """Keep stdout for `write_stdout` in the block: whatever other code prints goes to stderr, as safe text.

    This includes C code and child processes: descriptor 1, where they write, leads to stderr meanwhile.
    """
    global _written, _continued
    _written = False
    _continued = None
    with ExitStack() as undo:
        kept = _kept_descriptor(undo) if sys.stdout is sys.__stdout__ else None
        _kept.append(sys.stdout if kept is None else kept)
        undo.callback(_kept.pop)
        sink = Sink(sys.stderr or undo.enter_context(open(os.devnull, "w", encoding="utf-8")))
        # CPython's `print` holds no reference to its stream, and a thread of the model may go on printing.
        _sinks.append(sink)
        undo.callback(_end_line, sink)
        undo.enter_context(redirect_stdout(sink))
        undo.enter_context(redirect_stderr(sink))
        yield


@contextmanager
def only_progress_on_stderr() -> Iterator[None]:
    """Drop in the block what other code prints, C code and child processes too; not with GPTRACE_DEBUG=1.

    A progress bar that was made before is shown.
    """
    with ExitStack() as undo:
        if os.environ.get("GPTRACE_DEBUG") != "1":
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - threads may write to it for ever
            if raw_stderr.has_started():  # so that descriptor 2 is not that of the bar
                for descriptor in (1, 2):
                    kept = raw_stderr.high_copy(descriptor)
                    undo.callback(os.close, kept)
                    undo.callback(os.dup2, kept, descriptor)
                    os.dup2(nowhere.fileno(), descriptor)
            undo.enter_context(redirect_stdout(nowhere))
            undo.enter_context(redirect_stderr(nowhere))
        yield


def _end_line(sink: Sink) -> None:
    raw_stderr.wait()
    with suppress(OSError, ValueError, AttributeError):
        sink.end_line()


@contextmanager
def captured() -> Iterator[tuple[StringIO, StringIO]]:
    """Capture in the block what Typer prints on stdout, such as a help page, and what it complains about."""
    printed, complaints = StringIO(), StringIO()
    with redirect_stdout(printed), redirect_stderr(complaints):
        yield printed, complaints


def _kept_descriptor(undo: ExitStack) -> TextIO | None:
    """Make descriptor 1 a copy of stderr's until undone; return a stream to where it led before.

    Without a stderr it leads nowhere meanwhile, so that nothing else gets among the data.
    """
    try:
        sys.stdout.flush()
        original = raw_stderr.high_copy(1)
        _copy_stderr_to_stdout()
    except (OSError, ValueError, AttributeError):  # closed: nothing can be written there
        return None

    def restore() -> None:
        with suppress(OSError, ValueError):
            sys.stdout.flush()  # what other code wrote goes to stderr
        os.dup2(original, 1)
        with suppress(OSError):
            stream.close()

    stream = open(original, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, newline="")  # noqa: SIM115 - closed when undone
    undo.callback(restore)
    return stream


def _copy_stderr_to_stdout() -> None:
    """Let descriptor 1 lead where descriptor 2 does, or nowhere if that is closed."""
    try:
        os.dup2(2, 1)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _stdout() -> TextIO | None:
    """Return the stream that data goes to."""
    return _kept[-1] if _kept else sys.stdout


def state_of_output() -> str:
    """Say after an interruption what of the data was written, and how to go on."""
    if _continued is not None:
        return f"the results so far are in {_continued}; run the same command again to add the others"
    what = "what was written is incomplete" if _written else "nothing was written"
    return f"{what}; run the command again"


def interrupted_while_adding_to(file: Path) -> None:
    """Remember a file that has got results when the run is interrupted, for `state_of_output`."""
    global _continued
    _continued = file


def write_stdout_pieces(pieces: Iterable[str], *, at_once: bool = False) -> None:
    """Write data that is made piece by piece; `at_once`: write each piece as soon as it is made."""
    held, size = [], 0
    for piece in pieces:
        if at_once:
            write_stdout(piece)
            continue
        held.append(piece)
        size += len(piece)
        if size > _PIECE:
            write_stdout("".join(held))
            held, size = [], 0
    write_stdout("".join(held))


def language_of_stdout(language: str) -> str:
    """Return the language to write data in: English where stdout has no Chinese, which a note says."""
    if can_show(language, _stdout()):
        return language
    write_notice(
        f"the output is in English: its encoding, {stdout_encoding()}, lacks simplified Chinese characters"
    )
    return "en"


def write_notice(text: str) -> None:
    """Write a note to stderr, where this is the process that prints."""
    if rank() > 0:
        return
    _write_stderr(spoken(words("note: {}", recorded(_safe(text))), stderr()) + "\n")


def write_error(message: str, hint: str) -> None:
    """Write the error line, and a hint line if there is a hint, with control characters escaped."""
    if rank() > 0:
        message = f"rank {rank()}: {message}"
    _write_labelled(words("error: {}", recorded(_safe(message))), words("error: {}", ""), "\x1b[1;31m")
    if hint:
        _write_labelled(words("hint: {}", recorded(_safe(hint))), words("hint: {}", ""), "\x1b[36m")


def _write_labelled(text: str, label: str, color: str) -> None:
    """Write a line that begins with a label, which is in a colour."""
    text, label = spoken(text, stderr()), spoken(label, stderr()).rstrip()
    if _wants_color(stderr()):
        text = f"{color}{label}\x1b[0m{text.removeprefix(label)}"
    _write_stderr(text + "\n")


def _safe(text: str) -> str:
    return shortened(visible(text), _LONGEST)


def write_traceback(error: BaseException) -> None:
    """Write the traceback of an exception to stderr, with control characters escaped."""
    _write_stderr(visible_lines("".join(traceback.format_exception(error))))


def stdout_encoding() -> str:
    """Return the encoding of the stream that data goes to."""
    return encoding_of(_stdout())


def stdout_wants_color() -> bool:
    """Tell whether data is written in colour."""
    return _wants_color(_stdout())


def _wants_color(stream: TextIO | None) -> bool:
    """Decide on colour: NO_COLOR, then FORCE_COLOR, then whether the stream is a terminal."""
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (is_terminal(stream) and os.environ.get("TERM") != "dumb")


def can_show_progress(*, is_stream: bool = True) -> bool:
    """Tell whether a line on stderr may move: it is a terminal, and no stream of results goes to it too."""
    stdout = _stdout()
    if not is_terminal(stderr()) or os.environ.get("TERM") == "dumb":
        return False
    return stdout is not None and not (is_stream and is_terminal(stdout))


def stdout_is_terminal() -> bool:
    """Tell whether stdout is a terminal."""
    return is_terminal(_stdout())


def stdout_width() -> int | None:
    """Return the columns of the terminal, or None when stdout is none: then nothing is cut."""
    stdout = _stdout()
    return terminal_width(stdout) if stdout is not None and stdout_is_terminal() else None


def terminal_width(stream: TextIO) -> int:
    """Return the columns of the terminal of a stream: those of COLUMNS, if it is set; 80 if unknown.

    Other ways to find it ask descriptors 0 to 2, and while a command runs, these lead elsewhere.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _write_stderr(text: str) -> None:
    raw_stderr.wait()
    stream = stderr()
    # Where stderr is gone, or no stream at all, there is no other place for messages.
    with suppress(OSError, ValueError, AttributeError):
        if stream is not None:
            if isinstance(sys.stderr, Sink):
                sys.stderr.end_line()
            stream.write(encodable(in_encoding(text, encoding_of(stream)), stream))
            stream.flush()


def stderr() -> TextIO | None:
    """Return the stream for notes, errors and progress."""
    return sys.stderr.target if isinstance(sys.stderr, Sink) else sys.stderr


def _let_go_of_stdout() -> None:
    """Point a stdout that cannot be written to at the null device, so that no later flush fails again."""
    with suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        stdout = _stdout()
        if stdout is not None:
            os.dup2(descriptor, stdout.fileno())
        os.close(descriptor)
