"""A run from files of prompts to files of results: its options, the result of a line, and its totals."""

from __future__ import annotations

import fcntl
import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from gptrace.errors import InputError, OptionError, RunError
from gptrace.model.selection import ModelSelection
from gptrace.parallel import manifest
from gptrace.record import Problem
from gptrace.record.writing import item_dicts
from gptrace.session import Session
from gptrace.text.lines import PromptLine, read_line

_PARTS = "*.jsonl"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Totals:
    """How many prompts have a result in a folder, and how many of these are errors."""

    prompts: int
    failed: int


@dataclass(slots=True)
class FileRun:
    """Prompts in `files`, run by `workers` processes into `folder`; its pickle, sent to each, is small.

    task       the method of Session that streams: "topk" or "loss"
    options    the arguments of that method
    id_key     the key of the lines that names a prompt
    """

    task: str
    selection: ModelSelection
    options: Mapping[str, Any]
    files: Sequence[str]
    folder: Path
    id_key: str
    workers: int = 1
    gpus_per_worker: float = 0
    _session: Session | None = field(default=None, repr=False)

    @classmethod
    def of(cls, patterns: Sequence[str], folder: Path, selection: ModelSelection, **given: Any) -> FileRun:
        """Check what is given and write the manifest of the folder; raise an InputError for what is wrong."""
        found = (file for pattern in patterns for file in glob.glob(pattern, recursive=True))
        files = sorted({str(Path(file).resolve()) for file in found if Path(file).is_file()})
        if not files:
            listed = ", ".join(patterns)
            raise InputError(
                f"--from {listed}: no file has such a name", "quote the pattern, as in 'prompts/*.jsonl'"
            )
        run = cls(selection=_absolute(selection), files=files, folder=folder.resolve(), **given)
        facts = manifest.facts_of(selection, run.task, run.options) | {"id_key": run.id_key}
        manifest.check_or_write(run.folder, facts)
        return run

    def __getstate__(self) -> Any:
        return {name: getattr(self, name) for name in self.__slots__} | {"_session": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def results(self, lines: Iterable[tuple[bytes | None, str]]) -> Iterator[dict[str, Any]]:
        """Yield the result of each line, with the keys of the line beside it; `index` is dropped."""
        if self._session is None:
            self._session = Session(self.selection)
        prompts = [self._checked(read_line(raw, where, is_json=True), where) for raw, where in lines]
        stream = getattr(self._session, f"{self.task}_stream")(prompts, **self.options)
        for row in item_dicts(stream):
            del row["index"]
            yield row

    def _checked(self, line: PromptLine, where: str) -> PromptLine:
        if line.problem is None and not isinstance(line.extra.get(self.id_key), str | int):
            hint = f"give each line its own {self.id_key}, beside its text"
            return replace(line, problem=Problem(f"{where} has no {self.id_key}, a number or a text", hint))
        return line

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the folder to this run in the block; raise an OptionError where another run writes to it.

        Two runs at once would both compute what neither has finished.
        """
        with (self.folder / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise OptionError(
                    f"another run writes to {self.folder}", "wait for it to end, or name another folder"
                ) from None
            yield

    def totals(self) -> Totals:
        """Count the results in the folder."""
        prompts = failed = 0
        for part in sorted(self.folder.glob(_PARTS)):
            with part.open("rb") as lines:
                for line in lines:
                    prompts += 1
                    failed += msgspec.json.decode(line, type=_Row).error is not None
        return Totals(prompts, failed)


class _Row(msgspec.Struct):
    error: Any = None


def _absolute(selection: ModelSelection) -> ModelSelection:
    """Return the selection with whole paths, since a worker may be in another folder."""
    changes: dict[str, Any] = {}
    for name in ("weights", "folder"):
        if (path := getattr(selection, name, None)) is not None:
            changes[name] = path.resolve()
    target: Any = getattr(selection, "target", None)
    if getattr(target, "file", None) is not None:
        changes["target"] = replace(target, file=target.file.resolve())
    return replace(selection, **changes)


def failure(totals: Totals, folder: Path) -> RunError | None:
    """Return the error to end with, where prompts failed."""
    if not totals.failed:
        return None
    return RunError(
        f"{totals.failed:,} of {totals.prompts:,} prompts failed; {folder} holds the error of each", ""
    )
