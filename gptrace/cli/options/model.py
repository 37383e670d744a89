"""The model to run: its weights, its configuration, its device and its dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from gptrace.cli import streams
from gptrace.cli.options.option import option
from gptrace.model.config import PRESETS
from gptrace.model.selection import DEFAULT_SEED, DEVICES, DTYPES, select_model
from gptrace.session import Session


def _complete_model(incomplete: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(incomplete)]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The model to run, with its weights, configuration, device and dtype."""

    title: ClassVar = "Model"

    model: Annotated[
        str | None,
        option(
            "--model -m NAME", variable=True, completion=_complete_model,
            help="A preset (`gptrace models` lists them); FILE.py:OBJECT or package.module:OBJECT for a "
            "model of your own; hf:FOLDER or hf:OWNER/NAME for a model of transformers.  "
            "[default: gpt2-small, or the model of the --weights file]",
        ),
    ] = None  # fmt: skip
    weights: Annotated[
        str | None,
        option(
            "--weights -w random|pretrained|PATH", variable=True,
            help="Random weights, the published ones, or a file or folder: of GPT-2 from Hugging Face, "
            "nanoGPT, minGPT or the course; for a model of your own, its state dict.  "
            "[default: random; for hf: its own]",
        ),
    ] = None  # fmt: skip
    seed: Annotated[
        int, option("--seed INTEGER", "Seed of the random weights, and of sampling.", variable=True)
    ] = DEFAULT_SEED
    config: Annotated[
        str | None,
        option(
            "--config FILE|OBJECT", variable=True,
            help="A .json or .toml file of configuration keys, which replace the preset's; for a model of "
            "your own also FILE.py:NAME, a dict, an object or a class.",
        ),
    ] = None  # fmt: skip
    settings: Annotated[
        list[str] | None,
        option("--set KEY=VALUE", "One configuration key, as in n_layers=2. Repeatable.", variable=True),
    ] = None
    device: Annotated[
        str, option("--device NAME", f"One of {', '.join(DEVICES)}, or cuda:N.", variable=True)
    ] = "cpu"
    dtype: Annotated[
        str | None,
        option(
            "--dtype NAME", variable=True,
            help=f"One of {', '.join(DTYPES)}.  [default: float32; a model of your own stays as it is made]",
        ),
    ] = None  # fmt: skip
    threads: Annotated[
        int | None,
        option(
            "--threads INTEGER", least=1, variable=True,
            help="Processor threads that torch may use.  [default: one for each core]",
        ),
    ] = None  # fmt: skip

    def session(self) -> Session:
        """Return a session with the model; a notice is written before anything is downloaded."""
        return Session(
            select_model(
                self.model, weights=self.weights, config=self.config, settings=self.settings or (),
                seed=self.seed, device=self.device, dtype=self.dtype, threads=self.threads,
                say=streams.write_notice,
            )
        )  # fmt: skip
