"""The sources of text: arguments, stdin (a pipe, a file or a socket), or the sample prompt."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from gptrace.errors import TextError
from gptrace.ranks import world_size
from gptrace.wording import enumerated

SAMPLE = "Hello, I am"
# An endless pipe ends in an error message before the memory is full.
STDIN_LIMIT = 64 * 1024 * 1024

_HOW_TO = 'give text as an argument, as in "Hello"'


@dataclass(frozen=True, slots=True)
class GivenTexts:
    """The texts to run; `is_sample`: the user gave none, so it is the sample prompt."""

    texts: tuple[str, ...]
    is_sample: bool = False


def read_texts(arguments: Sequence[str], *, lines: bool = False, stdin: int = 0) -> GivenTexts:
    """Return the texts of a command line.

    arguments   texts; "-" stands for stdin
    lines       each line of stdin is a text
    stdin       a file descriptor, which is read only for "-", for `lines`, or without arguments

    Raises TextError for text that is empty or not UTF-8, or for contradictory arguments.

    >>> read_texts(["Hello", "Bye"]).texts
    ('Hello', 'Bye')
    """
    texts = [argument for argument in arguments if argument != "-"]
    if lines and texts:
        hint = "drop one of them"
        raise TextError(f"--lines reads prompts from stdin, but there is also the text {texts[0]!r}", hint)
    if len(arguments) - len(texts) > 1:
        raise TextError("'-', which stands for stdin, is given more than once", "stdin can be read only once")
    if not arguments and not lines and not _has_data(stdin):
        return GivenTexts((SAMPLE,), is_sample=True)
    if lines:
        return GivenTexts(_texts_of_lines(_read(stdin)))
    sources = arguments or ["-"]
    return GivenTexts(tuple(_whole(stdin) if text == "-" else _from_argument(text) for text in sources))


def _has_data(stdin: int) -> bool:
    """Tell whether stdin is a pipe, a file or a socket, and not a terminal, /dev/null or closed."""
    try:
        mode = os.fstat(stdin).st_mode
    except OSError:
        return False
    return not stat.S_ISCHR(mode)


def check_not_shared() -> None:
    """Raise TextError if several processes would read one stdin, each a part of it."""
    if world_size() > 1:
        raise TextError(
            f"stdin is shared by the {world_size()} processes of WORLD_SIZE, so each would read a part of it",
            "give the text as an argument, or run the command without torchrun",
        )


def read_stdin(stdin: int = 0) -> str:
    """Return all of stdin; raise TextError for more than STDIN_LIMIT bytes, or bytes that are not UTF-8."""
    return decode_utf8(_read(stdin), "stdin")


def _read(stdin: int) -> bytes:
    check_not_shared()
    try:
        # The parent process may have set it to non-blocking; then reading before data comes would fail.
        os.set_blocking(stdin, True)
        with open(stdin, "rb", closefd=False) as file:
            raw = file.read(STDIN_LIMIT + 1)
    except OSError as error:
        raise TextError(f"stdin cannot be read: {error.strerror}", _HOW_TO) from None
    if len(raw) > STDIN_LIMIT:
        hint = "pass less text at a time, for example with `head -c` or `split`"
        raise TextError(f"stdin holds more than {STDIN_LIMIT >> 20} MiB", hint)
    return raw


def empty_stdin() -> TextError:
    """Return the error for a stdin without any line. An empty pipe means that an earlier command failed."""
    return TextError("stdin is empty", "pipe prompts into it, one on each line")


def decode_utf8(raw: bytes, what: str) -> str:
    """Decode bytes; raise a TextError that names `what` and its first byte that is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"{what} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}"
        raise TextError(problem, "convert it first, for example with: iconv -f LATIN1 -t UTF-8") from None


def _whole(stdin: int) -> str:
    text = read_stdin(stdin)
    if text.endswith("\n"):
        text = text.removesuffix("\n").removesuffix("\r")
    return _checked(text, "stdin")


def _texts_of_lines(raw: bytes) -> tuple[str, ...]:
    """Return the lines, of which one batch needs all; raise a TextError that names the bad ones."""
    if not raw:
        raise empty_stdin()
    lines = [line.removesuffix(b"\r") for line in raw.removesuffix(b"\n").split(b"\n")]
    if empty := [str(number) for number, line in enumerate(lines, start=1) if not line]:
        problem = f"line {empty[0]} of stdin is empty"
        if len(empty) > 1:
            problem = f"lines {enumerated(empty, 8)} of stdin are empty"
        raise TextError(problem, "drop empty lines, for example with: grep .")
    return tuple(decode_utf8(line, f"line {number} of stdin") for number, line in enumerate(lines, start=1))


def _from_argument(argument: str) -> str:
    with suppress(UnicodeError):  # in a locale other than UTF-8, Python may have decoded the argument wrongly
        return _checked(os.fsencode(argument).decode("utf-8"), "the text")
    with suppress(UnicodeEncodeError):
        # Python represents bytes of an argument that it cannot decode as U+DC80 to U+DCFF.
        argument = decode_utf8(argument.encode("utf-8", "surrogateescape"), "the text argument")
    return _checked(argument, "the text")


def _checked(text: str, what: str) -> str:
    """Return `text`; raise TextError if it is empty."""
    if not text:
        raise TextError(f"{what} is empty", _HOW_TO)
    return text
