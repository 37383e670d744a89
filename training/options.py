"""The options of training.train, and the plan that they describe."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from gptrace.model.config import GPTConfig
from training.run import Plan
from training.small_model import SMALL


def parse(description: str | None, arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--ids", type=Path, required=True, metavar="FOLDER", help="what training.prepare wrote")
    add("--output", type=Path, required=True, metavar="FOLDER", help="where the results go")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--tokens", type=int, metavar="N", help="train on N tokens, epoch after epoch")
    length.add_argument("--minutes", type=float, metavar="M", help="train on as many as fit into M minutes")
    _add_settings(parser)
    add("--checks", type=int, default=60, metavar="N", help="how often to log the losses (%(default)s)")
    add("--save-every", type=float, default=60, metavar="S", help="seconds between checkpoints (%(default)s)")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    add("--device", default=device, help="cpu or cuda (here: %(default)s)")
    add("--compile", action="store_true", help="torch.compile: faster on a GPU, after a minute or less")
    add("--resume", action="store_true", help="go on from checkpoint.pt in the output folder, if it is there")
    return parser.parse_args(arguments)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    settings = [
        ("--emb-dim", SMALL.emb_dim, "N", "width"),
        ("--heads", SMALL.n_heads, "N", "attention heads in a block"),
        ("--layers", SMALL.n_layers, "N", "blocks"),
        ("--context", SMALL.context_length, "N", "tokens in a crop"),
        ("--drop-rate", SMALL.drop_rate, "P", "dropout"),
        ("--batch", Plan.batch, "N", "crops in a batch"),
        ("--learning-rate", Plan.learning_rate, "R", "highest rate"),
        ("--seed", Plan.seed, "N", "of weights, crops and dropout"),
    ]
    for name, default, letter, text in settings:
        parser.add_argument(
            name, type=type(default), default=default, metavar=letter, help=f"{text} (%(default)s)"
        )


def planned(options: argparse.Namespace) -> Plan:
    """Return the plan that the options describe. Where they give minutes, it has one step for each check."""
    config = GPTConfig(
        context_length=options.context,
        emb_dim=options.emb_dim,
        n_heads=options.heads,
        n_layers=options.layers,
        drop_rate=options.drop_rate,
        tie_head=True,
    )
    plan = Plan(config, options.checks, options.batch, options.learning_rate, seed=options.seed)
    return replace(plan, steps=max(plan.steps, (options.tokens or 0) // plan.tokens_per_step))
