"""Shape comments in files of every kind: the lines that they know, and diffs that can be applied."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import gptrace
from gptrace.errors import OptionError
from gptrace.model.quiet_torch import torch
from gptrace.report.listing_layout import listing_lines
from gptrace.report.parts import Listing, ListingRow
from gptrace.verify.source.writing import CommentedFile, commented_files

MODEL = """from torch import nn

class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head = nn.Embedding(50257, 8), nn.Linear(8, 50257)

    def forward(self, ids):
        x = self.emb(ids)
        match x.dim():
            case 2:
                x = x[None]
            case 3:
                x = x * 1
            case _:
                x = x[0]
        try:
            x = x.absent()
        except AttributeError:
            x = x + 1
        return self.head(x)
"""


def commented(path: Path) -> CommentedFile:
    (file,) = commented_files(gptrace.source("Hi", model=f"{path}:GPT"))
    return file


def test_cases_and_handlers_say_whether_they_ran(tmp_path: Path) -> None:
    path = tmp_path / "cases.py"
    path.write_text(MODEL, encoding="utf-8")
    (file,) = gptrace.source("Hi", model=f"{path}:GPT").files
    calls = {line.text.strip(): line.calls for line in file.lines}
    assert [calls[text] for text in ("match x.dim():", "case 2:", "case 3:", "x = x * 1")] == [1, 1, 1, 1]
    assert [calls[text] for text in ("x = x[None]", "case _:", "x = x[0]")] == [0, 0, 0]
    assert [calls[text] for text in ("except AttributeError:", "x = x + 1")] == [1, 1]


def test_a_file_that_is_saved_again_in_the_same_process_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "spaces.py"
    path.write_text(MODEL.replace("x = x + 1", "x = x + 1   "), encoding="utf-8")
    path.write_bytes(commented(path).after)
    again = commented(path)
    assert again.after == again.before
    path.write_text(MODEL.replace("x = x + 1", "x = x * 7"), encoding="utf-8")
    (file,) = gptrace.source("Hi", model=f"{path}:GPT").files
    assert [line.calls for line in file.lines if line.text.endswith("x = x * 7")] == [1]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_line_breaks_stay_as_they_are(tmp_path: Path, line_break: str) -> None:
    path = tmp_path / f"breaks_{len(line_break)}_{ord(line_break[0])}.py"
    path.write_bytes(MODEL.replace("\n", line_break).encode())
    file = commented(path)
    assert set(re.findall("\r\n|\r|\n", file.after.decode())) == {line_break}
    assert file.comments == 5
    assert file.refused == []


def test_a_diff_tells_that_the_last_line_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "without_end.py"
    path.write_text(MODEL.rstrip("\n"), encoding="utf-8")
    diff = commented(path).diff
    assert re.findall(r"(?m)^([-+].*)\n\\ No newline at end of file$", diff) == [
        "-        return self.head(x)",
        "+        return self.head(x)  # gptrace: [batch, seq_len, 50257] [1, 1, 50257]",
    ]


def test_a_file_that_has_changed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "saved_again.py"
    path.write_text(MODEL, encoding="utf-8")
    names: dict[str, Any] = {}
    exec(compile(MODEL, str(path), "exec"), names)
    path.write_text(MODEL.replace("x + 1", "x + 2"), encoding="utf-8")
    source = gptrace.source("Hi", model=names["GPT"]())
    assert [(each.file, each.why) for each in source.not_shown] == [
        (str(path), "the file has changed since the model was loaded")
    ]
    with pytest.raises(OptionError, match=r"saved_again\.py: the file has changed"):
        commented_files(source)


LONG = "y = torch.cat((self.first_of_all_projections(x), x)); text = 'a long text, 中文也在里面'"


@pytest.mark.parametrize("width", [40, 60, 80, 120, None])
def test_long_code_is_broken_and_nothing_of_it_is_lost(width: int | None) -> None:
    listing = Listing("", [ListingRow("7", ((f"        {LONG}", ""),), "", [("[batch]", "[1]")])])
    lines = [line.plain for line in listing_lines(listing, width)]
    assert all(cell_len(line) <= (width or 1000) for line in lines)
    shown = re.sub(r"\s", "", "".join(lines))
    assert shown == re.sub(r"\s", "", f"7{LONG}[batch][1]")
    assert width is not None or len(lines) == 1


def test_code_without_lines_says_why() -> None:
    names: dict[str, type[torch.nn.Module]] = {}
    exec(compile(MODEL.replace("x.absent()", "x[:, :]"), "<made>", "exec"), names)
    made = gptrace.source("Hi", model=names["GPT"])
    assert made.files == ()
    assert "lines of <made> are not shown: this code is in no file" in made.notes
    parts = torch.nn.Sequential(torch.nn.Embedding(50257, 4), torch.nn.Linear(4, 9))
    with warnings.catch_warnings(action="ignore"):
        scripted = torch.jit.script(parts)
    notes = gptrace.source("Hi", model=scripted).notes
    assert "TorchScript runs this model without Python, so no line of it can be followed" in notes
