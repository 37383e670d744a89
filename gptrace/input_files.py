"""Files that somebody names, opened in one place: what kind of file each is, and how much of it is read.

A name may lead to a device that never ends, to a pipe that nobody writes to, or to a file larger than memory.
"""

from __future__ import annotations

import codecs
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from gptrace.errors import InputError
from gptrace.wording import quoted_value, readable_bytes

# Where a shell passes the output of a command as a file, <(command): somebody writes to these pipes.
_OPEN_STREAMS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that a user named.

    path    its path
    name    how errors call it, such as an option and the path
    hint    what to do about a file that is not usable
    error   the class of the errors
    """

    path: str | Path
    name: str
    hint: str
    error: type[InputError] = InputError

    def text(self, limit: int) -> str:
        """Return the text of a regular file, or of a command's output, as in `gptrace show <(command)`.

        A byte order mark at its beginning, which some editors write, is left out.

        Raises an `error` for a file that cannot be read, is of another kind, or is not UTF-8; or for one of
        more than `limit` bytes, of which no more are read.
        """
        raw = self.raw(limit)
        try:
            return raw.decode("utf-8")[raw.startswith(codecs.BOM_UTF8) :]
        except UnicodeDecodeError as error:
            place = error.start
            problem = f"{self.name} is not UTF-8 text: byte 0x{raw[place]:02x} at offset {place}"
            raise self.error(problem, self.hint) from None

    def size(self, limit: int | None = None) -> int:
        """Return the bytes of a regular file that another library is going to open; raise as `text` does."""
        try:
            status = os.stat(self.path)
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from None
        self._check(status, limit, may_be_pipe=False)
        return status.st_size

    def raw(self, limit: int) -> bytes:
        """Return the bytes of a file; raise as `text` does."""
        # Opening a pipe that nobody writes to would wait for ever, unless it must not block.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            is_open_stream = os.path.abspath(self.path).startswith(_OPEN_STREAMS)
            descriptor = os.open(self.path, flags)
            try:
                status = os.fstat(descriptor)
                self._check(status, limit, may_be_pipe=is_open_stream)
                # A pipe here has a writer. Some files of the system, such as /proc/kmsg, would wait for ever.
                os.set_blocking(descriptor, stat.S_ISFIFO(status.st_mode))
                with open(descriptor, "rb", closefd=False) as file:
                    raw = file.read(limit + 1) or b""
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from None
        if len(raw) > limit:
            raise self._too_large(limit)
        return raw

    def _check(self, status: os.stat_result, limit: int | None, *, may_be_pipe: bool) -> None:
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG and not (may_be_pipe and kind == stat.S_IFIFO):
            name = _KINDS.get(kind, "something else")
            raise self.error(f"{self.name} is {name}, not a file", self.hint)
        if limit is not None and status.st_size > limit:
            raise self._too_large(limit)

    def _too_large(self, limit: int) -> InputError:
        return self.error(f"{self.name} is larger than {readable_bytes(limit)}", self.hint)

    def _unreadable(self, error: OSError | ValueError) -> InputError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        name = self.name if isinstance(error, OSError) else quoted_value(self.name)  # it holds a NUL
        return self.error(f"{name}: {reason}", self.hint)
