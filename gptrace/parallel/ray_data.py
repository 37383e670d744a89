"""Prompts in files → results in files, on Ray Data: on this machine, or on the cluster at RAY_ADDRESS.

Ray reads, sends batches to workers, writes and resumes. What is ours is the prompt on a line and its result.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import ray
from ray.data.block import BlockAccessor
from ray.data.checkpoint import CheckpointConfig
from ray.data.datasource import BlockBasedFileDatasink, FileBasedDatasource

from gptrace.errors import GptraceError, OptionError, RunError
from gptrace.parallel.file_run import FileRun
from gptrace.record.writing import to_json
from gptrace.text.lines import LINE_LIMIT
from gptrace.wording import one_line

_ROWS = 1024  # in a block that is read, and in a batch of a worker, which sorts them by length
_CHECKPOINTS = ".done"
# Processors beside those of the workers: to read and write, and for the actor that leaves out what is done.
# Without them, Ray waits for ever.
_OTHERS = 2


class _PromptFiles(FileBasedDatasource):  # type: ignore[misc]
    """Lines of JSON, each with its id: columns id, line, and where the line stands."""

    def __init__(self, paths: Sequence[str], id_key: str) -> None:
        super().__init__(list(paths))
        self._id_key = id_key

    def _read_stream(self, f: Any, path: str) -> Iterator[pyarrow.Table]:
        rows: list[tuple[str, bytes | None, str]] = []
        reader = io.BufferedReader(f)
        number = 0
        while line := reader.readline(LINE_LIMIT + 1):
            number += 1
            where = f"line {number} of {Path(path).name}"
            is_too_long = len(line) > LINE_LIMIT
            while is_too_long and line and not line.endswith(b"\n"):
                line = reader.readline(LINE_LIMIT)
            raw = None if is_too_long else line.removesuffix(b"\n")
            rows.append((_id_of(raw, self._id_key) or f"{path}:{number}", raw, where))
            if len(rows) == _ROWS:
                yield _table(rows)
                rows = []
        if rows:
            yield _table(rows)


def _table(rows: list[tuple[str, bytes | None, str]]) -> pyarrow.Table:
    ids, lines, places = zip(*rows, strict=True)
    return pyarrow.table(
        {"id": list(ids), "line": pyarrow.array(lines, pyarrow.large_binary()), "where": list(places)}
    )


def _id_of(raw: bytes | None, key: str) -> str | None:
    """Return the id in a line, as text; None where there is none."""
    try:
        value = msgspec.json.decode(raw or b"null")
    except msgspec.DecodeError:
        return None
    found = value.get(key) if isinstance(value, dict) else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else None


class _Worker:
    """Turns batches of lines into lines of results. It loads its model once, at its first batch."""

    def __init__(self, run: FileRun) -> None:
        self._run = run

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        lines = zip(batch["line"], batch["where"], strict=True)
        results = [to_json(row) for row in self._run.results(lines)]
        return {"id": batch["id"], "result": results}


class _Parts(BlockBasedFileDatasink):  # type: ignore[misc]
    """Files of JSON Lines, one for each block."""

    def write_block_to_file(self, block: BlockAccessor, file: Any) -> None:
        for line in block.to_arrow()["result"].to_pylist():
            file.write(line.encode() + b"\n")


def run_on_ray(run: FileRun, *, is_quiet: bool) -> None:
    """Run the prompts that have no result yet. A run that is killed goes on where it was.

    Raises an OptionError where the workers would leave no processor to read and write with, and a RunError
    where Ray fails.
    """
    _start(run.workers, is_quiet=is_quiet)
    if is_quiet:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = not is_quiet
    context.checkpoint_config = CheckpointConfig(
        id_column="id", checkpoint_path=str(run.folder / _CHECKPOINTS), delete_checkpoint_on_success=False
    )
    try:
        rows = ray.data.read_datasource(_PromptFiles(run.files, run.id_key))
        rows = rows.map_batches(
            _Worker,
            fn_constructor_args=(run,),
            batch_size=_ROWS,
            num_gpus=run.gpus_per_worker or None,
            compute=ray.data.ActorPoolStrategy(size=run.workers),
        )
        rows.write_datasink(_Parts(str(run.folder), file_format="jsonl"))
    except ray.exceptions.RayError as error:
        if (own := _own_error(error)) is not None:
            raise own from error
        raise RunError(
            f"Ray failed: {one_line(error)}", "written results stay; run the same command again to continue"
        ) from error
    finally:
        ray.shutdown()


def _own_error(error: BaseException) -> GptraceError | None:
    """Return the error of gptrace that a worker raised, such as one about the model."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, GptraceError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    return None


def _start(workers: int, *, is_quiet: bool) -> None:
    """Connect to the cluster at RAY_ADDRESS, or start one here with more processors than the workers take."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    is_here = not os.environ.get("RAY_ADDRESS")
    ray.init(
        num_cpus=workers + _OTHERS if is_here else None,
        include_dashboard=False if is_here else None,
        logging_level="ERROR" if is_quiet else "WARNING",
        log_to_driver=False,
    )
    processors = int(ray.cluster_resources().get("CPU", 0))
    if processors < workers + _OTHERS:
        ray.shutdown()
        raise OptionError(
            f"--workers {workers} leaves fewer than {_OTHERS} of the {processors} processors of the cluster, "
            "which reading and writing need",
            f"write --workers {processors - _OTHERS}" if processors > _OTHERS else "use a larger cluster",
        )
