"""Real processes: pipes, closed readers, full disks, terminals, signals, and what start-up imports."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import gptrace
from tests.support import HANG_TIMEOUT, Cli, Outcome, environment
from tests.warm import warm_python

pytestmark = pytest.mark.processes


def shell(script: str, *, is_cold: bool = False, **variables: str) -> Outcome:
    """Run a bash script in which `gptrace` is ours; PIPESTATUS tells the exit codes."""
    python = shlex.join([sys.executable] if is_cold else warm_python())
    function = f'gptrace() {{ {python} -m gptrace "$@"; }}\n'
    outcome = subprocess.run(
        ["bash", "-c", function + script],
        capture_output=True,
        env=environment(**variables),
        timeout=HANG_TIMEOUT,
        check=False,
    )
    return Outcome(outcome.returncode, outcome.stdout.decode(), outcome.stderr.decode())


def test_the_next_token_after_hello_through_a_pipe() -> None:
    script = "echo Hello | gptrace topk --k 5 --json"
    first = json.loads(shell(script, is_cold=True).out)["results"][0]["candidates"][0]
    assert first["id"] == 11
    assert first["text"] == ","


def test_without_text_dev_null_means_the_sample_with_a_notice(process: Cli) -> None:
    outcome = process("tokens", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["results"][0]["text"] == "Hello, I am"
    assert outcome.err == 'note: no text was given, so this is the sample prompt "Hello, I am"\n'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_stderr_begins_with_one_byte_order_mark(encoding: str) -> None:
    command = [sys.executable, "-m", "gptrace", "topk", "Hi", "-m", "absent"]
    outcome = subprocess.run(
        command,
        capture_output=True,
        env=environment(PYTHONIOENCODING=encoding),
        timeout=HANG_TIMEOUT,
        check=False,
    )
    text = outcome.stderr.decode(encoding)
    assert text.startswith("error: 'absent' is not a model name")
    assert "\ufeff" not in text
    assert [line.partition(":")[0] for line in text.splitlines()] == ["error", "hint"]


@pytest.mark.parametrize("fork", ["raise BlockingIOError", "return real() or os._exit(1)"])
def test_a_process_that_may_start_no_other_still_runs(fork: str) -> None:
    code = f"import os, runpy, sys; real = os.fork\ndef fork():\n    {fork}\nos.fork = fork\n"
    code += "sys.argv = ['gptrace', '--version']; runpy.run_module('gptrace', run_name='__main__')"
    command = [sys.executable, "-c", code]
    outcome = subprocess.run(
        command, capture_output=True, env=environment(), timeout=HANG_TIMEOUT, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert outcome.stdout.startswith(b"gptrace ")


def test_a_process_that_may_open_few_files_still_runs() -> None:
    assert shell("ulimit -n 8; gptrace --version", is_cold=True) == shell("gptrace --version")


def test_stdin_in_its_forms(process: Cli, tmp_path: Path) -> None:
    assert json.loads(process("tokens", "--json", stdin=b"a b\n").out)["results"][0]["text"] == "a b"
    lines = json.loads(process("tokens", "--json", "--lines", stdin="a\n你\n".encode()).out)
    assert [result["text"] for result in lines["results"]] == ["a", "你"]
    process("tokens", stdin=b"").is_error(2, "stdin is empty")
    process("tokens", stdin=b"ab\xff").is_error(2, "byte 0xff at offset 2")
    process("tokens", b"ab\xff").is_error(2, "byte 0xff at offset 2")
    assert process("tokens", "given", stdin=b"").code == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["--help", "models", "tokens a -f csv", "run a -m tiny --json"])
def test_a_reader_that_goes_away_is_no_error(unbuffered: str, command: str) -> None:
    script = f"gptrace {command} | true; echo ${{PIPESTATUS[0]}}"
    assert shell(script, PYTHONUNBUFFERED=unbuffered) == Outcome(0, "0\n", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_an_error(unbuffered: str) -> None:
    outcome = shell("gptrace tokens a > /dev/full", PYTHONUNBUFFERED=unbuffered)
    outcome.is_error(1, "stdout cannot be written: No space left on device")
    shell("gptrace tokens a -f csv -o /dev/full").is_error(1, "/dev/full cannot be written: No space left")


def test_help_takes_the_same_way_out(process: Cli) -> None:
    shell("gptrace --help > /dev/full").is_error(1, "No space left on device")
    shell("gptrace tokens --help >&-").is_error(1, "stdout is closed")
    assert process("--help", PYTHONIOENCODING="latin-1", PYTHONUTF8="0").code == 0


def test_a_reader_of_dev_stdout_that_goes_away_is_no_error() -> None:
    assert shell("gptrace models -f csv -o /dev/stdout | true; echo ${PIPESTATUS[0]}").out == "0\n"


def wait_until(condition: Callable[[], bool], child: subprocess.Popen[bytes]) -> None:
    """Wait until `condition` holds, for as long as `child` runs."""
    deadline = time.monotonic() + HANG_TIMEOUT
    while not condition():
        assert child.poll() is None, "the process ended before"
        assert time.monotonic() < deadline, "the process hangs"
        time.sleep(0.01)


def test_a_stdout_that_a_parent_left_non_blocking_is_written_whole() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with subprocess.Popen(
        [*warm_python(), "-m", "gptrace", "tokens", "word " * 9000, "--json"],
        stdout=writer,
        env=environment(),
    ) as child:
        wait_until(lambda: not select.select([], [writer], [], 0)[1], child)  # until the pipe is full
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8") as file:
            assert len(json.load(file)["results"][0]["ids"]) == 9001
        assert child.wait() == 0


def test_a_stdin_that_a_parent_left_non_blocking_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with subprocess.Popen(
        [*warm_python(), "-m", "gptrace", "tokens", "--json"],
        stdin=reader,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as child:
        wait_until(lambda: os.get_blocking(reader), child)  # the mode is of the pipe, which both hold
        os.close(reader)
        os.write(writer, b"late\n")
        os.close(writer)
        out, _ = child.communicate(timeout=HANG_TIMEOUT)
    assert json.loads(out)["results"][0]["text"] == "late"


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    outcome = shell(
        f"cd {gone} && rmdir {gone} && PYTHONPATH={Path.cwd()} gptrace topk a -m tiny", is_cold=True
    )
    outcome.is_error(1, "the current folder is gone")


def test_closed_streams() -> None:
    shell("gptrace tokens a >&-").is_error(1, "stdout is closed")
    assert shell("gptrace tokens a 2>&- | head -1").out.startswith("1 token of")
    assert shell("gptrace nothing 2>&-").code == 2
    assert "sample" in shell("gptrace tokens <&-").err


def test_a_table_in_a_pipe_is_not_cut(process: Cli) -> None:
    wide = process("run", "Hello", "-m", "tiny", COLUMNS="20").out
    assert "[batch, seq_len, emb_dim] → [batch, seq_len, vocab_size]  [1, 1, 48] → [1, 1, 50257]" in wide


ENDLESS = """
from pathlib import Path
from torch import nn

class Endless(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, ids):
        Path("in-forward").touch()
        x = ids[..., None].float()
        while True:
            x = self.linear(x)
"""


def in_a_terminal(
    *arguments: str, columns: int, folder: Path | None = None, is_cold: bool = False
) -> tuple[int, str]:
    """Run a command in a terminal of so many columns; return its exit code and all that was shown."""
    outer, inner = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    python = [sys.executable] if is_cold else warm_python()
    command = subprocess.Popen(
        [*python, "-m", "gptrace", *arguments], stdin=inner, stdout=inner, stderr=inner, cwd=folder,
        env=environment(TERM="xterm-256color"),
    )  # fmt: skip
    os.close(inner)
    shown = b""
    while True:
        try:
            chunk = os.read(outer, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(outer)
    return command.wait(), shown.decode()


def test_a_terminal_gets_colour_and_its_own_width() -> None:
    code, text = in_a_terminal("run", "Hello", "-m", "tiny", columns=90, is_cold=True)
    assert code == 0
    assert "\x1b[1;35m" in text
    rule = next(line for line in text.splitlines() if "────" in line)
    assert rule.count("─") == 90


def test_an_ascii_stream_gets_plain_signs(process: Cli) -> None:
    outcome = process("run", "Hello", "-m", "tiny", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert outcome.code == 0
    assert (
        outcome.out.splitlines()[0]
        == "[batch, seq_len] -> [batch, seq_len, emb_dim] -> [batch, seq_len, vocab_size]"
    )
    assert "\\u" not in outcome.out


def test_ctrl_c_in_a_forward_pass_ends_it_with_130(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    with subprocess.Popen(
        [sys.executable, "-m", "gptrace", "run", "Hello", "-m", "endless.py:Endless"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(),
    ) as child:  # fmt: skip
        wait_until((tmp_path / "in-forward").exists, child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=HANG_TIMEOUT)
    Outcome(child.returncode, out.decode(), err.decode()).is_error(130, "interrupted")


@pytest.mark.parametrize(
    "arguments",
    [
        "--help", "--version", "run --help", "tokens Hello", "models", "schema", "tokens a --json",
        "run '' -m tiny", "--show-completion bash",
    ],
)  # fmt: skip
def test_what_needs_no_torch_loads_none(arguments: str) -> None:
    probe = (
        "import sys, shlex; from gptrace.cli import main; main(shlex.split(sys.argv[1]));"
        "print('torch' in sys.modules, 'tiktoken' in sys.modules, 'rich' in sys.modules, file=sys.stderr)"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", probe, arguments], capture_output=True, env=environment(), check=False
    )
    torch, tiktoken, rich = outcome.stderr.decode().split()[-3:]
    assert torch == "False"
    assert tiktoken == str("tokens" in arguments and "help" not in arguments)
    if arguments in ("--help", "--version", "schema", "tokens a --json"):
        assert rich == "False"


def test_a_text_comes_to_a_terminal_piece_by_piece_between_the_lines_of_its_report() -> None:
    code, text = in_a_terminal("generate", "Hello, I am", "-m", "tiny", "-n", "6", columns=100)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")
    piped = shell("gptrace generate 'Hello, I am' -m tiny -n 6 --width 100").out
    assert code == 0
    assert plain == piped
    assert text.count("\x1b[1m") >= 6  # a style for each piece


def test_an_error_while_a_text_comes_begins_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "import torch\n"
        "class Late(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.e, self.h = torch.nn.Embedding(50257, 8), torch.nn.Linear(8, 50257)\n"
        "    def forward(self, x):\n"
        "        return self.h(self.e(x)) * (float('nan') if x.shape[1] > 5 else 1.0)\n"
    )
    code, text = in_a_terminal("generate", "Hello, I am", "-m", "late.py:Late", columns=100, folder=tmp_path)
    assert code == 1
    assert "\n\x1b[1;31merror:\x1b[0m the greatest logit is nan" in text.replace("\r", "")


def test_ctrl_c_in_a_destructor_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, signal, time, torch\n"
        "class Interrupted:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT)\n"
        "class Slow(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        Interrupted()\n"
        "        time.sleep(10**6)\n"
    )
    command = [*warm_python(), "-m", "gptrace", "run", "Hello", "-m", "slow.py:Slow"]
    outcome = subprocess.run(
        command, capture_output=True, cwd=tmp_path, env=environment(), timeout=HANG_TIMEOUT, check=False
    )
    Outcome(outcome.returncode, outcome.stdout.decode(), outcome.stderr.decode()).is_error(130, "interrupted")


@pytest.mark.parametrize(
    "module", ["gptrace.cli", "gptrace.cli.main", "gptrace.errors", "gptrace.cli.app", "numpy.dtypes"]
)
def test_ctrl_c_while_the_command_is_loaded_leaves_no_traceback(module: str) -> None:
    code = (
        "import os, runpy, signal, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "sys.argv = ['gptrace', 'topk', 'Hi', '-m', 'tiny']; runpy.run_module('gptrace', run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    outcome = subprocess.run(
        command, capture_output=True, env=environment(), timeout=HANG_TIMEOUT, check=False
    )
    assert (outcome.returncode, outcome.stdout) == (130, b"")
    assert outcome.stderr == b"error: interrupted\nhint: nothing was written; run the command again\n"


def test_a_missing_dependency_is_named() -> None:
    """With -S, Python does not see what is installed."""
    command = [sys.executable, "-S", "-m", "gptrace", "tokens", "Hello"]
    root = str(Path(gptrace.__file__).parents[1])
    outcome = subprocess.run(
        command, capture_output=True, env=environment(PYTHONPATH=root), timeout=HANG_TIMEOUT, check=False
    )
    Outcome(outcome.returncode, outcome.stdout.decode(), outcome.stderr.decode()).is_error(
        1, "gptrace needs msgspec, which is not installed", "pip install gptrace"
    )


@pytest.mark.parametrize("name", ["torch", "typer", "msgspec"])
def test_a_file_that_hides_a_library_is_named(name: str, tmp_path: Path) -> None:
    hiding = tmp_path / f"{name}.py"
    hiding.write_text("mine = 1")
    command = [sys.executable, "-m", "gptrace", "run", "Hello", "-m", "tiny"]
    outcome = subprocess.run(
        command,
        capture_output=True,
        env=environment(PYTHONPATH=str(tmp_path)),
        timeout=HANG_TIMEOUT,
        check=False,
    )
    Outcome(outcome.returncode, outcome.stdout.decode(), outcome.stderr.decode()).is_error(
        1, str(hiding), "rename that file"
    )


@pytest.mark.parametrize("name", ["torch", "random", "tiktoken"])
def test_files_of_the_current_folder_are_not_taken_for_libraries(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("mine = 1")
    command = [sys.executable, "-m", "gptrace", "topk", "Hello", "-k", "1"]
    root = str(Path(gptrace.__file__).parents[1])
    outcome = subprocess.run(
        command, cwd=tmp_path, capture_output=True, env=environment(PYTHONPATH=root), timeout=HANG_TIMEOUT,
        check=False,
    )  # fmt: skip
    assert (outcome.returncode, outcome.stderr) == (0, b"")
