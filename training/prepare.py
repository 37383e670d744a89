"""Turn books into the token ids that are trained on, and those of held-out books that are judged by."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from gptrace.text.gpt2_tokenizer import END_OF_TEXT_ID, encoding
from training.books import read_books
from training.ids import HELD_OUT, TRAINING, write_ids

# Whole books, so that no sentence of a held-out text is trained on. Their authors have no other book in
# the collection `simple`, except Edith Nesbit.
HELD_OUT_BOOKS = (
    "Anna Sewell/Black Beauty",
    "Edith Nesbit/The Railway Children",
    "J. M. Barrie/Peter Pan",
    "H.G. Wells/The Time Machine",
    "Jerome K. Jerome/Three Men in a Boat",
)


def prepare(text: Path, output: Path, held_out: tuple[str, ...] = HELD_OUT_BOOKS) -> dict[str, int]:
    """Write training.npy.xz and a held-out-COLLECTION.npy.xz for each collection; return their tokens.

    The ids are GPT-2's as uint16, one book after another, each ended by 50256. Raises ValueError if there
    is no held-out book or no other one.
    """
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for book in read_books(text):
        ids = [*encoding().encode_ordinary(book.text), END_OF_TEXT_ID]
        part = HELD_OUT + book.collection if book.name in held_out else TRAINING
        parts[part].append(np.array(ids, dtype=np.uint16))
    if TRAINING not in parts or len(parts) == 1:
        raise ValueError(f"{text} needs a book to train on, and one to hold out: {', '.join(held_out)}")
    output.mkdir(parents=True, exist_ok=True)
    for part, books in parts.items():
        write_ids(output / f"{part}.npy.xz", np.concatenate(books))
    return {part: sum(map(len, books)) for part, books in parts.items()}


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, prepare the ids, and print how many there are."""
    parser = argparse.ArgumentParser(prog="python -m training.prepare", description=__doc__)
    books = "books as .txt files, or as GPT-2 token ids in .npy.xz files"
    parser.add_argument("--text", type=Path, required=True, metavar="FOLDER", help=books)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the ids go")
    held_out = "a book to hold out, by its name; can be repeated (default: five books)"
    parser.add_argument("--hold-out", action="append", metavar="BOOK", help=held_out)
    options = parser.parse_args(arguments)
    try:
        counts = prepare(options.text, options.output, tuple(options.hold_out or HELD_OUT_BOOKS))
    except ValueError as error:
        parser.error(f"{error}; name a book of yours with --hold-out")
    for part, tokens in counts.items():
        print(f"{part:20} {tokens:12,} tokens")


if __name__ == "__main__":
    main()
