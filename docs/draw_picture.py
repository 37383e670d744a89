"""Draw the pictures of the README and the docs, which show real output: python docs/draw_picture.py FOLDER

run.svg is what a terminal shows of `gptrace run "Hello, I am"`; check.svg is `gptrace check` on the three
models of docs/examples with the mistakes that people make most; lens.svg and loss.svg are the pictures that
`gptrace lens` and `gptrace loss` write; model.svg and attention.svg are pictures of the small model.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec.structs import replace

import gptrace
from gptrace.report import View, outputs, render
from gptrace.report.parts import Facts, Lines, Part, line
from gptrace.report.svg import to_svg

EXAMPLES = Path(__file__).parent / "examples"
# Several tokens, so that seq_len is a number that stands out beside a batch of 1.
TEXT = "Hello, I am"
# The file and the check that fails: a mask that is not applied, scrambled heads, labels shifted twice.
MISTAKES = (("leaky", "causal"), ("scrambled", "tokens-stay-apart"), ("shifted", "loss-labels"))
TITLE = "it runs, the shapes fit, and it is wrong: which line?"
BEGINNING = "She sat by the window and"
PROSE = "It was a bright cold day, and the old man sat by the window."


def draw_run(path: Path) -> None:
    """Write what a terminal shows of a trace, in colour."""
    width = 120
    trace = gptrace.trace(TEXT)
    # The time differs from run to run; without it the file changes only when the report does.
    trace = replace(trace, totals=replace(trace.totals, seconds=0.04))
    command = f'gptrace run "{TEXT}"'
    parts = [_typed(command), *outputs.parts(trace, View(width=width, lang="en"))]
    path.write_text(to_svg(parts, command, theme="dark", width=width), encoding="utf-8")


def draw_check(path: Path) -> None:
    """Write the commands that check the models, and what each says of the guilty line."""
    width = 104
    parts: list[Part] = []
    before = Path.cwd()
    os.chdir(EXAMPLES)  # files are shown as they are typed
    try:
        for name, check in MISTAKES:
            record = gptrace.check(f"{name}.py:GPT", only=[check])
            shown = outputs.parts(record, View(width=width, lang="en"))
            *_, details = (part for part in shown if isinstance(part, Facts))
            command = f"gptrace check --model {name}.py:GPT --only {check}"
            parts += [_typed(command, "..."), details]
    finally:
        os.chdir(before)
    path.write_text(to_svg(parts, TITLE, theme="dark", width=width), encoding="utf-8")


def draw_model(model: Path, attention: Path) -> None:
    """Write the small model as a slide, and what is in its attention."""
    trace = gptrace.trace(TEXT, model="small", measure="ops")
    model.write_text(trace.picture(landscape=True, lang="en"), encoding="utf-8")
    attention.write_text(trace.picture(only="att", theme="dark", lang="en"), encoding="utf-8")


def draw_predictions(lens: Path, loss: Path) -> None:
    """Write what the trained model of the package makes of an English sentence."""
    session = gptrace.Session("small")
    view = View(width=120, lang="en")
    lens.write_text(render(session.lens(BEGINNING), "svg", view), encoding="utf-8")
    loss.write_text(render(session.loss(PROSE), "svg", view), encoding="utf-8")


def _typed(command: str, *below: str) -> Lines:
    """Return a command as it is typed, and quiet lines below it."""
    return Lines([(("$ ", "quiet"), (command, "strong")), *(line(text, "quiet") for text in below)])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    draw_run(folder / "run.svg")
    draw_check(folder / "check.svg")
    draw_model(folder / "model.svg", folder / "attention.svg")
    draw_predictions(folder / "lens.svg", folder / "loss.svg")
