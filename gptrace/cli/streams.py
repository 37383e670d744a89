"""stdout, stderr and files: the only place that writes. Data goes to stdout, all else to stderr."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from gptrace.errors import OptionError, OutputError

# For a terminal or a file that is not UTF-8: one character for one, so that columns stay in line.
_ASCII = str.maketrans(
    {"→": ">", "├": "|", "└": "`", "│": "|", "─": "-", "–": "-", "·": "-", "×": "x", "…": "~"}
    | dict.fromkeys("█▏▎▍▌▋▊▉", "#")
)


class ReaderGoneError(Exception):
    """Whoever read our stdout has gone away, which is no error: `gptrace run | head`."""


def write_stdout(text: str) -> None:
    """Write data; raise ReaderGoneError when nobody reads it, OutputError when it cannot be written."""
    if sys.stdout is None:
        raise OutputError("stdout is closed", "send it somewhere, or use --output FILE")
    try:
        sys.stdout.write(_encodable(text, sys.stdout))
    except OSError as error:
        raise _lost(error) from None
    flush_stdout()


def flush_stdout() -> None:
    """Flush stdout here, where an error still has somebody to handle it."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _lost(error) from None


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all: to a temporary one beside it, which then takes its name."""
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        # A device or a pipe, or a name for a stream that is open already, like /dev/stdout.
        if path.exists() and (
            not path.is_file() or path.is_relative_to("/dev") or path.is_relative_to("/proc")
        ):
            path.write_text(text, encoding="utf-8")
            return
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with open(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.chmod(name, mode)
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def check_writable(path: Path) -> None:
    """Raise OptionError now for a file that could not be written later."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OptionError(f"--output {path} is a folder", "name a file in it")
    if not target.parent.is_dir():
        raise OptionError(
            f"--output {path}: the folder {path.parent} is not there", "make it first with mkdir -p"
        )
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise OptionError(
            f"--output {path} cannot be written: permission denied", "pick a place that is yours"
        )


def write_notice(text: str) -> None:
    """Tell a person something beside the data."""
    _write_stderr(f"note: {text}\n")


def write_error(message: str, hint: str) -> None:
    """Write the error line and the hint line, with everything from outside spelled out."""
    from gptrace.report.safe_text import visible

    color = sys.stderr is not None and wants_color(sys.stderr)
    red, cyan, off = ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") if color else ("", "", "")
    _write_stderr(f"{red}error:{off} {visible(message)}\n{cyan}hint:{off} {visible(hint)}\n")


def wants_color(stream: TextIO) -> bool:
    """Decide on colour: NO_COLOR, then FORCE_COLOR, then whether the stream is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def stdout_width() -> int | None:
    """Return the columns of the terminal, or None when stdout is none: then nothing is cut."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def _write_stderr(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(_encodable(text, sys.stderr))
        sys.stderr.flush()
    except OSError:
        pass  # nobody listens, and there is nowhere left to say so


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    if encoding.lower().replace("-", "").startswith("utf"):
        return text
    return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)


def _lost(error: OSError) -> Exception:
    """Let go of a stdout that cannot be written to, so that no later flush trips over it again."""
    try:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
    except (OSError, ValueError):
        pass
    if isinstance(error, BrokenPipeError):
        return ReaderGoneError()
    return OutputError(
        f"stdout cannot be written: {error.strerror}", "is the disk full? Nothing more was written"
    )


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"--output {path} cannot be written: {error.strerror}", "the file is as it was before")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
