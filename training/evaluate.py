"""Print the loss of trained weights on the held-out books, beside that of simpler models."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from gptrace.model.build import load
from gptrace.model.gpt import GPTModel
from gptrace.model.selection import select_model
from training.ids import read_texts
from training.ngrams import bigram_loss, unigram_loss
from training.run import mean_loss
from training.small_model import SMALL


def losses(ids: Path, weights: list[Path], heads: int) -> dict[str, dict[str, float]]:
    """Return the mean loss by model and held-out collection, in nats for each token."""
    text, held_out = read_texts(ids, torch.device("cpu"))
    models = {path.name: _model(path, heads) for path in weights}
    V = next(iter(models.values())).config.vocab_size
    table: dict[str, dict[str, float]] = {
        "uniform": dict.fromkeys(held_out, math.log(V)),
        "unigram": {name: unigram_loss(text.numpy(), rest.numpy(), V) for name, rest in held_out.items()},
        "bigram": {name: bigram_loss(text.numpy(), rest.numpy(), V) for name, rest in held_out.items()},
    }
    for file, model in models.items():
        table[file] = {name: mean_loss(model, rest, batch=4) for name, rest in held_out.items()}
    return table


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
    table = losses(options.ids, options.weights, options.heads)
    names = list(table["uniform"])
    print(f"{'':24}" + "".join(f"{name:>12}" for name in names))
    for model, row in table.items():
        print(f"{model:24}" + "".join(f"{row[name]:12.4f}" for name in names))


if __name__ == "__main__":
    main()
