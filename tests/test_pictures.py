"""The pictures of the README and the docs show what gptrace says now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import gptrace

DOCS = Path(__file__).parents[1] / "docs"
# Figures may differ in their last digits from one processor to the next.
FIGURE = re.compile(r"\d+(\.\d+)?(e-\d+)?")


def _drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_picture", DOCS / "draw_picture.py")
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    return drawing


def test_the_picture_of_check_is_what_check_says(tmp_path: Path) -> None:
    """Run again what the picture shows; `make picture` draws it anew."""
    drawing = _drawing()
    drawing.draw_check(tmp_path / "check.svg")
    drawn, kept = (FIGURE.sub("0", (folder / "check.svg").read_text("utf-8")) for folder in (tmp_path, DOCS))
    assert drawn == kept


def test_the_diagram_in_the_docs_is_what_gptrace_writes() -> None:
    trace = gptrace.trace("Hello, I am", model="tiny", measure="ops")
    diagram = f"```mermaid\n{trace.picture('mermaid', depth=1, lang='en')}```\n"
    for page in (DOCS / "pictures.md", DOCS / "zh" / "pictures.md"):
        assert diagram in page.read_text("utf-8")


def test_the_pictures_of_the_small_model_are_what_gptrace_draws(tmp_path: Path) -> None:
    names = ("model.svg", "attention.svg")
    _drawing().draw_model(*(tmp_path / name for name in names))
    for name in names:
        assert (tmp_path / name).read_text("utf-8") == (DOCS / name).read_text("utf-8")
