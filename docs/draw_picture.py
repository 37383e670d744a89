"""Draw the README's picture of `gptrace run "Hello, I am"`: python docs/draw_picture.py FILE.svg"""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

from msgspec.structs import replace
from rich.terminal_theme import MONOKAI

import gptrace
from gptrace.report import View, outputs
from gptrace.report.terminal import console, renderables

COLUMNS = 120
# Several tokens, so that seq_len is a number that stands out beside a batch of 1.
TEXT = "Hello, I am"


def main(path: Path) -> None:
    """Write what a terminal shows, in colour."""
    trace = gptrace.trace(TEXT)
    # The time differs from run to run; without it the file changes only when the report does.
    trace = replace(trace, totals=replace(trace.totals, seconds=0.04))
    parts = outputs.parts(trace, View(width=COLUMNS, color=True))
    screen = console(StringIO(), COLUMNS, color=True, record=True)
    screen.print(*renderables(parts, COLUMNS), sep="\n")
    path.write_text(screen.export_svg(title=f'gptrace run "{TEXT}"', theme=MONOKAI, unique_id="gptrace"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
