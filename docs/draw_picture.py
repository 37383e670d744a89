"""Draw the pictures of the README, which show real output: python docs/draw_picture.py FOLDER

run.svg is `gptrace run "Hello, I am"`; check.svg is `gptrace check` on the three models of docs/examples with
the mistakes that people make most.
"""

from __future__ import annotations

import os
import sys
from io import StringIO
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

import gptrace
from gptrace.report import View, outputs
from gptrace.report.terminal import console, renderables

EXAMPLES = Path(__file__).parent / "examples"
# Several tokens, so that seq_len is a number that stands out beside a batch of 1.
TEXT = "Hello, I am"
# The file and the check that fails: a mask that is not applied, scrambled heads, labels shifted twice.
MISTAKES = (("leaky", "causal"), ("scrambled", "tokens-stay-apart"), ("shifted", "loss-labels"))
TITLE = "it runs, the shapes fit, and it is wrong: which line?"


def draw_run(path: Path) -> None:
    """Write what a terminal shows of a trace, in colour."""
    width = 120
    trace = gptrace.trace(TEXT)
    # The time differs from run to run; without it the file changes only when the report does.
    trace = replace(trace, totals=replace(trace.totals, seconds=0.04))
    screen = _screen(width)
    parts = outputs.parts(trace, View(width=width, color=True))
    screen.print(*renderables(parts, width), sep="\n")
    _write(screen, path, f'gptrace run "{TEXT}"')


def draw_check(path: Path) -> None:
    """Write the commands that check the models, and what each says of the guilty line."""
    width = 92
    screen = _screen(width)
    before = Path.cwd()
    os.chdir(EXAMPLES)  # files are shown as they are typed
    try:
        for name, check in MISTAKES:
            record = gptrace.check(f"{name}.py:GPT", only=[check])
            *_, details = outputs.parts(record, View(width=width, color=True))
            command = f"gptrace check --model {name}.py:GPT --only {check}"
            screen.print(Text.assemble(("$ ", "grey58"), (command, "bold")))
            screen.print(Text("...", "grey58"))
            screen.print(*renderables([details], width), sep="\n")
            screen.print()
    finally:
        os.chdir(before)
    _write(screen, path, TITLE)


def _screen(width: int) -> Console:
    return console(StringIO(), width, color=True, record=True)


def _write(screen: Console, path: Path, title: str) -> None:
    path.write_text(screen.export_svg(title=title, theme=MONOKAI, unique_id="gptrace"), encoding="utf-8")


if __name__ == "__main__":
    draw_run(Path(sys.argv[1]) / "run.svg")
    draw_check(Path(sys.argv[1]) / "check.svg")
