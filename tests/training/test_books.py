"""Books → token ids, some of them held out."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest

from gptrace.model.quiet_torch import torch
from gptrace.text.gpt2_tokenizer import GPT2
from training.books import Book, read_books
from training.ids import read_ids, read_texts, write_ids
from training.prepare import main, prepare


def test_a_collection_of_ids_is_read_as_named_and_cleaned_books(tmp_path: Path) -> None:
    first, second = "Title: One\nYear: 1900\nIt rained.\r \r He left.", "Two was\rhere."
    ids = [*GPT2.encode(first), 50256, *GPT2.encode(second), 50256]
    write_ids(tmp_path / "tales.npy.xz", np.array(ids, dtype=np.uint16))
    assert [book.name for book in read_books(tmp_path)] == ["1", "2"]
    (tmp_path / "SOURCES.md").write_text(
        "# All\n## tales.npy.xz\n- A. Nyone/One\n- Two\n\n## more.npy.xz\n- No\n"
    )
    assert list(read_books(tmp_path)) == [
        Book("tales", "A. Nyone/One", "It rained.\nHe left."),
        Book("tales", "Two", "Two was\nhere."),
    ]
    (tmp_path / "SOURCES.md").write_text("## tales.npy.xz\n- One\n")
    with pytest.raises(ValueError, match=r"lists 1 books of tales\.npy\.xz, which has 2"):
        list(read_books(tmp_path))


def test_held_out_books_are_kept_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second", "third"):
        (tmp_path / f"{name}.txt").write_text(f"This is the {name} book.\n\nIt ends.\n", encoding="utf-8")
    counts = prepare(tmp_path, tmp_path / "ids", held_out=("second",))
    held_out = f"held-out-{tmp_path.name}"
    assert counts.keys() == {"training", held_out}
    whole = GPT2.encode(
        "This is the first book.\nIt ends.<|endoftext|>This is the third book.\nIt ends.<|endoftext|>"
    )
    assert read_ids(tmp_path / "ids" / "training.npy.xz").tolist() == whole
    assert read_ids(tmp_path / "ids" / f"{held_out}.npy.xz").dtype == np.uint16
    with pytest.raises(ValueError, match="one to hold out: fourth"):
        prepare(tmp_path, tmp_path / "ids", held_out=("fourth",))
    with pytest.raises(SystemExit):
        main(["--text", str(tmp_path), "--output", str(tmp_path / "ids")])
    assert "name a book of yours with --hold-out" in capsys.readouterr().err


def test_a_folder_without_prepared_ids_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.npy.xz").write_bytes(lzma.compress(b""))
    with pytest.raises(ValueError, match="is not a folder of prepared ids"):
        read_texts(tmp_path, torch.device("cpu"))
    with pytest.raises(ValueError, match=r"has no \.txt"):
        list(read_books(tmp_path / ".."))
