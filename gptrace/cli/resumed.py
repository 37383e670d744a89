"""An output that is continued: which results it holds, and whether this run would make the same."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec

from gptrace.errors import OptionError
from gptrace.model.selection import DTYPES
from gptrace.record import Report
from gptrace.record.schema import item_type, report_type
from gptrace.record.writing import item_dicts, to_json
from gptrace.wording import quoted_value

# A prompt in another batch is rounded otherwise; about so much of a figure is that, by the dtype.
_ROUNDING = {"float64": 1e-3, "float32": 1e-3}
_COARSE_ROUNDING = 0.02
_USUAL_DTYPE = "float32"  # that of results which name none
_LONGEST_ROW = 256 << 20  # bytes of a line in a file to continue; a longer one is none of ours
# A row says how it was padded to its batch. Below its keys, candidates may change places if nearly equal.
_OF_THE_BATCH = frozenset({"padding"})
_MAY_CHANGE = frozenset(
    {"id", "text", "bytes", "token", "rank", "rank_of_prediction", "probability_of_prediction", "seconds"}
)


def unusual_dtype(stream: Report) -> str:
    """Return the dtype that each result names: "" for float32, and for tokens, which have no model."""
    dtype = str(getattr(getattr(stream, "model", None), "dtype", _USUAL_DTYPE))
    return "" if dtype == _USUAL_DTYPE else dtype


@dataclass(frozen=True, slots=True)
class KeptResults:
    """The whole results in a file: how many, how many errors, their length in bytes, and the last one.

    `size` is that of the file, which may have a torn last line.
    """

    file: Path
    count: int = 0
    problems: int = 0
    length: int = 0
    size: int = 0
    last: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path, output: str) -> KeptResults:
        """Read the results of a file; a torn last line is left out.

        Raises an OptionError where a line is not the result of its prompt.
        """
        if not file.exists():
            return cls(file)
        if not file.is_file():
            problem = f"--resume: {file} is no regular file"
            raise OptionError(problem, "it can only be written from the beginning")
        needed = _keys_of_results(output)
        count = problems = length = 0
        last: dict[str, Any] = {}
        with file.open("rb") as rows:
            while raw := rows.readline(_LONGEST_ROW):
                is_torn = not raw.endswith(b"\n") and len(raw) < _LONGEST_ROW
                if is_torn and _may_begin_row(raw, count, needed):
                    break
                row = None if is_torn else _row(raw, count, needed)
                if row is None:
                    raise OptionError(
                        f"--resume: line {count + 1} of {file} is not result {count} of gptrace {output}",
                        "give the file that this command wrote, or another one",
                    )
                last, count, length = row, count + 1, length + len(raw)
                problems += "error" in row
            size = os.fstat(rows.fileno()).st_size
        return cls(file, count, problems, length, size, last)

    @property
    def start(self) -> int:
        """The first prompt to run: that of the last result, which is made again to compare the two."""
        return max(0, self.count - 1)

    def after_the_same(self, stream: Report, results: Iterator[Any]) -> Iterator[Any]:
        """Return the results after the one that is kept already, which the first of `results` has to equal.

        Raises an OptionError where it does not: then another model, other options or other prompts made it.
        """
        if not self.count:
            return results
        if getattr(getattr(stream, "model", None), "dtype_rates", None) is not None:
            problem = "--resume: the first run may have been in another dtype than --dtype auto picks now"
            raise OptionError(problem, "give the dtype of the first run, which it wrote to stderr")
        dtype = getattr(getattr(stream, "model", None), "dtype", None)
        kept_dtype = self.last.get("dtype", _USUAL_DTYPE)
        # Tokens have no figures to round: a key of that name is the caller's own.
        if dtype is not None and kept_dtype != dtype:
            is_dtype = kept_dtype in list(DTYPES)  # of a damaged row it may be anything
            kept = kept_dtype if is_dtype else quoted_value(kept_dtype)
            raise OptionError(
                f"--resume: the results in {self.file} are in {kept}, and this run is in {dtype}",
                f"give --dtype {kept}, or another --output" if is_dtype else "give another --output",
            )
        first = next(results, None)
        if first is None:
            problem = f"--resume: {self.file} holds {self.count} results, and stdin has fewer lines"
            raise OptionError(problem, "give the same prompts again, or another --output")
        alone = msgspec.structs.replace(stream, **{stream.items: (first,)})
        made = json.loads(to_json(next(item_dicts(alone))))
        rounding = _ROUNDING.get(dtype or _USUAL_DTYPE, _COARSE_ROUNDING)
        is_same = made.keys() == self.last.keys() and all(
            _is_same(made[key], self.last[key], rounding) for key in made.keys() - _OF_THE_BATCH
        )
        if not is_same:
            raise OptionError(
                f"--resume: line {self.count} of {self.file} is not what this run gives for its prompt",
                "use the model, the options and the prompts of the first run, or another --output",
            )
        return results


def _may_begin_row(raw: bytes, index: int, needed: frozenset[str]) -> bool:
    """Tell whether a last line without an end may be a result that was cut off, and no text of the user's."""
    begun = raw.rstrip(b"\0")  # which some file systems leave after a crash
    if not b'{"'.startswith(begun[:2]):
        return False
    try:
        json.loads(begun)
    except (ValueError, RecursionError):
        return True
    return _row(begun, index, needed) is not None


def _row(raw: bytes, index: int, needed: frozenset[str]) -> dict[str, Any] | None:
    try:
        row: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    is_right = isinstance(row, dict) and row.get("index") == index and needed <= row.keys()
    return row if is_right else None


def _keys_of_results(output: str) -> frozenset[str]:
    """Return the keys that each result of an output has."""
    item = item_type(report_type(output))
    assert item is not None, output
    return frozenset(field.encode_name for field in msgspec.structs.fields(item) if field.required)


def _is_same(made: Any, kept: Any, rounding: float) -> bool:
    """Tell whether two values of JSON are equal but for rounding."""
    if isinstance(made, dict) and isinstance(kept, dict):
        keys = made.keys() - _MAY_CHANGE
        return made.keys() == kept.keys() and all(_is_same(made[key], kept[key], rounding) for key in keys)
    if isinstance(made, list) and isinstance(kept, list):
        return len(made) == len(kept) and all(map(_is_same, made, kept, repeat(rounding)))
    if isinstance(made, float) and isinstance(kept, float):
        return math.isclose(made, kept, rel_tol=rounding, abs_tol=1e-6)
    return bool(made == kept)
