"""Where text comes from: arguments, `-`, a pipe, a file or a socket on stdin, or the sample prompt."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from gptrace.errors import TextError

SAMPLE = "Hello, I am"
# A bound, so that an endless pipe ends in an error line and not in the machine's last byte of memory.
STDIN_LIMIT = 64 * 1024 * 1024

_HOW_TO = 'give text as an argument, as in "Hello"'


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts to work on; `is_sample` when nobody gave any."""

    texts: tuple[str, ...]
    is_sample: bool = False


def read_texts(arguments: Sequence[str], *, lines: bool = False, stdin: int = 0) -> Texts:
    """Return the texts that the command line means.

    `stdin` is a file descriptor; it is not touched when there are arguments other than "-".

    >>> read_texts(["Hello", "Bye"]).texts
    ('Hello', 'Bye')
    """
    if lines and [a for a in arguments if a != "-"]:
        raise TextError(
            f"--lines reads prompts from stdin, but there is also the text {arguments[0]!r}",
            "drop one of the two",
        )
    if list(arguments).count("-") > 1:
        raise TextError("'-' stands for stdin, and is given more than once", "stdin can be read only once")
    if not arguments and not lines and not _has_data(stdin):
        return Texts((SAMPLE,), is_sample=True)
    if lines or not arguments:
        whole = read_stdin(stdin)
        return Texts(_split_lines(whole) if lines else (_checked(_drop_newline(whole), "stdin"),))
    texts = (
        _checked(_drop_newline(read_stdin(stdin)), "stdin") if argument == "-" else _from_argument(argument)
        for argument in arguments
    )
    return Texts(tuple(texts))


def _has_data(stdin: int) -> bool:
    """Tell a pipe, a file or a socket from a terminal, /dev/null or a closed descriptor."""
    try:
        mode = os.fstat(stdin).st_mode
    except OSError:
        return False
    return not stat.S_ISCHR(mode)


def read_stdin(stdin: int = 0) -> str:
    """Read all of stdin as UTF-8; raise TextError for more than there should be, or for other bytes."""
    chunks, size = [], 0
    try:
        # A parent may have left it non-blocking, where "nothing yet" would look like an error.
        os.set_blocking(stdin, True)
        while chunk := os.read(stdin, 1 << 20):
            chunks.append(chunk)
            size += len(chunk)
            if size > STDIN_LIMIT:
                raise TextError(
                    f"stdin holds more than {STDIN_LIMIT // 2**20} MiB",
                    "send less at a time, for example with `head -c` or `split`",
                )
    except OSError as error:
        raise TextError(f"stdin cannot be read: {error.strerror}", _HOW_TO) from None
    raw = b"".join(chunks)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8("stdin", raw, error) from None


def empty_stdin() -> TextError:
    """Return the error for a stdin that holds nothing: an empty pipe is a mistake somewhere before."""
    return TextError("stdin is empty", _HOW_TO)


def not_utf8(what: str, raw: bytes, error: UnicodeDecodeError) -> TextError:
    """Return the error that names the first byte that is no UTF-8."""
    return TextError(
        f"{what} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}",
        "convert it first, for example with: iconv -f LATIN1 -t UTF-8",
    )


def _drop_newline(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _split_lines(text: str) -> tuple[str, ...]:
    if not text:
        raise empty_stdin()
    rows = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    for number, row in enumerate(rows, start=1):
        if not row:
            raise TextError(f"line {number} of stdin is empty", "drop empty lines, for example with: grep .")
    return tuple(rows)


def _from_argument(argument: str) -> str:
    with suppress(UnicodeError):  # in a locale other than UTF-8 Python has read the bytes in its own way
        return _checked(os.fsencode(argument).decode("utf-8"), "the text")
    # Python smuggles argument bytes that are not UTF-8 in as U+DC80 to U+DCFF.
    for position, character in enumerate(argument):
        if 0xDC80 <= ord(character) <= 0xDCFF:
            offset = len(argument[:position].encode("utf-8", "surrogateescape"))
            raise TextError(
                f"the text argument is not UTF-8: byte 0x{ord(character) - 0xDC00:02x} at offset {offset}",
                "check the terminal's encoding, or pipe the text through iconv",
            )
    return _checked(argument, "the text")


def _checked(text: str, what: str) -> str:
    if not text:
        raise TextError(f"{what} is empty", _HOW_TO)
    return text
