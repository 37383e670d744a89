"""Notebooks as files, made of the sources of their cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gptrace

CHAPTER = Path(gptrace.__file__).parents[1] / "docs" / "examples" / "chapter.ipynb"


def notebook(*sources: str, **fields: Any) -> dict[str, Any]:
    """Return a notebook of code cells; one that begins with # and a space is Markdown."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown" if source.startswith("# ") else "code", "source": source, "metadata": {}}
        for source in sources
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | fields


def write_notebook(path: Path, *sources: str, **fields: Any) -> Path:
    """Write such a notebook."""
    path.write_text(json.dumps(notebook(*sources, **fields)), encoding="utf-8")
    return path


def write_chapter(path: Path, old: str = "", new: str = "") -> Path:
    """Write the notebook of the documentation, with a part of its code replaced."""
    content = json.loads(CHAPTER.read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in content["cells"]]
    assert not old or sum(old in source for source in sources) == 1
    for cell, source in zip(content["cells"], sources, strict=True):
        cell["source"] = source.replace(old, new) if old else source
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
