"""Print the loss of trained weights on the held-out books, beside that of simpler models."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import torch

from gptrace.model.build import load
from gptrace.model.gpt import GPTModel
from gptrace.model.selection import select_model
from training.ids import read_texts
from training.ngrams import bigram_loss, unigram_loss
from training.run import mean_loss
from training.small_model import SMALL


def losses(ids: Path, weights: list[Path], heads: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each model's name and its mean loss by held-out collection, in nats for each token."""
    text, held_out = read_texts(ids, torch.device("cpu"))
    models = [(path.name, _model(path, heads)) for path in weights]
    V = models[0][1].config.vocab_size
    counted, arrays = text.numpy(), {name: rest.numpy() for name, rest in held_out.items()}
    yield "uniform", dict.fromkeys(held_out, math.log(V))
    yield "unigram", {name: unigram_loss(counted, rest, V) for name, rest in arrays.items()}
    yield "bigram", {name: bigram_loss(counted, rest, V) for name, rest in arrays.items()}
    for name, model in models:
        yield name, {collection: mean_loss(model, rest, batch=4) for collection, rest in held_out.items()}


def _model(path: Path, heads: int) -> GPTModel:
    module = load(select_model(weights=path, settings=[f"n_heads={heads}"])).module
    assert isinstance(module, GPTModel)
    return module


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and print one line for each model."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    add = parser.add_argument
    add("--ids", type=Path, required=True, metavar="FOLDER", help="what training.prepare wrote")
    add("--weights", type=Path, required=True, nargs="+", metavar="FILE", help="files of weights")
    add("--heads", type=int, default=SMALL.n_heads, metavar="N", help="attention heads (%(default)s)")
    options = parser.parse_args(arguments)
    for number, (model, row) in enumerate(losses(options.ids, options.weights, options.heads)):
        if number == 0:
            print(f"{'':24}" + "".join(f"{name:>12}" for name in row))
        print(f"{model:24}" + "".join(f"{loss:12.4f}" for loss in row.values()), flush=True)


if __name__ == "__main__":
    main()
