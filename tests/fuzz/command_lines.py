"""Random command lines: every command, every option, hostile values, files and models.

Each line is made from a number alone, so that `python -m tests.fuzz NUMBER 1` makes a failure again. The
options are read from the application, so a new one is tried at once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import typer

from gptrace.cli.app import COMMANDS, app
from tests.fuzz.values import NUMBERS, OBJECTS, STDIN, SUITABLE, TEXTS, VARIABLES, WORDS

# How a process of its own is run; the others are children of the process that makes the lines.
REAL = ("plain", "closed stdout", "closed stderr", "reader gone", "ascii", "latin-1", "terminal")
_WITH_TEXT = ("run", "topk", "tokens", "explain", "loss", "generate", "lens")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem", "/dev/stdin")


@dataclass(frozen=True)
class CommandLine:
    """A command line, with what is on stdin and in the environment, and how it is run.

    `way` is one of REAL, or "child": in a child of the process that makes the lines.
    """

    arguments: list[str]
    stdin: bytes | None = None
    variables: dict[str, str] = field(default_factory=dict)
    way: str = "child"
    encoding: str = "utf-8"


def command_line(number: int, folder: Path) -> CommandLine:
    """Return the command line of a number, for the files in a folder."""
    rng = random.Random(number)
    damaged = rng.sample(sorted(f"damaged/{path.name}" for path in (folder / "damaged").iterdir()), 20)
    values = _Values(rng, [*sorted(path.name for path in folder.iterdir()), *damaged])
    command = rng.choice([*COMMANDS] * 9 + [values.any()])
    arguments = [command, *values.positional(command)]
    options = (_options(command) if command in COMMANDS else ()) or _options("run")
    if any("--model" in option.opts for option in options) and rng.random() < 0.85:
        arguments += ["-m", rng.choice(values.models)]
    for _ in range(rng.choice((0, 1, 1, 2, 3, 4))):
        # Seldom an option of another command.
        chosen = rng.choice(options if rng.random() < 0.95 else _options(rng.choice(_WITH_TEXT)))
        arguments += values.of_option(chosen)
    if rng.random() < 0.02:
        arguments.insert(
            rng.randrange(len(arguments) + 1), rng.choice(("--help", "--version", "--show-completion"))
        )
    stdin = rng.choice((None, None, *STDIN, (folder / "lines.jsonl").read_bytes()))
    return CommandLine(
        [_passable(argument) for argument in arguments],
        stdin,
        {name: _passable(value) for name, value in values.variables(options).items()},
        rng.choice(REAL) if rng.random() < 0.02 else "child",
        "ascii" if rng.random() < 0.1 else "utf-8",
    )


class _Values:
    """Random values from one random generator."""

    def __init__(self, rng: random.Random, files: Sequence[str]) -> None:
        self._rng = rng
        self.files = [*files, ".", "absent", "", *_DEVICES]
        self.models = [
            *["tiny"] * 12,
            *(f"models.py:{name}" for name in OBJECTS),
            "models.ipynb:Good", "broken.ipynb:Good", "hostile.ipynb:Good", "hostile.ipynb:y", "raises.py:x",
            "broken.py:f", "exits.py:x",
            "prints.py:x", "models.py", "models.py:", "models.py:Absent", "torch.nn:Linear", "hf:llama",
            "hf:odd", "hf:wrong", "hf:kernel", "os:system", "fifo:x", "gptrace.model.gpt:GPTModel",
        ]  # fmt: skip

    def any(self) -> str:
        """Return a value of any kind."""
        return str(self._rng.choice([*TEXTS, *NUMBERS, *WORDS, *self.files, *self.models]))

    def positional(self, command: str) -> list[str]:
        """Return arguments that are no options."""
        rng = self._rng
        if command in ("diff", "show"):
            return [rng.choice(self.files) for _ in range(2 if command == "diff" else 1)]
        if command in ("models", "schema", "pull"):
            return [rng.choice(WORDS) for _ in range(rng.choice((0, 0, 1)) + (command == "pull"))]
        return [rng.choice(TEXTS) for _ in range(rng.choice((0, 0, 1, 1, 1, 2)))]

    def of_option(self, option: Any) -> list[str]:
        """Return an option, with a value that may suit it."""
        rng = self._rng
        name = next((name for name in option.opts if name.startswith("--")), option.opts[0])
        if option.is_flag:
            return [name]
        suitable = SUITABLE.get(name)
        if suitable is None:
            kind = option.metavar or ""
            suitable = NUMBERS if kind in ("INTEGER", "NUMBER") else WORDS
            if "FILE" in kind or "PATH" in kind:
                suitable = tuple(self.files)
            elif name == "--model":
                suitable = tuple(self.models)
        stray = name != "--output" and rng.random() < 0.15
        return [name, self.any() if stray else rng.choice(suitable)]

    def variables(self, options: Sequence[Any]) -> dict[str, str]:
        """Return variables of the environment, seldom any."""
        rng = self._rng
        chosen = {name: rng.choice(VARIABLES[name]) for name in VARIABLES if rng.random() < 0.02}
        own = [option for option in options if option.envvar]
        if own and rng.random() < 0.1:
            option = rng.choice(own)
            chosen[option.envvar] = self.of_option(option)[-1]
        return chosen


@cache
def _options(command: str) -> tuple[Any, ...]:
    """Return the options of a command, as Typer knows them."""
    group: Any = typer.main.get_command(app)
    return tuple(each for each in group.commands[command].params if each.param_type_name == "option")


def _passable(text: str) -> str:
    """Return a text as a process can get it."""
    return text.replace("\x00", "")
