"""`python -m gptrace`, and the `gptrace` command."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from gptrace.hiding_modules import hiding_file


def run() -> NoReturn:
    """Run the command line as a process of its own; Ctrl-C waits until it is loaded and can be handled."""
    may_block = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]) if may_block else None
    try:
        from gptrace.cli import run_and_exit
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "gptrace":
            raise
        if file := hiding_file(error):
            sys.stderr.write(
                f"error: {error.name} is not in {file}, which hides the library of that name\n"
                "hint: rename that file, or take its folder out of PYTHONPATH\n"
            )
            sys.exit(1)
        sys.stderr.write(
            f"error: gptrace needs {error.name}, which is not installed\n"
            "hint: pip install gptrace installs all that it needs; python -S hides what is installed\n"
        )
        sys.exit(1)
    run_and_exit(before)


def _leave_out_current_folder() -> None:
    """Take the folder that `python -m` puts first from the path: a file there may be called torch.py.

    The `gptrace` command imports nothing from there either, but the models that it is asked for.
    """
    try:
        current = os.getcwd()
    except OSError:  # it is gone
        return
    if not sys.flags.safe_path and sys.path[:1] == [current]:
        del sys.path[0]


if __name__ == "__main__":
    _leave_out_current_folder()
    run()
