"""The model to run: its weights, its configuration, its device and its dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from gptrace.cli import streams
from gptrace.cli.options.parsers import whole_number
from gptrace.model.config import PRESETS
from gptrace.model.selection import DEFAULT_SEED, DEVICES, DTYPES, select_model
from gptrace.session import Session


def _complete_model(incomplete: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(incomplete)]


_Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="NAME", envvar="GPTRACE_MODEL", autocompletion=_complete_model,
        help="A preset (`gptrace models` lists them); FILE.py:OBJECT or package.module:OBJECT for a model of "
        "your own; hf:FOLDER or hf:OWNER/NAME for a model of transformers.  "
        "[default: gpt2-small, or the model of the --weights file]",
    ),
]  # fmt: skip
_Weights = Annotated[
    str | None,
    typer.Option(
        "--weights", "-w", metavar="random|pretrained|PATH", envvar="GPTRACE_WEIGHTS",
        help="Random weights, the published ones, or a file or folder: of GPT-2 from Hugging Face, nanoGPT, "
        "minGPT or the course; for a model of your own, its state dict.  "
        "[default: random; for hf: its own]",
    ),
]  # fmt: skip
_Seed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="INTEGER", parser=whole_number("--seed"), envvar="GPTRACE_SEED",
        help="Seed of the random weights, and of sampling.",
    ),
]  # fmt: skip
_Config = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="FILE|OBJECT", envvar="GPTRACE_CONFIG",
        help="A .json or .toml file of configuration keys, which replace the preset's; for a model of your "
        "own also FILE.py:NAME, a dict, an object or a class.",
    ),
]  # fmt: skip
_Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", envvar="GPTRACE_SET",
        help="One configuration key, as in n_layers=2. Repeatable.",
    ),
]  # fmt: skip
_Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", envvar="GPTRACE_DEVICE", help=f"One of {', '.join(DEVICES)}, or cuda:N."
    ),
]
_Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype", metavar="NAME", envvar="GPTRACE_DTYPE",
        help=f"One of {', '.join(DTYPES)}.  [default: float32; a model of your own stays as it is made]",
    ),
]  # fmt: skip
_Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="INTEGER", parser=whole_number("--threads", least=1), envvar="GPTRACE_THREADS",
        help="Processor threads that torch may use.  [default: one for each core]",
    ),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The model to run, with its weights, configuration, device and dtype."""

    title: ClassVar = "Model"

    model: _Model = None
    weights: _Weights = None
    seed: _Seed = DEFAULT_SEED
    config: _Config = None
    settings: _Settings = None
    device: _Device = "cpu"
    dtype: _Dtype = None
    threads: _Threads = None

    def session(self) -> Session:
        """Return a session with the model; a notice is written before anything is downloaded."""
        return Session(
            select_model(
                self.model, weights=self.weights, config=self.config, settings=self.settings or (),
                seed=self.seed, device=self.device, dtype=self.dtype, threads=self.threads,
                say=streams.write_notice,
            )
        )  # fmt: skip
