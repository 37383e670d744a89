"""Draw the README's picture of `gptrace run "Hello"`: python docs/draw_picture.py FILE.svg"""

from __future__ import annotations

import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.terminal_theme import MONOKAI

import gptrace
from gptrace.report import View
from gptrace.report.document import document
from gptrace.report.terminal import console, parts


def main(path: Path) -> None:
    """Write what a terminal of 120 columns shows, in colour."""
    trace = gptrace.trace("Hello")
    # A picture that changes with every drawing would be a new file with every drawing.
    trace = replace(trace, totals=replace(trace.totals, seconds=0.04))
    view = View(width=120, color=True)
    screen = console(StringIO(), view, record=True)
    screen.print(*parts(document(trace, view), view), sep="\n")
    path.write_text(screen.export_svg(title='gptrace run "Hello"', theme=MONOKAI, unique_id="gptrace"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
