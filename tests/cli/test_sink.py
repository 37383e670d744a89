"""What other code prints is safe text on stderr, whatever it does to the streams; error lines have an end."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptrace.cli import streams
from tests.support import Cli

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

            streams.write_file(tmp_path / "out.txt", pieces())
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -number
        assert list(tmp_path.iterdir()) == []
