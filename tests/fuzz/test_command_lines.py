"""A short run of the fuzz; `make fuzz` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.running import fuzz

pytestmark = pytest.mark.processes


# In children, and as processes: one whose reader is gone, and one on a terminal.
NUMBERS = (*range(30), 260, 475)


def test_some_command_lines_end_in_one_way_or_the_other(tmp_path: Path) -> None:
    assert not fuzz(NUMBERS, tmp_path)
