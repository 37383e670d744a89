"""What other code prints is safe text on stderr, whatever it does to the streams; error lines have an end."""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gptrace.cli import output_file, streams
from tests.support import Cli, environment

MODELS = """
import sys, torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = torch.nn.Embedding(50257, 4), torch.nn.Linear(4, 50257)
    def forward(self, ids):
        return self.head(self.embedding(ids))
class Prints(Model):
    def forward(self, ids):
        print("\\x1b[31mto stdout")
        sys.stderr.write("\\x1b]0;title\\x07")
        sys.stdout.buffer.write(b"\\x1b[2J")
        return super().forward(ids)
class PrintsRaw(Model):
    def forward(self, ids):
        import os, subprocess
        print("open line", end="")
        os.write(2, b"\\x1b[31mto descriptor 2")
        os.write(1, "\\x1b[2J你".encode()[:6])
        os.write(1, "你".encode()[2:])
        subprocess.run(["printf", r"\\033]0;title\\007"])
        raise ValueError("gone")
class WritesToStdout(Model):
    def forward(self, ids):
        import os
        os.write(1, b"\\x1b[31mto descriptor 1")
        return super().forward(ids)
class Aborts(Model):
    def forward(self, ids):
        import os
        os.write(2, b"\\x1b[31mlast words")
        os.abort()
class WaitsForChildren(Model):
    def forward(self, ids):
        import os
        os.close(2)
        os.wait()
class Closes(Model):
    def forward(self, ids):
        sys.stdout.close()
        raise ValueError("gone")
class Long(Model):
    def forward(self, ids):
        raise ValueError("x" * 1_000_000)
class Wordless(Model):
    def forward(self, ids):
        class NoWords(Exception):
            def __str__(self):
                raise ValueError
        raise NoWords
class Raises(Model):
    def __getattr__(self, name):
        if name == "config":
            raise RuntimeError("no config")
        return super().__getattr__(name)
class Unhashable(Model):
    __hash__ = None
class Float8(Model):
    def forward(self, ids):
        return super().forward(ids).to(torch.float8_e4m3fn)
"""


@pytest.fixture
def models(tmp_path: Path) -> str:
    file = tmp_path / "sink_models.py"
    file.write_text(MODELS)
    return str(file)


def test_no_escape_sequence_of_a_model_reaches_the_terminal(cli: Cli, models: str) -> None:
    outcome = cli("topk", "Hi", "-m", f"{models}:Prints")
    assert outcome.code == 0
    assert "\\x1b[31mto stdout" in outcome.err
    assert "\\x1b]0;title\\x07" in outcome.err
    assert "\\x1b[2J" in outcome.err
    assert "\x1b" not in outcome.err + outcome.out


@pytest.mark.processes
def test_what_c_code_and_child_processes_write_is_safe_text_too(process: Cli, models: str) -> None:
    outcome = process("topk", "Hi", "-m", f"{models}:PrintsRaw")
    *lines, error, hint = outcome.err.splitlines()
    assert "open line" in lines
    assert "\\x1b[31mto descriptor 2\\x1b[2J你\\x1b]0;title\\x07" in lines
    assert (error[:17], hint[:5]) == ("error: ValueError", "hint:")
    outcome = process("topk", "Hi", "-m", f"{models}:WaitsForChildren")
    outcome.is_error(1, "ChildProcessError")


@pytest.mark.processes
def test_nothing_else_gets_among_the_data_if_stderr_is_closed(models: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "gptrace", "topk", "Hi", "-m", f"{models}:WritesToStdout", "--json"],
        env=environment(), stdout=subprocess.PIPE, check=False, preexec_fn=partial(os.close, 2),
    )  # fmt: skip
    assert outcome.returncode == 0
    assert json.loads(outcome.stdout)["results"]


@pytest.mark.processes
def test_the_last_words_of_a_process_that_crashes_are_shown(process: Cli, models: str) -> None:
    outcome = process("topk", "Hi", "-m", f"{models}:Aborts")
    assert outcome.code == -signal.SIGABRT
    assert outcome.err == "\\x1b[31mlast words"


def test_an_attribute_of_a_model_that_raises_is_not_our_fault(cli: Cli, models: str) -> None:
    outcome = cli("topk", "Hi", "-m", f"{models}:Raises")
    outcome.is_error(
        1,
        "no config",
        "in __getattr__",
        " (while gptrace read the model)",
        "the model's own code raised this",
    )


def test_no_traceback_for_debugging_holds_an_escape_sequence(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sink_raises.py").write_text("raise ValueError('\\x1b[31mred')")
    monkeypatch.setenv("GPTRACE_DEBUG", "1")
    outcome = cli("run", "Hi", "-m", f"{tmp_path}/sink_raises.py:Model")
    assert "Traceback" in outcome.err
    assert "\x1b" not in outcome.err


def test_a_model_that_closes_stdout_still_gets_its_error_line(cli: Cli, models: str) -> None:
    cli("topk", "Hi", "-m", f"{models}:Closes").is_error(1, "ValueError: gone")


def test_an_error_line_has_an_end_and_says_where_it_was(cli: Cli, models: str) -> None:
    outcome = cli("topk", "Hi", "-m", f"{models}:Long")
    outcome.is_error(1, "(1000000 characters)", "in forward")
    assert len(outcome.err) < 4000


@pytest.mark.parametrize(
    ("name", "code", "part"),
    [
        ("Wordless", 1, "no message: its __str__ raises"),
        ("Unhashable", 2, "have no hash"),
        ("Float8", 1, "which torch cannot sort"),
    ],
)
def test_odd_models_are_no_bug_of_gptrace(cli: Cli, models: str, name: str, code: int, part: str) -> None:
    outcome = cli("topk", "Hi", "-m", f"{models}:{name}")
    outcome.is_error(code, part)
    assert "may be a bug" not in outcome.err


def test_a_stderr_that_is_hardly_a_stream_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        def write(self, text: str) -> int:
            return len(text)

        def flush(self) -> None:
            pass

    closed = io.StringIO()
    closed.close()
    for stream in (Bare(), closed, object()):
        monkeypatch.setattr(sys, "stderr", stream)
        streams.write_error("wrong", "do this")
        assert not streams.can_show_progress()


@pytest.mark.processes
def test_a_signal_that_ends_the_process_leaves_no_temporary_file(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        child = os.fork()
        if child == 0:
            signal.signal(number, signal.SIG_DFL)

            def pieces() -> Iterator[str]:
                yield "begin"
                os.kill(os.getpid(), number)  # noqa: B023 - called in this round
                threading.Event().wait(20)

            output_file.write_file(tmp_path / "out.txt", pieces())
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -number
        assert list(tmp_path.iterdir()) == []


def test_the_sink_outlives_the_command_for_threads_that_still_print() -> None:
    """CPython's `print` would crash in a thread that still writes to a stream which nothing else holds."""
    with streams.only_data_on_stdout():
        sink = weakref.ref(sys.stdout)
    gc.collect()
    assert sink() is not None
