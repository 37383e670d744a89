"""A warm process is what `python` would be: its arguments, streams, variables, limits, signals, and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support import HANG_TIMEOUT, environment
from tests.warm import warm_python

pytestmark = pytest.mark.processes

SHOW = """
import os, resource, signal, sys
print(sys.argv, os.getcwd(), sys.path[0], os.environ["NAME"], "PATH" in os.environ, __name__)
print(resource.getrlimit(resource.RLIMIT_CPU), signal.getsignal(signal.SIGINT))
for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.fileno(), stream.encoding, stream.errors, stream.line_buffering, stream.write_through)
print(sorted(map(int, os.listdir("/proc/self/fd")))[:-1], sys.stdin.read())
sys.stderr.write("to stderr"); sys.exit(7)
"""
HAS_TORCH = "import sys; print('torch' in sys.modules)"


def limit_processor_time() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (50, 60))


@pytest.mark.parametrize("kind", ["-c", "-m", "file"])
def test_it_starts_and_ends_as_python_does(tmp_path: Path, kind: str) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    what = {"-c": ["-c", SHOW], "-m": ["-m", "show"], "file": ["show.py"]}[kind]
    cold, warm = (
        subprocess.run(
            [*python, *what, "a", "--b", "é\udcff"], input=b"1 2", capture_output=True, cwd=tmp_path,
            env={"NAME": "é\udcff", "LANG": os.environ["LANG"]}, preexec_fn=limit_processor_time,
            timeout=HANG_TIMEOUT, check=False,
        )
        for python in ([sys.executable], warm_python())
    )  # fmt: skip
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)
    assert warm.returncode == 7


def answer(
    *arguments: str, is_stderr_closed: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*warm_python(), *arguments], stdout=subprocess.PIPE, text=True, env=environment(**variables),
        preexec_fn=partial(os.close, 2) if is_stderr_closed else None,
        timeout=HANG_TIMEOUT, check=False,
    )  # fmt: skip


def test_it_has_torch_unless_it_would_start_in_another_way() -> None:
    assert answer("-c", HAS_TORCH).stdout == "True\n"
    assert answer("-c", HAS_TORCH, COLUMNS="20", PYTHONUNBUFFERED="").stdout == "True\n"
    assert answer("-c", HAS_TORCH, PYTHONIOENCODING="ascii").stdout == "False\n"
    assert answer("-c", HAS_TORCH, is_stderr_closed=True).stdout == "False\n"
    assert answer("-W", "error", "-c", HAS_TORCH).stdout == "False\n"


def test_signals_reach_it_and_end_it() -> None:
    for number in (signal.SIGABRT, signal.SIGTERM):
        assert answer("-c", f"import os; os.kill(os.getpid(), {number})").returncode == -number
    waits = "try: print(flush=True); signal.pause()\nexcept KeyboardInterrupt: sys.exit(5)"
    command = [*warm_python(), "-c", f"import signal, sys\n{waits}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=HANG_TIMEOUT) == 5
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
        assert child.stdout.read() == b""  # the process that was forked is gone, too
