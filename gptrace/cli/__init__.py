"""The command line: parse, call, render."""

from gptrace.cli.main import main, run_and_exit

__all__ = ["main", "run_and_exit"]
