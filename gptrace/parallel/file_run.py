"""A run from files of prompts to files of results: its options, the result of a line, and its totals."""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gptrace.errors import OptionError, RunError
from gptrace.model.reference import ObjectReference
from gptrace.model.selection import AUTO, ModelSelection
from gptrace.parallel import manifest
from gptrace.parallel.parts import Parts, Totals
from gptrace.parallel.prompt_files import is_id
from gptrace.record import Problem
from gptrace.record.writing import item_dicts
from gptrace.session import Session
from gptrace.text.lines import PromptLine, read_line

_LOCK = ".lock"


@dataclass(slots=True)
class FileRun:
    """Prompts in files, run by `workers` processes into `folder`; its pickle, sent to each, is small.

    task               the method of Session that streams: "topk" or "loss"
    options            the arguments of that method
    id_key             the key of the lines that names a prompt
    parts              the format of the results
    gpus_per_worker    0 for none
    token              differs for each run
    """

    task: str
    selection: ModelSelection
    options: Mapping[str, Any]
    folder: Path
    id_key: str
    parts: Parts
    workers: int = 1
    gpus_per_worker: float = 0
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    _session: Session | None = field(default=None, repr=False)

    @property
    def owns_folder(self) -> bool:
        """Whether no later run has taken the folder over.

        On a cluster, workers outlive their run by a moment if it is killed.
        """
        return (self.folder / _LOCK).read_text() == self.token

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()

    def __getstate__(self) -> Any:
        # A worker may run in another folder.
        changes = {"_session": None, "selection": _absolute(self.selection)}
        return {name: getattr(self, name) for name in self.__slots__} | changes

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def processors_per_worker(self) -> int:
        """The number of processors that a worker uses: one for each thread."""
        return self.selection.threads or 1

    def results(self, lines: Iterable[tuple[bytes | None, str]]) -> Iterator[dict[str, Any]]:
        """Yield the result of each line, with the keys of the line beside it; `index` is dropped.

        A line is its bytes, None for one that is too long, and its place in messages.
        """
        if self._session is None:
            self._session = Session(self.selection)
        prompts = [self._checked(read_line(raw, where, is_json=True), where) for raw, where in lines]
        stream = getattr(self._session, f"{self.task}_stream")(prompts, **self.options)
        for row in item_dicts(stream):
            del row["index"]
            yield row

    def _checked(self, line: PromptLine, where: str) -> PromptLine:
        if line.problem is None and not is_id(line.extra.get(self.id_key)):
            hint = f"give each line its own {self.id_key}, beside its text"
            return replace(line, problem=Problem(f"{where} has no {self.id_key}, a number or a text", hint))
        return line

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Write the manifest of the folder, or check it, and keep the folder to this run in the block.

        Two runs at once would both compute what neither has finished. Raises an OptionError for a folder of
        another run, or one that another run writes to, and an OutputError for one that cannot be written to.
        """
        self.selection = _with_one_dtype(self.selection, self.folder)
        facts = manifest.facts_of(self.selection, self.task, self.options)
        facts |= {"id_key": self.id_key, "parts": self.parts.facts()}
        manifest.check_or_write(self.folder, facts)
        with ExitStack() as undo:
            try:
                lock = undo.enter_context((self.folder / _LOCK).open("a"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.truncate(0)
                lock.write(self.token)
                lock.flush()
            except BlockingIOError:
                raise OptionError(
                    f"another run writes to {self.folder}", "wait for it to end, or name another folder"
                ) from None
            except OSError as error:
                raise manifest.cannot_be_used(self.folder, error) from None
            yield


def _with_one_dtype(selection: ModelSelection, folder: Path) -> ModelSelection:
    """Return the selection with a dtype for all workers, where it is `auto`: a run goes on with the same.

    Raises an OptionError for workers on other devices, which this process may not have.
    """
    if selection.dtype != AUTO:
        return selection
    if (before := manifest.dtype_of(folder)) is not None:
        return replace(selection, dtype=before)
    if selection.device != "cpu":
        problem = f"--dtype auto measures this machine, and the workers run on {selection.device}"
        raise OptionError(problem, "give --dtype float32 or --dtype bfloat16", option="dtype")
    return replace(selection, dtype=Session(selection).settled_dtype())


def _absolute(selection: ModelSelection) -> ModelSelection:
    """Return the selection with whole paths."""
    changes: dict[str, Any] = {}
    for name in ("weights", "folder"):
        if (path := getattr(selection, name, None)) is not None:
            changes[name] = path.resolve()
    for name in ("target", "config"):
        reference = getattr(selection, name, None)
        if isinstance(reference, ObjectReference) and reference.file is not None:
            changes[name] = replace(reference, file=reference.file.resolve())
    return replace(selection, **changes)


def failure(totals: Totals, folder: Path) -> RunError | None:
    """Return the error to end with, where prompts failed."""
    if not totals.failed:
        return None
    return RunError(
        f"{totals.failed:,} of {totals.prompts:,} prompts failed; {folder} holds the error of each", ""
    )
