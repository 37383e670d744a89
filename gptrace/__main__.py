"""`python -m gptrace`: the same as the `gptrace` command."""

from gptrace.cli import run_and_exit

run_and_exit()
