"""Words in place of glyphs where a terminal is not UTF-8: every glyph has some, and columns stay aligned."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gptrace
from gptrace.report import View, render
from gptrace.report.glyphs import in_encoding
from tests.support import Cli

PACKAGE = Path(gptrace.__file__).parent
# Alphabets of tokenizers, punctuation for breaking lines, and the Chinese texts themselves.
NOT_SHOWN = ("translation", "language.py", "chinese", "hugging_face.py", "line_breaking.py", "zh")


def shown_texts() -> Iterator[str]:
    """Yield every text in the package that is no docstring."""
    for file in PACKAGE.rglob("*.py"):
        if any(part in str(file.relative_to(PACKAGE)) for part in NOT_SHOWN):
            continue
        source = file.read_text(encoding="utf-8")
        if source.isascii() and "\\" not in source:
            continue  # there is no glyph, nor an escape that may be one
        tree = ast.parse(source)
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield node.value


def test_every_glyph_of_the_package_has_words() -> None:
    glyphs = sorted({character for text in shown_texts() for character in text if not character.isascii()})
    assert "→" in glyphs
    assert [glyph for glyph in glyphs if "\\" in in_encoding(glyph)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`out_head`: y = x·Wᵀ + b", "`out_head`: y = x @ W.T + b"),
        ("pᵢ = exp(yᵢ) / Σ exp(yⱼ)", "p_i = exp(y_i) / sum exp(y_j)"),
        ("1/√head_dim, 1/√64", "1/sqrt head_dim, 1/sqrt 64"),
        ("2·Wx, [batch·seq_len]", "2*Wx, [batch*seq_len]"),
        ("5 ✓ holds, ✗ does not – ≥ 3", "5 ok holds, FAIL does not - >= 3"),
        ("→ \"→\" 'é'", "-> \"\\u2192\" '\\xe9'"),
        ('"a \\\\" → "b"', '"a \\\\" -> "b"'),
    ],
)
def test_words_mean_what_the_glyphs_mean(text: str, expected: str) -> None:
    assert in_encoding(text) == expected


@pytest.mark.parametrize("width", [60, 80, None])
def test_columns_are_aligned_for_the_words(width: int | None) -> None:
    trace = gptrace.trace("Hello, I am", model="tiny", measure="all")
    lines = render(trace, "table", View(width=width, encoding="ascii")).splitlines()
    assert all(line.isascii() for line in lines)
    assert max(map(len, lines)) <= (width or 999)
    if width is None:
        heads = next(line for line in lines if line.startswith("Module"))
        rows = [line for line in lines if "Linear" in line]
        assert {row.index("Linear") for row in rows} == {heads.index("Type")}
        assert {row.index("[batch") for row in rows} == {heads.index("Input -> output")}


@pytest.mark.processes
@pytest.mark.parametrize("form", ["table", "html"])
def test_every_format_is_ascii_where_stdout_is(process: Cli, form: str, tmp_path: Path) -> None:
    kept = tmp_path / "topk.json"  # which is shown without torch
    kept.write_text(gptrace.topk("é →", model="tiny").to_json())
    outcome = process("show", str(kept), "-f", form, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.isascii()
    assert ("&#233; &#8594;" if form == "html" else "\\xe9 \\u2192") in outcome.out
