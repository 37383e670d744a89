"""Runs command lines, in children that have torch already or as processes, and judges what they came to."""

from __future__ import annotations

import csv
import gc
import importlib
import io
import itertools
import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gptrace.cli import run_and_exit
from gptrace.model.quiet_torch import torch
from gptrace.wording import shortened
from tests.fuzz.command_lines import CommandLine, command_line
from tests.fuzz.files import write_files
from tests.warm import warm_python

SECONDS = 20  # of processor time: no command line here may take longer
_PATIENCE = 90  # seconds on the clock, for one that only waits; the machine may be busy
_ROOT = Path(__file__).parents[2]
# What a line on stderr begins with, in both languages; errors come first.
_BEGINNINGS = ("error: ", "错误：", "hint: ", "提示：", "note: ", "注意：")


@dataclass(frozen=True)
class Result:
    """What a command line came to; `code` is None where it took too long, negative for a signal."""

    code: int | None
    out: bytes
    err: bytes
    left: tuple[str, ...] = ()  # temporary files that it left


def run(line: CommandLine, folder: Path) -> Result:
    """Run a command line in the folder of its files."""
    with TemporaryDirectory() as place:
        out, err, source = (Path(place) / name for name in ("out", "err", "in"))
        source.write_bytes(line.stdin or b"")
        start = _as_child if line.way == "child" else _as_process
        code = start(line, folder, source if line.stdin is not None else Path(os.devnull), out, err)
        left = tuple(path.name for path in (folder / "out").glob(".gptrace-*"))
        for path in left:
            (folder / "out" / path).unlink()
        written, messages = (path.read_bytes() if path.exists() else b"" for path in (out, err))
        return Result(code, written, messages, left)


def _variables(line: CommandLine) -> dict[str, str]:
    return {
        "HF_HOME": "/nowhere", "HF_HUB_OFFLINE": "1", "GPTRACE_MODEL": "tiny", "OMP_NUM_THREADS": "1",
        "BROWSER": "true",  # which opens nothing
        **{name: os.fsencode(value).decode("utf-8", "replace") for name, value in line.variables.items()},
    }  # fmt: skip


def _as_child(line: CommandLine, folder: Path, source: Path, out: Path, err: Path) -> int | None:
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            for name in [name for name in os.environ if name.startswith("GPTRACE_")]:
                del os.environ[name]
            os.environ.update(_variables(line))
            for number, path, flags in ((0, source, os.O_RDONLY), (1, out, os.O_WRONLY | os.O_CREAT),
                                        (2, err, os.O_WRONLY | os.O_CREAT)):  # fmt: skip
                os.dup2(os.open(path, flags, 0o600), number)
            sys.stdin, sys.stdout, sys.stderr = (
                os.fdopen(number, mode, encoding=line.encoding, errors=errors, closefd=False)
                for number, mode, errors in (
                    (0, "r", "strict"), (1, "w", "strict"), (2, "w", "backslashreplace"),
                )
            )  # fmt: skip
            for name in ("stdout", "stderr"):
                setattr(sys, f"__{name}__", getattr(sys, name))
            sys.argv[1:] = line.arguments
            _limit_processor_time()
            run_and_exit()
        except BaseException as error:
            os.write(2, f"Traceback: {type(error).__name__} came out of gptrace\n".encode())
        os._exit(99)
    return _wait(child)


def _as_process(line: CommandLine, folder: Path, source: Path, out: Path, err: Path) -> int | None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GPTRACE_") and k != "PYTHONUNBUFFERED"}
    variables = kept | _variables(line) | {"PYTHONPATH": str(_ROOT)}
    if line.way in ("ascii", "latin-1"):
        variables |= {
            "PYTHONIOENCODING": line.way,
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "LC_ALL": "C",
        }
    arguments: list[str | bytes] = [*warm_python(), "-m", "gptrace", *map(_raw, line.arguments)]
    with source.open("rb") as stdin, out.open("wb") as stdout, err.open("wb") as stderr:
        if line.way == "terminal":
            return _on_terminal(arguments, variables | {"NO_COLOR": "1"}, folder, stdin.fileno(), out)
        reader, writer = os.pipe()
        os.close(reader)
        closed = {"closed stdout": (1,), "closed stderr": (2,)}.get(line.way, ())

        def prepare() -> None:
            _limit_processor_time()
            for number in closed:
                os.close(number)

        process = subprocess.Popen(
            arguments, stdin=stdin, stdout=writer if line.way == "reader gone" else stdout, stderr=stderr,
            cwd=folder, env=variables, preexec_fn=prepare,
        )  # fmt: skip
        os.close(writer)
        process.returncode = _wait(process.pid)  # so that Popen knows that it has ended
        return process.returncode


def _on_terminal(
    arguments: list[str | bytes], variables: dict[str, str], folder: Path, stdin: int, out: Path
) -> int | None:
    """Run a process whose stdout and stderr are a terminal; what it shows is written to `out`."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(stdin, 0)
        _limit_processor_time()
        os.execve(arguments[0], arguments, variables)
    termios.tcsetwinsize(terminal, (50, 80))
    shown = b""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                shown += os.read(terminal, 1 << 16)
            except OSError:  # the other end is closed
                break
    code = _wait(child)
    os.close(terminal)
    out.write_bytes(shown.replace(b"\r\n", b"\n"))
    return code


def _raw(argument: str) -> bytes:
    return argument.encode("utf-8", "surrogateescape")


def _limit_processor_time() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))


def _wait(child: int) -> int | None:
    """Return the exit code of a child, or None for one that has to be ended."""
    descriptor = os.pidfd_open(child)
    try:
        if not select.select([descriptor], [], [], _PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(descriptor)


def complaints(line: CommandLine, result: Result) -> list[str]:
    """Return what a command line should never come to."""
    out, err = result.out.decode("utf-8", "replace"), result.err.decode("utf-8", "replace")
    if line.way == "terminal":
        err = out
    found = []
    if result.code not in (0, 1, 2, 130):
        found.append(f"exit code {result.code}")
    if "Traceback" in err or "may be a bug" in err or "可能是 gptrace 的错误" in err:
        found.append("a bug: " + err[:600])
    shown = out + err
    if "FORCE_COLOR" in line.variables:
        shown = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", shown):
        found.append("raw control characters")
    if line.encoding == "ascii" and line.way == "child" and not shown.isascii():
        found.append("characters that are not ASCII")
    if result.left:
        found.append(f"temporary files: {result.left}")
    return found + _about_stderr(line, result, err) + _about_data(line, result, out)


def _about_stderr(line: CommandLine, result: Result, err: str) -> list[str]:
    if line.way == "terminal" or "_GPTRACE_COMPLETE" in line.variables:
        return []
    found = []
    rows = err.splitlines()
    if "FORCE_COLOR" in line.variables:
        rows = [re.sub(r"\x1b\[[0-9;]*m", "", row) for row in rows]
    stray = [row for row in rows if not row.startswith(_BEGINNINGS)]
    # What a model prints belongs there.
    if stray and not re.search(r"Prints|prints", " ".join([*line.arguments, *line.variables.values()])):
        found.append(f"stray lines on stderr: {stray[:3]}")
    if any(len(row) > 4000 for row in rows):
        found.append("an error line of thousands of characters")
    errors = sum(row.startswith(_BEGINNINGS[:2]) for row in rows)
    speaks = line.way != "closed stderr" and "Closes" not in " ".join(line.arguments)
    if result.code == 2 and errors != 1 and speaks:
        found.append("not one error line")
    if result.code == 0 and errors:
        found.append("an error line, and exit code 0")
    return found


def _about_data(line: CommandLine, result: Result, out: str) -> list[str]:
    """Return what is wrong with JSON and CSV on stdout."""
    arguments = line.arguments
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if result.code != 0 or not out or arguments[0] == "pull" or line.variables or line.way == "terminal":
        return []
    if any(name in options for name in ("--help", "--version", "--show-completion")):
        return []
    formats = [value for name, value in itertools.pairwise(options) if name == "--format"]
    readers: dict[str, Callable[[], object]] = {
        "json": lambda: json.loads(out),
        "jsonl": lambda: [json.loads(row) for row in out.split("\n")[:-1]],
        "csv": lambda: _check_csv(out),
    }
    form = "json" if "--json" in options else formats[-1] if formats else ""
    try:
        readers.get(form, lambda: None)()
    except ValueError as error:
        return [f"no {form}: {error}"]
    return []


def _check_csv(out: str) -> None:
    rows = list(csv.reader(io.StringIO(out), strict=True))
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"rows of {sorted({len(row) for row in rows})} cells")


def fuzz(numbers: Sequence[int], folder: Path) -> list[str]:
    """Run the command lines of some numbers; return a paragraph for each that went wrong."""
    torch.set_num_threads(1)  # threads of the parent are not there in a fork
    write_files(folder)
    for name in ("gptrace.cli.commands", "gptrace.cli.logged_notices", "typer._adapters"):
        importlib.import_module(name)  # once, and not in each child
    gc.freeze()  # so that no collection in a child touches, and so copies, the memory of these objects
    failures = []
    start = time.monotonic()
    for number in numbers:
        line = command_line(number, folder)
        for complaint in complaints(line, run(line, folder)):
            failures.append(f"{number}: {complaint}\n  {shortened(repr(line), 1500)}")
            print(failures[-1], flush=True)
    print(f"{len(numbers)} command lines, {len(failures)} failures, {time.monotonic() - start:.0f} s")
    return failures
