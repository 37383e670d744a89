"""The command lines in the docstring of `training` are those that its steps take."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

import training

STEPS = re.findall(r"python -m (\S+) +(.*?)  ", training.__doc__ or "")


def test_the_docstring_shows_all_four_steps() -> None:
    assert [name for name, _ in STEPS] == [
        f"training.{step}" for step in ("prepare", "train", "export", "evaluate")
    ]


@pytest.mark.parametrize(("name", "options"), STEPS)
def test_a_step_has_the_options_of_the_docstring(
    name: str, options: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        import_module(name).main(["--help"])
    known = re.findall(r"--[a-z-]+", capsys.readouterr().out)
    assert set(re.findall(r"--[a-z-]+", options)) <= set(known)
