"""Books: read from a folder of texts or of token ids, and cleaned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gptrace.text.gpt2_tokenizer import END_OF_TEXT_ID, encoding
from training.ids import read_ids

# The front matter that a book of the collection begins with.
_HEADER = re.compile(r"\A(?:(?:Title|Author|Year):[^\n]*\n)+")
# A break: white space with a line feed or a carriage return in it, however many of each.
_BREAK = re.compile(r"[^\S\r\n]*[\r\n]\s*")


@dataclass(frozen=True)
class Book:
    """A book: the name of its collection, its own name, and its text."""

    collection: str
    name: str
    text: str


def read_books(folder: Path) -> Iterator[Book]:
    """Yield the books in a folder, in the order of their files' names.

    A .txt file is one book. A .npy or .npy.xz file is a collection: GPT-2 token ids of one book after
    another, each ended by 50256. Where the folder has a SOURCES.md with a heading for the file, the list
    under the heading names the books; otherwise they are numbered. Raises ValueError for a folder without
    books, and for a list that names another number of books than the file has.
    """
    paths = sorted(path for path in folder.iterdir() if path.name.endswith((".txt", ".npy", ".npy.xz")))
    if not paths:
        raise ValueError(f"{folder} has no .txt, .npy or .npy.xz file")
    for path in paths:
        if path.suffix == ".txt":
            yield Book(folder.name, path.stem, cleaned(path.read_text(encoding="utf-8")))
        else:
            yield from _books_of_ids(path)


def cleaned(text: str) -> str:
    r"""Return the text of a book without front matter, with one line feed between paragraphs.

    >>> cleaned("Title: Alice\nYear: 1865\nDown.\r \r Alice was tired.")
    'Down.\nAlice was tired.'
    """
    return _BREAK.sub("\n", _HEADER.sub("", text)).strip()


def _books_of_ids(path: Path) -> Iterator[Book]:
    ids = read_ids(path)
    collection = path.name.partition(".")[0]
    books = np.split(ids, np.flatnonzero(ids == END_OF_TEXT_ID) + 1)
    if not len(books[-1]):
        books.pop()
    names = _listed_names(path) or [str(number) for number in range(1, len(books) + 1)]
    if len(names) != len(books):
        raise ValueError(f"SOURCES.md lists {len(names)} books of {path.name}, which has {len(books)}")
    for name, book in zip(names, books, strict=True):
        words = book[:-1] if book[-1] == END_OF_TEXT_ID else book
        yield Book(collection, name, cleaned(encoding().decode(words.tolist())))


def _listed_names(path: Path) -> list[str]:
    sources = path.with_name("SOURCES.md")
    if not sources.exists():
        return []
    _, _, rest = sources.read_text(encoding="utf-8").partition(f"## {path.name}\n")
    return re.findall(r"^- (.*?)\s*$", rest.partition("\n## ")[0], re.MULTILINE)
