"""Prompts in files → results in files, on Ray Data.

Ray sends chunks of lines to workers, writes their results and leaves out what is done. The prompt on a line
and its result are ours.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow
import ray
from pyarrow import parquet
from ray.data.block import BlockAccessor, BlockMetadata
from ray.data.checkpoint import CheckpointConfig
from ray.data.datasource import BlockBasedFileDatasink, Datasource, ReadTask

from gptrace.errors import GptraceError, OutputError, RunError
from gptrace.parallel.cluster import connect
from gptrace.parallel.file_run import FileRun
from gptrace.parallel.parts import Totals
from gptrace.parallel.survey import Piece, Survey
from gptrace.record.writing import to_json
from gptrace.wording import one_line

_CHECKPOINTS = ".done"
# Bytes that Ray reserves for the actor that leaves out what is done, beside those of the ids. Its default, 1
# GiB, is more than a small machine has, and then Ray waits for ever.
_FILTER_MEMORY = 64 << 20
# How often lines are run whose worker dies. Ray alone would run them again for ever.
_ATTEMPTS = 4
_SECONDS_BETWEEN_REPORTS = 0.5

_RESULTS = pyarrow.schema([("id", pyarrow.string()), ("result", pyarrow.large_string())])
Show = Callable[[int, int, int], None]


class _Chunks(Datasource):  # type: ignore[misc]  # Ray has no types
    """Chunks of lines. The columns are id, line (null for one that is too long), and where, for messages."""

    def __init__(self, chunks: list[list[Piece]], id_key: str) -> None:
        super().__init__()
        self._chunks, self._id_key = chunks, id_key

    def estimate_inmemory_data_size(self) -> int:
        return sum(piece.size for chunk in self._chunks for piece in chunk)

    def get_read_tasks(self, parallelism: int, **options: Any) -> list[ReadTask]:
        return [_read_task(chunk, self._id_key) for chunk in self._chunks]


def _read_task(chunk: list[Piece], id_key: str) -> ReadTask:
    facts = BlockMetadata(
        num_rows=sum(piece.count for piece in chunk),
        size_bytes=sum(piece.size for piece in chunk),
        input_files=None,
        exec_stats=None,
    )
    return ReadTask(lambda: [_block(chunk, id_key)], facts)


def _block(chunk: list[Piece], id_key: str) -> pyarrow.Table:
    lines = [line for piece in chunk for line in piece.lines()]
    columns = {
        "id": [line.id(id_key) for line in lines],
        "line": pyarrow.array([line.raw for line in lines], pyarrow.large_binary()),
        "where": [line.where for line in lines],
    }
    return pyarrow.table(columns)


class _Worker:
    """Turns a chunk of lines into results. It loads its model once, at its first chunk."""

    def __init__(self, run: FileRun, progress: Any) -> None:
        self._run, self._progress = run, progress

    def __call__(self, chunk: pyarrow.Table) -> pyarrow.Table:
        lines = zip(chunk["line"].to_pylist(), chunk["where"].to_pylist(), strict=True)
        if not chunk.num_rows:  # all of it is done
            return _RESULTS.empty_table()
        name = chunk["id"][0].as_py()
        if ray.get(self._progress.begin.remote(name)) > _ATTEMPTS:
            raise RunError(
                f"a worker died {_ATTEMPTS} times at the same prompts; it may need more memory",
                "use fewer --workers or a smaller --batch-size; written results stay",
            )
        results, failed, reported = [], 0, time.monotonic()
        for row in self._run.results(lines):
            results.append(to_json(row))
            failed += "error" in row
            if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                self._progress.report.remote(name, Totals(len(results), failed))
                reported = time.monotonic()
        self._progress.report.remote(name, Totals(len(results), failed))
        return pyarrow.table([chunk["id"], pyarrow.array(results, pyarrow.large_string())], _RESULTS)


class _PartsSink(BlockBasedFileDatasink):  # type: ignore[misc]  # Ray has no types
    """Writes each chunk of results as a part."""

    def __init__(self, run: FileRun) -> None:
        super().__init__(str(run.folder), file_format=run.parts.format)
        self._run = run

    def write_block(self, block: BlockAccessor, block_index: int, ctx: Any) -> None:
        super().write_block(block, block_index, ctx)
        if not self._run.owns_folder:  # the part would be one too many; it counts only after this returns
            name = self.filename_provider.get_filename_for_task(ctx.kwargs["write_uuid"], ctx.task_idx)
            (self._run.folder / name).unlink()
            raise RunError(f"another run has taken over {self._run.folder}", "wait for it to end")

    def write_block_to_file(self, block: BlockAccessor, file: Any) -> None:
        self._run.parts.write(block.to_arrow()["result"].to_pylist(), file)


class _Progress:
    """Adds up what the workers report; a chunk that is run again, since its worker died, counts once."""

    def __init__(self) -> None:
        self._chunks: dict[str, Totals] = {}
        self._attempts: Counter[str] = Counter()

    def begin(self, chunk: str) -> int:
        self._attempts[chunk] += 1
        return self._attempts[chunk]

    def report(self, chunk: str, done: Totals) -> None:
        self._chunks[chunk] = done

    def sums(self) -> Totals:
        done = self._chunks.values()
        return Totals(sum(each.prompts for each in done), sum(each.failed for each in done))


def run_on_ray(run: FileRun, survey: Survey, show: Show | None = None) -> None:
    """Run the prompts that have no result yet. A run that is killed goes on where it was.

    `show` gets the number of prompts that are done, of these with an error, and of all that are to be done.
    Raises an OptionError where the workers do not fit into the cluster, and a RunError where Ray fails.
    """
    connect(run)
    try:
        with _quiet_ray(run), _reports(run, survey, show) as progress:
            chunks = survey.chunks(run.workers)
            rows = ray.data.read_datasource(_Chunks(chunks, run.id_key), override_num_blocks=len(chunks))
            rows = rows.map_batches(
                _Worker,
                fn_constructor_args=(run, progress),
                batch_size=None,
                batch_format="pyarrow",
                num_cpus=run.processors_per_worker,
                num_gpus=run.gpus_per_worker or None,
                compute=ray.data.ActorPoolStrategy(size=run.workers),
            )
            rows.write_datasink(_PartsSink(run))
    except Exception as error:  # Ray raises what its parts raise
        raise _own_error(error) from error
    finally:
        ray.shutdown()


@contextmanager
def _quiet_ray(run: FileRun) -> Iterator[None]:
    """Set up Ray Data: it resumes by id, and prints nothing by itself."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="ray")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # What Ray would raise in its place loses its cause on the way from the worker.
    context.raise_original_map_exception = True
    # There is no limit to the time of a chunk: the model may be large.
    context.execution_no_progress_timeout_s = -1
    context.checkpoint_config = CheckpointConfig(
        id_column="id", checkpoint_path=str(run.folder / _CHECKPOINTS), delete_checkpoint_on_success=False
    )
    context.checkpoint_config.checkpoint_actor_memory_bytes = _FILTER_MEMORY
    yield


@contextmanager
def _reports(run: FileRun, survey: Survey, show: Show | None) -> Iterator[Any]:
    """Show the progress during the block; yield the actor that workers report to."""
    progress = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Progress).remote()
    if show is None:
        yield progress
        return
    before = sum(
        parquet.read_metadata(file).num_rows for file in (run.folder / _CHECKPOINTS).glob("*.parquet")
    )
    has_ended = threading.Event()

    def report() -> None:
        with suppress(ray.exceptions.RayError):  # the run itself raises it
            while not has_ended.wait(_SECONDS_BETWEEN_REPORTS):
                done = ray.get(progress.sums.remote())
                show(done.prompts, done.failed, max(done.prompts, survey.prompts - before))

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        has_ended.set()
        thread.join()


def _own_error(error: BaseException) -> GptraceError:
    """Return the error of gptrace that a worker raised, such as one about the model, or one about Ray."""
    causes = [error]
    while (cause := getattr(causes[-1], "cause", None) or causes[-1].__cause__) is not None:
        causes.append(cause)
    for cause in reversed(causes):  # what Ray raises is an instance of the class of its cause as well
        if isinstance(cause, GptraceError):
            return cause
    hint = "written results stay; run the same command again to continue"
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno is not None:
            return OutputError(f"the results cannot be written: {cause.strerror}", hint)
    return RunError(f"Ray failed: {type(causes[-1]).__name__}: {one_line(causes[-1])}", hint)
