"""A survey of all prompts before any is run: their number, a check that ids differ, shares for workers."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptrace.errors import InputError
from gptrace.parallel.prompt_files import FileLine, PromptFile
from gptrace.wording import enumerated, shortened

if TYPE_CHECKING:
    from gptrace.parallel.parquet_parts import KeptColumns

# A chunk is what a worker sorts by length, and what is written at once: enough lines to fill batches, not so
# many that much is lost if the run is killed.
_ROWS, _BYTES = 1024, 8 << 20
# With few prompts, chunks are smaller, so that each worker gets some.
_CHUNKS_PER_WORKER = 4
# Ray keeps some KB for each chunk; with very many prompts, chunks are larger.
_MOST_CHUNKS = 1 << 14
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a file that stand together: `count` of them from line `first` on, which begins at `offset`."""

    file: PromptFile
    first: int
    count: int
    offset: int
    size: int  # bytes

    def lines(self) -> Iterator[FileLine]:
        """Yield the lines."""
        following = self.file.lines(self.first, self.offset)
        for _, (line, _) in zip(range(self.count), following, strict=False):
            yield line


@dataclass(frozen=True, slots=True)
class Survey:
    """The prompts of a run: how many there are, and where, in small pieces."""

    prompts: int
    pieces: Sequence[Piece]

    def chunks(self, workers: int) -> list[list[Piece]]:
        """Return the pieces in groups, each for one worker at a time."""
        rows = min(_ROWS, self.prompts // (_CHUNKS_PER_WORKER * workers))
        rows = max(rows, self.prompts // _MOST_CHUNKS)
        chunks: list[list[Piece]] = []
        held = size = 0
        for piece in self.pieces:
            if not chunks or held + piece.count > rows or size + piece.size > _BYTES:
                chunks.append([])
                held = size = 0
            chunks[-1].append(piece)
            held, size = held + piece.count, size + piece.size
        return chunks


def survey(
    files: Sequence[PromptFile], id_key: str, *, columns: KeptColumns | None = None,
    show: Callable[[int], None] = lambda done: None,
) -> Survey:  # fmt: skip
    """Read the ids of all prompts; raise an InputError if two are the same, or there are no prompts.

    It takes 8 bytes of memory for each prompt. `columns`, if they are given, learn the other keys and the
    types of their values. `show` gets the number of prompts that were read.
    """
    for file in files:
        file.check(id_key)
    hashes = array("Q")
    pieces: list[Piece] = []
    for file in files:
        schema = file.schema()
        if columns is not None and schema is not None:
            columns.add_schema(schema)
        first, begin, end, number = 1, 0, 0, 0
        step = file.step
        for number, (line, end) in enumerate(file.lines(columns=[id_key]), start=1):
            hashes.append(_hash(line.id(id_key)))
            if columns is not None and schema is None:
                columns.add(line.keys())
            if number - first + 1 >= step or end - begin >= _BYTES:
                pieces.append(Piece(file, first, number - first + 1, begin, end - begin))
                first, begin = number + 1, end
                show(len(hashes))
        if number >= first:
            pieces.append(Piece(file, first, number - first + 1, begin, end - begin))
    if not hashes:
        names = enumerated([file.name for file in files], _MOST_NAMED)
        raise InputError(f"there are no prompts in {names}", "give files with a prompt on each line")
    _check_ids_differ(files, id_key, hashes)
    return Survey(len(hashes), pieces)


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())


def _check_ids_differ(files: Sequence[PromptFile], id_key: str, hashes: array[int]) -> None:
    """Raise an InputError that names prompts with the same id; equal hashes alone prove nothing."""
    import numpy

    ordered = numpy.sort(numpy.frombuffer(hashes, numpy.uint64))
    suspects = set(ordered[:-1][ordered[:-1] == ordered[1:]].tolist())
    if not suspects:
        return
    places: dict[str, list[str]] = {}
    for file in files:
        for line, _ in file.lines(columns=[id_key]):
            if _hash(key := line.id(id_key)) in suspects:
                places.setdefault(key, []).append(line.where)
    repeated = {key: where for key, where in places.items() if len(where) > 1}
    if repeated:
        key, where = next(iter(repeated.items()))
        listed = enumerated(where, _MOST_NAMED)
        if len(repeated) > 1:
            listed += f"; {len(repeated):,} ids are repeated in all"
        raise InputError(
            f"{shortened(key, 60)} is the {id_key} of several prompts: {listed}",
            "give each prompt its own, or name another key with --id-key",
        )
