"""The models and the meshes that are both simulated and measured."""

from __future__ import annotations

from pathlib import Path

import transformers

from gptrace import Session, Trace
from tests.models.hugging_face import GROUPED, SIZES

# By the number of processes.
MESHES = {2: ("tp=2", "fsdp=2"), 4: ("dp=2,tp=2",)}
MODELS = ("gpt", "llama")
# Two processes do not divide it.
VOCAB_SIZE = 501
IDS = [[1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15, 16]]


# The job that saves the Llama.
LLAMA = "llama"


def save_llama(folder: Path) -> None:
    """Write the configuration of the Llama into a folder."""
    transformers.LlamaConfig(**SIZES | {"vocab_size": VOCAB_SIZE}, **GROUPED).save_pretrained(folder)


def session(model: str, llama: Path) -> Session:
    """Return a session with one of the models; `llama` is the folder of the Llama."""
    if model == "llama":
        return Session(f"hf:{llama}", weights="random")
    return Session("tiny", config={"vocab_size": VOCAB_SIZE, "context_length": 16})


def traced(model: str, llama: Path, mesh: str | None, rank: int | None = None) -> Trace:
    """Trace a model on one rank of a mesh; every logit of the last position is among the candidates."""
    of_model = session(model, llama)
    return of_model.trace(ids=IDS, mesh=mesh, rank=rank, measure=["ops", "macs", "memory"], k=VOCAB_SIZE)
