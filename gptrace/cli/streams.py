"""stdout, stderr and files: the only module that writes. Data goes to stdout, all else to stderr."""

from __future__ import annotations

import os
import signal
import stat
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import TextIO

from gptrace.cli import raw_stderr
from gptrace.cli.language import can_show, spoken
from gptrace.cli.sink import Sink, encodable, is_terminal, takes_glyphs
from gptrace.errors import OptionError, OutputError
from gptrace.report.ascii_text import ascii_text
from gptrace.report.safe_text import visible, visible_lines
from gptrace.translation import recorded, words
from gptrace.wording import shortened

_PIECE = 1 << 20  # characters
_LONGEST = 3000  # characters of an error, a hint or a note


class ReaderGoneError(Exception):
    """The reader of stdout has gone away, which is no error: `gptrace run | head`."""


_written = False
# The file that was being continued when the run was interrupted.
_written_to: list[Path] = []
# The stream that data goes to, while `only_data_on_stdout` redirects sys.stdout.
_kept: list[TextIO | None] = []


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
    global _written
    _written = False
    _written_to.clear()
    with ExitStack() as undo:
        kept = _kept_descriptor(undo) if sys.stdout is sys.__stdout__ else None
        _kept.append(sys.stdout if kept is None else kept)
        undo.callback(_kept.pop)
        sink = Sink(sys.stderr or undo.enter_context(open(os.devnull, "w", encoding="utf-8")))
        undo.callback(_end_line, sink)
        undo.enter_context(redirect_stdout(sink))
        undo.enter_context(redirect_stderr(sink))
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
    """Make descriptor 1 a copy of stderr's until undone; return a stream to where it led before."""
    try:
        sys.stdout.flush()
        original = os.dup(1)
        if original < 3:  # the number of a standard stream that is closed, and has to stay closed
            os.close(original)
            return None
        os.dup2(2, 1)
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


def _stdout() -> TextIO | None:
    """Return the stream that data goes to."""
    return _kept[-1] if _kept else sys.stdout


def state_of_output() -> str:
    """Say after an interruption what of the data was written, and how to go on."""
    if _written_to:
        return f"the results so far are in {_written_to[-1]}; run the same command again to add the others"
    what = "what was written is incomplete" if _written else "nothing was written"
    return f"{what}; run the command again"


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


def write_file(path: Path, pieces: Iterable[str], *, kept_bytes: int | None = None) -> None:
    """Write a file whole or not at all: to a temporary one beside it, which then takes its name.

    With `kept_bytes`, keep so many bytes of the file and add each piece after them as soon as it is made.
    """
    if kept_bytes is not None:
        return _add_to_file(path, pieces, kept_bytes)
    if str(path) in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        return write_stdout_pieces(pieces)
    # A device or a pipe, or a name for a stream that is open already, like /dev/stdout.
    named_like_one = str(path).startswith(("/dev/std", "/dev/fd/", "/proc/"))
    is_stream = path.exists() and (named_like_one or not path.is_file())
    try:
        if not is_stream:
            return _replace_file(Path(os.path.realpath(path)), pieces)  # a link stays a link
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(pieces)
    except OSError as error:
        if is_stream and isinstance(error, BrokenPipeError):
            raise ReaderGoneError from None
        state = "what was written is incomplete" if is_stream else "the file is as it was before"
        raise OutputError(f"--output {path} cannot be written: {error.strerror}", state) from None


def _add_to_file(path: Path, pieces: Iterable[str], kept_bytes: int) -> None:
    try:
        with path.open("ab") as file:
            file.truncate(kept_bytes)
            for piece in pieces:
                file.write(piece.encode())
                file.flush()
    except KeyboardInterrupt:
        _written_to.append(path)
        raise
    except OSError as error:
        hint = "what was written stays; run the command again"
        raise OutputError(f"--output {path} cannot be written: {error.strerror}", hint) from None


def _replace_file(target: Path, pieces: Iterable[str]) -> None:
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(prefix=".gptrace-", dir=target.parent)
    try:
        with _removed_at_end(name), open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
            os.chmod(name, mode)
            file.flush()
            os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _removed_at_end(name: str) -> Iterator[None]:
    """Remove a temporary file when a signal that ends the process comes in the block."""

    def end(number: int, frame: object) -> None:
        Path(name).unlink(missing_ok=True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    ending = [getattr(signal, kind) for kind in ("SIGTERM", "SIGHUP") if hasattr(signal, kind)]
    ending = [number for number in ending if signal.getsignal(number) == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():  # others may not handle signals
        ending = []
    for number in ending:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)


def check_writable(path: Path) -> None:
    """Raise OptionError for a file that cannot be written, before any work is done for it."""
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise OptionError(f"--output {path} is a folder", "name a file in it")
        if not target.parent.is_dir():
            raise OptionError(
                f"--output {path}: the folder {target.parent} is not there", "make it first with mkdir -p"
            )
        # A file needs a folder that is writable too: a new file is made in it, which then replaces the old.
        needed = [target.parent] if target.is_file() or not target.exists() else []
        if not all(os.access(place, os.W_OK) for place in [*needed, target] if place.exists()):
            raise OptionError(
                f"--output {path} cannot be written: permission denied", "pick a folder that you may write to"
            )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OptionError(f"--output {path}: {reason}", "give another file name") from None


def language_of_stdout(language: str) -> str:
    """Return the language to write data in: English where stdout has no Chinese, which a note says."""
    if can_show(language, _stdout()):
        return language
    encoding = getattr(_stdout(), "encoding", "")
    write_notice(f"the output is in English: its encoding, {encoding}, has no Chinese characters")
    return "en"


def write_notice(text: str) -> None:
    """Write a note to stderr."""
    _write_stderr(spoken(words("note: {}", recorded(_safe(text))), stderr()) + "\n")


def write_error(message: str, hint: str) -> None:
    """Write the error line, and a hint line if there is a hint, with control characters escaped."""
    color = _wants_color(stderr())
    red, cyan, off = ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") if color else ("", "", "")
    _write_stderr(spoken(words("{}error:{} {}", red, off, recorded(_safe(message))), stderr()) + "\n")
    if hint:
        _write_stderr(spoken(words("{}hint:{} {}", cyan, off, recorded(_safe(hint))), stderr()) + "\n")


def _safe(text: str) -> str:
    return shortened(visible(text), _LONGEST)


def write_traceback(error: BaseException) -> None:
    """Write the traceback of an exception to stderr, with control characters escaped."""
    _write_stderr(visible_lines("".join(traceback.format_exception(error))))


def stdout_takes_glyphs() -> bool:
    """Tell whether stdout is UTF-8, so that arrows and lines can be written."""
    return takes_glyphs(_stdout())


def stdout_wants_color() -> bool:
    """Tell whether data is written in colour."""
    return _wants_color(_stdout())


def _wants_color(stream: TextIO | None) -> bool:
    """Decide on colour: NO_COLOR, then FORCE_COLOR, then whether the stream is a terminal."""
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (is_terminal(stream) and os.environ.get("TERM") != "dumb")


def can_show_progress() -> bool:
    """Tell whether a line on stderr may move: it is a terminal, and stdout does not go to the same one."""
    stdout = _stdout()
    if not is_terminal(stderr()) or os.environ.get("TERM") == "dumb":
        return False
    return stdout is not None and not is_terminal(stdout)


def stdout_is_terminal() -> bool:
    """Tell whether stdout is a terminal."""
    return is_terminal(_stdout())


def stdout_width() -> int | None:
    """Return the columns of the terminal, or None when stdout is none: then nothing is cut."""
    stdout = _stdout()
    if stdout is None or not stdout_is_terminal():
        return None
    # Not shutil.get_terminal_size: it asks descriptor 1, which leads to stderr meanwhile.
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stdout.fileno()).columns or 80
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
            stream.write(encodable(text if takes_glyphs(stream) else ascii_text(text), stream))
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
