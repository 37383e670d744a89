"""The file of --output: written whole or not at all, or continued."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gptrace.cli import streams
from gptrace.errors import OptionError, OutputError

if TYPE_CHECKING:
    from gptrace.cli.resumed import KeptResults


def write_file(path: Path, pieces: Iterable[str], *, kept: KeptResults | None = None) -> None:
    """Write a file whole or not at all: to a temporary one beside it, which then takes its name.

    With `kept`, keep these results of the file and add each piece after them as soon as it is made.
    """
    if kept is not None:
        return _add_to_file(path, pieces, kept)
    if str(path) in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        return streams.write_stdout_pieces(pieces)
    # A device or a pipe, or a name for a stream that is open already, like /dev/stdout.
    named_like_one = str(path).startswith(("/dev/std", "/dev/fd/", "/proc/"))
    is_stream = path.exists() and (named_like_one or not path.is_file())
    try:
        if not is_stream:
            encoded = (piece.encode() for piece in pieces)
            return replace_file(Path(os.path.realpath(path)), encoded)  # a link stays a link
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(pieces)
    except OSError as error:
        if is_stream and isinstance(error, BrokenPipeError):
            raise streams.ReaderGoneError from None
        state = "what was written is incomplete" if is_stream else "the file is as it was before"
        raise OutputError(f"--output {path} cannot be written: {error.strerror}", state) from None


def _add_to_file(path: Path, pieces: Iterable[str], kept: KeptResults) -> None:
    try:
        with path.open("ab") as file:
            if not _is_locked_by_us(file) or os.fstat(file.fileno()).st_size != kept.size:
                problem = f"--output {path} is being written by another process"
                raise OutputError(problem, "let that one end, or give another file name")
            file.truncate(kept.length)
            for piece in pieces:
                file.write(piece.encode())
                file.flush()
    except KeyboardInterrupt:
        streams.interrupted_while_adding_to(path)
        raise
    except OSError as error:
        hint = "what was written stays; run the command again"
        raise OutputError(f"--output {path} cannot be written: {error.strerror}", hint) from None


def _is_locked_by_us(file: BinaryIO) -> bool:
    """Lock a file until it is closed, where the system can; tell whether no other process has it locked."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # Windows, or a file system without locks
        pass
    return True


def replace_file(target: Path, pieces: Iterable[bytes]) -> None:
    """Write a file whole or not at all: to a temporary one beside it, which then takes its name."""
    before = target.stat() if target.exists() else None
    mode = 0o666 & ~_umask() if before is None else stat.S_IMODE(before.st_mode)
    descriptor, name = tempfile.mkstemp(prefix=".gptrace-", dir=target.parent)
    try:
        with _removed_at_end(name), open(descriptor, "wb") as file:
            file.writelines(pieces)
            if before is not None and hasattr(os, "chown"):
                with suppress(OSError):  # only a privileged user may give a file to its owner
                    os.chown(name, before.st_uid, before.st_gid)
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
        if target.is_symlink():
            os.stat(target)  # raises: only a loop of links leads to a link
        existing = next((place for place in target.parents if place.exists()), target.parent)
        if not existing.is_dir():
            raise OptionError(f"--output {path}: {existing} is not a folder", "give another file name")
        if not target.parent.is_dir():
            raise OptionError(
                f"--output {path}: the folder {target.parent} is not there",
                f"make it first: mkdir -p {shlex.quote(str(target.parent))}",
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
