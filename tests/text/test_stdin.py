"""Where text comes from: arguments, '-', a pipe, a file, a socket, a terminal or nothing."""

from __future__ import annotations

import os
import pty
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gptrace.errors import TextError
from gptrace.text.stdin import read_texts


@contextmanager
def piped(data: bytes) -> Iterator[int]:
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    yield reader
    os.close(reader)


def test_arguments_leave_stdin_alone() -> None:
    with piped(b"not read") as stdin:
        assert read_texts(["Hello", "Bye"], stdin=stdin).texts == ("Hello", "Bye")
        assert os.read(stdin, 100) == b"not read"


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"Hello\n", "Hello"), (b"Hello\r\n", "Hello"), (b"Hello\n\n", "Hello\n"), (b" a\nb ", " a\nb ")],
)
@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_one_trailing_newline_of_a_pipe_is_dropped(data: bytes, text: str, arguments: list[str]) -> None:
    with piped(data) as stdin:
        assert read_texts(arguments, stdin=stdin).texts == (text,)


def test_a_dash_stands_for_stdin_among_other_texts() -> None:
    with piped(b"two\n") as stdin:
        assert read_texts(["one", "-"], stdin=stdin).texts == ("one", "two")
    with pytest.raises(TextError, match="more than once"):
        read_texts(["-", "-"])


def test_a_file_and_a_socket_are_read(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text("from a file")
    with path.open() as file:
        assert read_texts([], stdin=file.fileno()).texts == ("from a file",)
    here, there = socket.socketpair()
    there.sendall(b"from a socket")
    there.close()
    assert read_texts([], stdin=here.fileno()).texts == ("from a socket",)
    here.close()


def test_a_terminal_dev_null_or_nothing_means_the_sample() -> None:
    terminal, other_end = pty.openpty()
    null = os.open(os.devnull, os.O_RDONLY)
    for stdin in (other_end, null, 987):
        texts = read_texts([], stdin=stdin)
        assert texts.is_sample
        assert texts.texts == ("Hello, I am",)
    for descriptor in (terminal, other_end, null):
        os.close(descriptor)


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_an_empty_pipe_is_an_error_and_never_the_sample(arguments: list[str]) -> None:
    for data in (b"", b"\n"):
        with piped(data) as stdin, pytest.raises(TextError, match="stdin is empty"):
            read_texts(arguments, stdin=stdin)


def test_lines() -> None:
    with piped("one\r\n two\n三".encode()) as stdin:
        assert read_texts([], lines=True, stdin=stdin).texts == ("one", " two", "三")
    with piped(b"one\n\ntwo\n") as stdin, pytest.raises(TextError, match="line 2 of stdin is empty"):
        read_texts([], lines=True, stdin=stdin)
    with piped(b"\none\n\r\n") as stdin, pytest.raises(TextError, match="lines 1, 3 of stdin are empty"):
        read_texts([], lines=True, stdin=stdin)
    with (
        piped(b"one\ntw\xff\n") as stdin,
        pytest.raises(TextError, match=r"line 2 of stdin is not UTF-8.*offset 2"),
    ):
        read_texts([], lines=True, stdin=stdin)
    with piped(b"") as stdin, pytest.raises(TextError, match="stdin is empty"):
        read_texts([], lines=True, stdin=stdin)
    with pytest.raises(TextError, match="'Hello'"):
        read_texts(["-", "Hello"], lines=True)


def test_what_is_not_utf8_is_named_with_its_place() -> None:
    with piped(b"caf\xe9!") as stdin, pytest.raises(TextError, match="byte 0xe9 at offset 3"):
        read_texts([], stdin=stdin)
    argument = os.fsdecode("é".encode() + b"\xff")
    with pytest.raises(TextError, match="byte 0xff at offset 2"):
        read_texts([argument])


def test_an_empty_argument_is_an_error() -> None:
    with pytest.raises(TextError, match="the text is empty"):
        read_texts(["Hello", ""])


def test_an_endless_pipe_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptrace.text.stdin.STDIN_LIMIT", 1 << 20)
    zeros = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(TextError, match="more than 1 MiB"):
        read_texts(["-"], stdin=zeros)
    os.close(zeros)


def test_a_folder_as_stdin_is_an_error(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(TextError, match="Is a directory"):
        read_texts([], stdin=folder)
    os.close(folder)
