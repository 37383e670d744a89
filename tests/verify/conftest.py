"""Fixtures of the tests of verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verify.source_styles import STYLES


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    file = tmp_path / "styles.py"
    file.write_text(STYLES, encoding="utf-8")
    return file
