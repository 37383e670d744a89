"""The README's examples, run as they stand: a line of three dots stands for anything."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gptrace.cli.app import COMMANDS
from tests.support import environment

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
IN_CHINESE = ROOT / "README.zh-CN.md"


def blocks(language: str, readme: Path = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """Each `$ command` with the output that a README shows; what both show stands here once."""
    found = []
    for block in dict.fromkeys([*blocks("console"), *blocks("console", IN_CHINESE)]):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown))
    return found


def matches(shown: str, printed: str) -> bool:
    pattern = "".join(
        ".*" if line == "..." else re.escape(line) + r"\n" for line in shown.rstrip("\n").split("\n")
    )
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


@pytest.mark.parametrize(("command", "shown"), examples())
def test_a_command_prints_what_the_readme_shows(command: str, shown: str) -> None:
    functions = (
        f'gptrace() {{ "{sys.executable}" -m gptrace "$@"; }}; python() {{ "{sys.executable}" "$@"; }}\n'
    )
    done = subprocess.run(
        ["bash", "-c", functions + command], capture_output=True, env=environment(), check=False, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert matches(shown, done.stdout.decode()), done.stdout.decode()


def test_the_python_examples() -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    source = "\n".join(blocks("python"))
    test = doctest.DocTestParser().get_doctest(source, {}, "README.md", str(README), 0)
    assert len(test.examples) > 8
    assert runner.run(test).failed == 0


@pytest.mark.parametrize("readme", [README, IN_CHINESE])
def test_every_command_is_in_the_readme(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert all(f"gptrace {command}" in text for command in COMMANDS)


def test_both_readmes_say_the_same() -> None:
    english, chinese = (re.findall("^#+ ", path.read_text(), re.MULTILINE) for path in (README, IN_CHINESE))
    assert english == chinese
    for language in ("python", "sh"):
        assert len(blocks(language)) == len(blocks(language, IN_CHINESE))
    assert blocks("python") == blocks("python", IN_CHINESE)
    ours = [block for block in blocks("console") if "gptrace explain" not in block]
    reference = [block for block in blocks("console", IN_CHINESE) if "gptrace explain" not in block]
    assert ours == reference


def test_a_wrong_example_is_noticed() -> None:
    assert matches("a\n...\nc\n", "a\nb\nc\n")
    assert not matches("a\nb\n", "a\nc\n")
    assert not matches("a\n", "a\nb\n")
