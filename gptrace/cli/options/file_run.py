"""Prompts in files, and results in files, made by many processes or machines."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

from gptrace.cli import streams
from gptrace.cli.options.groups import ModelOptions, TextOptions
from gptrace.cli.options.option import option
from gptrace.cli.output import CommandResult, Destination
from gptrace.errors import OptionError
from gptrace.record.writing import to_json

_MOST_GPUS = 64


@dataclass(frozen=True, slots=True)
class FileRunOptions:
    """Files of prompts in JSON Lines, run by workers of Ray into files of results."""

    title: ClassVar = "Files"

    source: Annotated[
        list[str] | None,
        option(
            "--from FILES",
            "Read prompts from JSON Lines files, as in --from 'prompts/*.jsonl', in place of TEXT and stdin; "
            "needs gptrace[ray]. Runs on this machine, or on the cluster at RAY_ADDRESS. Repeatable.",
        ),
    ] = None
    target: Annotated[
        Path | None,
        option(
            "--to FOLDER",
            "Write the results to this folder, as JSON Lines files in no particular order. The same command "
            "continues a run that was interrupted.",
        ),
    ] = None
    id_key: Annotated[
        str, option("--id-key KEY", "The key that identifies a prompt; its values must be unique.")
    ] = "id"
    workers: Annotated[
        int | None, option("--workers INTEGER", "Processes, each with its own model.  [default: 1]", least=1)
    ] = None
    gpus_per_worker: Annotated[
        float | None,
        option("--gpus-per-worker NUMBER", "GPUs of each worker; add --device cuda.  [default: 0]"),
    ] = None

    def result(
        self, task: str, text: TextOptions, model: ModelOptions, destination: Destination, **options: Any
    ) -> CommandResult | None:
        """Run the files and return a summary; None where no files are given.

        Raises an OptionError for options that do not go together.
        """
        if self.source is None and self.target is None:
            self._check_nothing_else()
            return None
        if self.source is None or self.target is None:
            given, other = ("--to", "--from") if self.source is None else ("--from", "--to")
            raise OptionError(f"{given} is given without {other}", "give both, or neither")
        if text.text or text.lines or text.ids:
            raise OptionError("--from reads files, but there is also text", "drop one of the two")
        if destination.file is not None:
            raise OptionError("--to and --output are both given", "drop --output")
        if self.gpus_per_worker is not None and not 0 <= self.gpus_per_worker <= _MOST_GPUS:
            raise OptionError(
                f"--gpus-per-worker is {self.gpus_per_worker}", f"give a number from 0 to {_MOST_GPUS}"
            )
        if find_spec("ray") is None:
            raise OptionError("--from and --to need Ray", "install it: pip install 'gptrace[ray]'")
        return self._run(task, model, destination, {"special": not text.no_special, **options})

    def _check_nothing_else(self) -> None:
        others = {"--workers": self.workers, "--gpus-per-worker": self.gpus_per_worker}
        for name, value in others.items():
            if value is not None:
                raise OptionError(f"{name} is given without --from and --to", f"drop {name}")

    def _run(
        self, task: str, model: ModelOptions, destination: Destination, options: dict[str, Any]
    ) -> CommandResult:
        from gptrace.parallel.file_run import FileRun, failure
        from gptrace.parallel.ray_data import run_on_ray

        assert self.source is not None
        assert self.target is not None
        run = FileRun.of(
            self.source, self.target, model.selection(), task=task, options=options, id_key=self.id_key,
            workers=self.workers or 1, gpus_per_worker=self.gpus_per_worker or 0,
        )  # fmt: skip
        with run.alone():
            run_on_ray(run, is_quiet=not streams.can_show_progress(is_stream=False))
            totals = run.totals()
        text = (
            to_json({"prompts": totals.prompts, "failed": totals.failed, "folder": str(run.folder)})
            if destination.format in ("json", "jsonl")
            else f"{totals.prompts:,} prompts have results in {run.folder}"
        )
        return CommandResult(text + "\n", destination, final_error=lambda: failure(totals, run.folder))
