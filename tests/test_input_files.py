"""Files that users name: devices, pipes and endless files are refused before they are read."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

import gptrace
from gptrace.errors import ConfigError, InputError
from gptrace.input_files import InputFile
from tests.support import Cli


def file_at(path: str | Path) -> InputFile:
    return InputFile(path, f"--option {path}", "do this", ConfigError)


def test_text_is_read_whole_and_no_more_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("é" * 10, encoding="utf-8")
    assert file_at(path).text(20) == "é" * 10
    assert file_at(path).size(20) == 20
    for read in (file_at(path).text, file_at(path).size):
        with pytest.raises(ConfigError, match=r"a\.txt is larger than 19 B"):
            read(19)


def test_a_byte_order_mark_is_left_out(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"n_layers": 1}', encoding="utf-8-sig")
    assert file_at(path).text(20) == '{"n_layers": 1}'
    assert (
        json.loads(cli("run", "Hi", "-m", "tiny", "--config", str(path), "--json").out)["model"]["config"][
            "n_layers"
        ]
        == 1
    )


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/dev/zero", "is a device, not a file"), ("/", "is a folder, not a file"), ("absent", "No such file")],
)
def test_other_kinds_are_refused(path: str, problem: str) -> None:
    for read in (file_at(path).text, file_at(path).size):
        with pytest.raises(ConfigError, match=problem):
            read(10)


def test_a_pipe_that_nobody_writes_to_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="is a pipe, not a file"):
        file_at(pipe).text(10)


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_the_output_of_a_command_is_read_as_a_file(folder: str) -> None:
    reading, writing = os.pipe()
    try:
        text = gptrace.tokens("Hello").to_json()

        def write() -> None:
            with open(writing, "w", encoding="utf-8") as pipe:
                pipe.write(text)

        thread = threading.Thread(target=write)
        thread.start()
        assert gptrace.load(f"{folder}/{reading}") == gptrace.tokens("Hello")
        thread.join()
    finally:
        os.close(reading)


def test_an_endless_command_is_read_up_to_the_limit() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x" * 101)
    with pytest.raises(InputError, match="larger than 100 B"):
        file_at(f"/dev/fd/{reading}").text(100)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    "arguments",
    [
        ("diff", "/dev/zero", "x"), ("show", "/dev/zero"), ("run", "Hi", "--expect", "/dev/zero"),
        ("run", "Hi", "--config", "/dev/zero"), ("run", "Hi", "--weights", "/dev/zero"),
    ],
)  # fmt: skip
def test_no_command_reads_a_device(cli: Cli, arguments: tuple[str, ...]) -> None:
    cli(*arguments).is_error(2, "/dev/zero is a device, not a file")


@pytest.mark.parametrize("kind", ["pipe", "device", "endless"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json"])
def test_the_folder_of_a_model_holds_files_alone(cli: Cli, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    file = tmp_path / name
    file.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        with file.open("wb") as sparse:
            sparse.truncate(1 << 40)
    part = "is larger than 128.0 MiB" if kind == "endless" else f"is a {kind}, not a file"
    cli("run", "Hi", "--model", f"hf:{tmp_path}").is_error(2, f"{name} of --model hf:{tmp_path} {part}")


@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="this file of Linux is for root alone")
def test_a_file_of_the_system_that_waits_for_more_is_read_as_it_is() -> None:
    read = threading.Thread(target=lambda: file_at("/proc/kmsg").text(100 << 20), daemon=True)
    read.start()
    read.join(10)
    assert not read.is_alive()
