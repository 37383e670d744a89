"""`python -m gptrace`, and the `gptrace` command."""

from __future__ import annotations

import signal
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line as a process of its own; Ctrl-C waits until it is loaded and can be handled."""
    may_block = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]) if may_block else None
    from gptrace.cli import run_and_exit

    run_and_exit(before)


if __name__ == "__main__":
    run()
