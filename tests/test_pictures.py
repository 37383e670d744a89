"""The pictures of the README show what gptrace says now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
# Figures may differ in their last digits from one processor to the next.
FIGURE = re.compile(r"\d+(\.\d+)?(e-\d+)?")


def test_the_picture_of_check_is_what_check_says(tmp_path: Path) -> None:
    """Run again what the picture shows; `make picture` draws it anew."""
    spec = importlib.util.spec_from_file_location("draw_picture", DOCS / "draw_picture.py")
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    drawing.draw_check(tmp_path / "check.svg")
    drawn, kept = (FIGURE.sub("0", (folder / "check.svg").read_text("utf-8")) for folder in (tmp_path, DOCS))
    assert drawn == kept
