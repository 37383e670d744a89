"""The committed files of the page are what its sources give."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import gptrace
from gptrace.record.schema import json_schema
from gptrace.record.writing import to_json

_ROOT = Path(gptrace.__file__).parents[1]
_WEB = _ROOT / "web"
_BUILT = ("page.js", "page.css", "layout.js", "THIRD_PARTY_LICENSES")

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (_WEB / "node_modules").is_dir(),
    reason="the page is built by Node: `npm --prefix web ci` gets what it needs",
)


def _node(*arguments: str, text: str = "") -> None:
    done = subprocess.run(
        ["node", *arguments], cwd=_WEB, input=text, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_bundle_is_that_of_its_sources(tmp_path: Path) -> None:
    _node("build.mjs", str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(_BUILT)
    for name in _BUILT:
        committed = _ROOT / "gptrace/report/page" / name
        assert committed.read_bytes() == (tmp_path / name).read_bytes(), f"`make web` builds {name} anew"


def test_the_types_are_those_of_the_record(tmp_path: Path) -> None:
    types = tmp_path / "record.ts"
    _node("types.mjs", str(types), text=to_json(json_schema("page")))
    assert types.read_text() == (_WEB / "src/record.ts").read_text(), "`make web` writes src/record.ts anew"


def test_the_page_stays_small() -> None:
    assert (_ROOT / "gptrace/report/page/page.js").stat().st_size < 250_000
