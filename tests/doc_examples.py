"""The examples of README and docs: found in the pages, run as they stand, compared with what the pages show.

A comment right above a fenced block tells how to run it; readers of the rendered page do not see it:

    <!-- exit 1 -->          the block's last command exits with code 1 (0 is expected otherwise)
    <!-- stderr -->          the page shows stderr below stdout; otherwise stderr is not looked at

Several go into one comment with commas. Each block runs in a new temporary folder that holds a copy of
docs/examples, with HF_HOME pointing to no folder and without a network. Its commands run one after the
other, so that one can write a file that the next one reads. A line of three dots stands for any lines, and
three dots within a line for anything on that line.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

from gptrace.cli import main
from tests.support import agree_to_the_last_digit, without_rounding_errors
from tests.warm import warm_python

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
_BLOCK = re.compile(
    r"(?:^<!-- ((?:exit|stderr)[^\n]*) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_SETTINGS_OF_THE_CALLER = ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS")


class Command(NamedTuple):
    """A command, and the output that the page shows below it."""

    line: str
    shown: str


class Outcome(NamedTuple):
    """What a command wrote, and its exit code."""

    code: int
    stdout: str
    stderr: str


class Block(NamedTuple):
    """A fenced block of a page, and what the comment above it says."""

    language: str
    text: str
    line: int
    options: str = ""

    def option(self, name: str) -> str | None:
        """Return what follows an option's name, "" for one that stands alone, None where there is none."""
        found = re.search(rf"(?:^|, ){name}\b:? ?([^,]*)", self.options)
        return found.group(1) if found else None

    def commands(self) -> list[Command]:
        """Return the commands of a console block; a backslash continues one on the next line."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [_split(part) for part in parts]


def _split(part: str) -> Command:
    lines = part.split("\n")
    last = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
    return Command("\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :]))


def english_pages() -> list[Path]:
    """Return README.md and the pages in docs/."""
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def chinese_page(english: Path) -> Path:
    """Return the Chinese page of an English one."""
    return ROOT / "README.zh-CN.md" if english.name == "README.md" else DOCS / "zh" / english.name


def pages() -> list[Path]:
    """Return every page, in both languages."""
    return [page for english in english_pages() for page in (english, chinese_page(english))]


def blocks(page: Path, language: str) -> list[Block]:
    """Return the blocks of a page in a language: console, python, sh."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[2], match[3], text.count("\n", 0, match.start(3)) + 1, match[1] or "")
        for match in _BLOCK.finditer(text)
        if match[2] == language
    ]


@cache
def run_commands(block: Block) -> list[Outcome]:
    """Run the commands of a console block in a new folder."""
    outcomes: list[Outcome] = []
    with _folder_of_a_reader():
        for command in block.commands():
            outcomes.append(_run(command.line, outcomes[-1].code if outcomes else 0))
    return outcomes


def complaints(block: Block) -> list[str]:
    """Say which outputs and exit codes of a console block are not what the page shows."""
    commands, found = block.commands(), []
    for number, (command, outcome) in enumerate(zip(commands, run_commands(block), strict=True)):
        is_last = number == len(commands) - 1
        code = int(block.option("exit") or 0) if is_last else 0
        # `$ echo $?` shows the code, so it is compared there.
        if outcome.code != code and (is_last or commands[number + 1].line != "echo $?"):
            found.append(f"$ {command.line}\nexits with {outcome.code}, not {code}:\n{outcome.stderr}")
        if not matches(command.shown, _visible(block, outcome)):
            found.append(f"$ {command.line}\nprints:\n{_visible(block, outcome)}")
    return found


def failed_doctests(page: Path) -> str:
    """Run the Python blocks of a page as one session; return what went wrong, as doctest reports it."""
    source = "\n".join(_doctest_source(block) for block in blocks(page, "python"))
    test = doctest.DocTestParser().get_doctest(source, {}, page.name, str(page), 0)
    report = StringIO()
    with _folder_of_a_reader():
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.write)
    return report.getvalue()


def matches(shown: str, printed: str) -> bool:
    """Tell whether an output is what a page shows, where three dots may stand for parts of it.

    >>> matches("a\\n...\\nd ...s", "a\\nb\\nc\\nd 5 ms"), matches("a\\n...\\nd", "a\\nb")
    (True, False)
    """
    lines = printed.removesuffix("\n").split("\n")
    chunks: list[list[str]] = [[]]
    for line in shown.removesuffix("\n").split("\n"):
        if line == "...":
            chunks.append([])
        else:
            chunks[-1].append(line)
    first, *others = chunks
    if not _starts_with(lines, first):
        return False
    if not others:
        return len(lines) == len(first)
    position = len(first)
    for chunk in others[:-1]:
        places = range(position, len(lines))
        place = next((at for at in places if _starts_with(lines[at:], chunk)), None)
        if place is None:
            return False
        position = place + len(chunk)
    end = len(lines) - len(others[-1])
    return end >= position and _starts_with(lines[end:], others[-1])


def needs_a_shell(line: str) -> bool:
    """Tell whether a command is more than a call of gptrace.

    >>> needs_a_shell('gptrace run "Hello"'), needs_a_shell("gptrace run < hello.txt")
    (False, True)
    """
    unquoted = re.sub(r"'[^']*'|\"[^\"$`]*\"", "", line)
    return not line.startswith("gptrace ") or re.search(r"[|<>;&$`*?\\]", unquoted) is not None


def refreshed(text: str) -> tuple[str, list[str]]:
    """Return a page with the outputs that its commands have now, and complaints about shortened outputs.

    An output with three dots in it is left as it is: somebody has to shorten the new one.
    """
    found: list[str] = []

    def fresh(match: re.Match[str]) -> str:
        block = Block(match[2], match[3], 0, match[1] or "")
        if block.language != "console":
            return match[0]
        written = []
        for command, outcome in zip(block.commands(), run_commands(block), strict=True):
            printed = _visible(block, outcome)
            if "..." not in command.shown:
                written.append(f"$ {command.line}\n{printed}")
                continue
            written.append(f"$ {command.line}\n{command.shown}")
            if not matches(command.shown, printed):
                found.append(f"$ {command.line}\nprints:\n{printed}")
        before = match.start(3) - match.start()
        return f"{match[0][:before]}{''.join(written)}```"

    return _BLOCK.sub(fresh, text), found


def _starts_with(lines: list[str], shown: list[str]) -> bool:
    return len(lines) >= len(shown) and all(map(_line_matches, shown, lines))


def _line_matches(shown: str, printed: str) -> bool:
    shown, printed = map(_stable, (shown, printed))
    if "..." not in shown:
        return agree_to_the_last_digit(printed, shown)
    return re.fullmatch(".*".join(map(re.escape, shown.split("..."))), printed) is not None


# Integers that come from floats: `rank 32,016`, `perplexity 47,791`, and a rank before a surprisal.
_FROM_FLOATS = re.compile(
    r"(?<=rank )[0-9,]{5,}|(?<=perplexity )[0-9,]{5,}|[0-9]+,[0-9]{3}(?= +[0-9]+\.[0-9]{4}$)"
)


def _stable(line: str) -> str:
    """Return a line without the digits on which kernels of several processors do not agree.

    >>> _stable("perplexity 47,791"), _stable("0.0024%, rank 14,054")
    ('perplexity 47,800', '0.0024%, rank 14,100')
    """
    line = _FROM_FLOATS.sub(lambda match: f"{round(int(match[0].replace(',', '')), -2):,}", line)
    return without_rounding_errors(line)


def _visible(block: Block, outcome: Outcome) -> str:
    return outcome.stdout + (outcome.stderr if block.option("stderr") is not None else "")


def _doctest_source(block: Block) -> str:
    """Return a block with <BLANKLINE> for the blank lines of outputs: pages show outputs as they are."""
    return re.sub(r"^\n(?!>>> |\n|\Z)", "<BLANKLINE>\n", block.text, flags=re.MULTILINE)


@contextmanager
def _folder_of_a_reader() -> Iterator[None]:
    """Go to a new folder with the example files in it, with a reader's environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _SETTINGS_OF_THE_CALLER and not name.startswith("GPTRACE_")
    }
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    changes = {"HF_HOME": "/nowhere", "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}
    with TemporaryDirectory() as folder, patch.dict(os.environ, kept | changes, clear=True):
        shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
        with chdir(folder):
            yield


def _run(line: str, previous_code: int) -> Outcome:
    # A process for each would spend most of the time on importing torch.
    if not needs_a_shell(line):
        return _run_in_this_process(shlex.split(line)[1:])
    python = shlex.join(warm_python())
    functions = f'gptrace() {{ {python} -m gptrace "$@"; }}; python() {{ {python} "$@"; }}'
    done = subprocess.run(
        ["bash", "-c", f"{functions}\n(exit {previous_code})\n{line}"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def _run_in_this_process(arguments: list[str]) -> Outcome:
    stdout, stderr = StringIO(), StringIO()
    with _nothing_on_stdin(), redirect_stdout(stdout), redirect_stderr(stderr):
        code = main(arguments)
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


@contextmanager
def _nothing_on_stdin() -> Iterator[None]:
    kept, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(nothing, 0)
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(nothing)
