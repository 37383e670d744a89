"""Prompts in files, and results in files, made by many processes or machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

from gptrace.cli import streams
from gptrace.cli.language import spoken
from gptrace.cli.options.groups import ModelOptions, TextOptions
from gptrace.cli.options.option import option
from gptrace.cli.output import CommandResult, Destination
from gptrace.cli.prompt_lines import progress_bar
from gptrace.errors import OptionError
from gptrace.record.prompt_result import PromptResult
from gptrace.record.schema import item_type, report_type
from gptrace.record.writing import to_json
from gptrace.report.progress import ProgressBar
from gptrace.translation import in_language, recorded, words

_PARTS = ("jsonl", "parquet")
_ID_KEY = "id"
_MOST_GPUS = 64


@dataclass(frozen=True, slots=True)
class FileRunOptions:
    """Files of prompts, run by workers of Ray into files of results."""

    title: ClassVar = "Files"

    source: Annotated[
        list[str] | None,
        option(
            "--from FILES",
            "Read prompts from JSON Lines or .parquet files, as in --from 'prompts/*.jsonl', and not from "
            "TEXT or stdin; needs gptrace[ray]. Runs here, or on the cluster at RAY_ADDRESS. Repeatable.",
        ),
    ] = None
    target: Annotated[
        Path | None,
        option(
            "--to FOLDER",
            "Write the results to files in this folder, in no particular order. The same command continues a "
            "run that was interrupted.",
        ),
    ] = None
    parts: Annotated[
        str | None,
        option(f"--parts {'|'.join(_PARTS)}", "Format of the files of results.  [default: jsonl]"),
    ] = None
    id_key: Annotated[
        str | None,
        option(
            "--id-key KEY",
            "The key that identifies a prompt; its values, numbers or texts, must differ.  [default: id]",
        ),
    ] = None
    workers: Annotated[
        int | None, option("--workers INTEGER", "Processes, each with its own model.  [default: 1]", least=1)
    ] = None
    gpus_per_worker: Annotated[
        float | None,
        option(
            "--gpus-per-worker NUMBER",
            "GPUs of each worker, a whole number or a fraction of one GPU.  [default: 1 with --device cuda]",
        ),
    ] = None

    def result(
        self, task: str, text: TextOptions, model: ModelOptions, destination: Destination, *, is_stdin: bool,
        **options: Any,
    ) -> CommandResult | None:  # fmt: skip
        """Run the files and return a summary; None where no files are given.

        `is_stdin` tells that an option about stdin is given. Raises an OptionError for options that do not go
        together.
        """
        if self.source is None and self.target is None:
            self._check_nothing_else()
            return None
        if self.source is None or self.target is None:
            given, other = ("--to", "--from") if self.source is None else ("--from", "--to")
            raise OptionError(f"{given} is given without {other}", "give both, or neither")
        if text.text or text.lines or text.ids or is_stdin:
            raise OptionError("--from reads files, but there is also text or stdin", "drop one of the two")
        if destination.file is not None:
            raise OptionError("--to and --output are both given", "drop --output")
        if destination.format not in ("table", "json", "jsonl"):
            problem = f"--format {destination.format} is not a format of the summary of a run"
            raise OptionError(problem, "drop it; --parts sets the format of the results")
        if self.parts not in (None, *_PARTS):
            raise OptionError(f"--parts is {self.parts!r}", f"pick one of {', '.join(_PARTS)}")
        self._check_id_key(task)
        if find_spec("ray") is None:
            raise OptionError("--from and --to need Ray", "install it: pip install 'gptrace[ray]'")
        return self._run(task, model, destination, {"special": not text.no_special, **options})

    def _check_nothing_else(self) -> None:
        others = {
            "--workers": self.workers, "--gpus-per-worker": self.gpus_per_worker, "--parts": self.parts,
            "--id-key": self.id_key,
        }  # fmt: skip
        for name, value in others.items():
            if value is not None:
                raise OptionError(f"{name} is given without --from and --to", f"drop {name}")

    def _check_id_key(self, task: str) -> None:
        result = item_type(report_type(task))
        assert result is not None
        assert issubclass(result, PromptResult)
        if self.id_key in result.own_keys():
            raise OptionError(
                f"--id-key {self.id_key}: results have a key of that name", "rename the key of the ids"
            )

    def _gpus_per_worker(self, device: str) -> float:
        """Return how many GPUs a worker needs; raise an OptionError for a number that cannot be."""
        given, is_gpu = self.gpus_per_worker, device.partition(":")[0] == "cuda"
        if given is None:
            return 1 if is_gpu else 0
        if not (0 <= given <= 1 or (given <= _MOST_GPUS and given == int(given))):
            hint = f"give a fraction of a GPU, or a whole number up to {_MOST_GPUS}"
            raise OptionError(f"--gpus-per-worker is {given:g}", hint)
        if bool(given) != is_gpu:
            hint = "add --device cuda" if given else "drop one of the two"
            raise OptionError(f"--gpus-per-worker is {given:g}, and --device is {device}", hint)
        return given

    def _run(
        self, task: str, model: ModelOptions, destination: Destination, options: dict[str, Any]
    ) -> CommandResult:
        from gptrace.parallel.file_run import FileRun, failure
        from gptrace.parallel.parquet_parts import KeptColumns, ParquetParts, ResultColumns
        from gptrace.parallel.parts import LinesParts, totals
        from gptrace.parallel.prompt_files import find_files
        from gptrace.parallel.ray_data import run_on_ray
        from gptrace.parallel.survey import survey

        assert self.source is not None
        assert self.target is not None
        gpus = self._gpus_per_worker(model.device)
        selection, id_key = model.selection(), self.id_key or _ID_KEY
        files = find_files(self.source, self.target)
        with progress_bar(words("prompts read"), is_stream=False) as bar:
            columns = KeptColumns() if self.parts == "parquet" else None
            seen = survey(files, id_key, columns=columns, show=bar.show)
        parts = LinesParts() if columns is None else ParquetParts(ResultColumns(task, columns.types()))
        run = FileRun(
            task, selection, options, self.target, id_key, parts, self.workers or 1, gpus_per_worker=gpus
        )
        with run.alone(), progress_bar(words("prompts"), is_stream=False) as bar:
            streams.interrupted_while_adding_to(run.folder)
            show = _shown_on(bar) if streams.can_show_progress(is_stream=False) else None
            with streams.only_progress_on_stderr():  # Ray and its processes have much to say
                run_on_ray(run, seen, show)
            done = totals(parts, run.folder)
        text = (
            to_json({"prompts": done.prompts, "failed": done.failed, "folder": str(run.folder)})
            if destination.format in ("json", "jsonl")
            else in_language(
                recorded(f"{done.prompts:,} prompts have results in {run.folder}"), destination.language
            )
        )
        return CommandResult(text + "\n", destination, final_error=lambda: failure(done, run.folder))


def _shown_on(bar: ProgressBar) -> Callable[[int, int, int], None]:
    """Return the function that shows how many prompts are done, how many of these failed, and of how many."""
    stderr = streams.stderr()

    def show(done: int, failed: int, total: int) -> None:
        bar.show(done, total, spoken(words("{} failed", f"{failed:,}"), stderr))

    return show
