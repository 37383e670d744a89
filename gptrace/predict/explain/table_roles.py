"""What each table is asked for: the ids of the tokens, their positions, or something else.

A text of one token, again and again, tells them apart: its ids are all the same, while positions count up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gptrace.model.offloading import numbers_of
from gptrace.model.quiet_torch import torch
from gptrace.predict.capture import capture_tensors

Tensor = torch.Tensor
Embedding = torch.nn.Embedding


@dataclass(frozen=True, slots=True)
class TableRoles:
    """The paths of the tables that are asked for the ids, and of those asked for one row after the other."""

    of_ids: frozenset[str] = frozenset()
    of_positions: frozenset[str] = frozenset()


def find_table_roles(
    module: torch.nn.Module, ids: Tensor, run: Callable[[Tensor], Tensor], context_length: int | None
) -> TableRoles:
    """Run a model on a token of a text (1, T), repeated, and see what its tables are asked for.

    Nothing is known where the model has no two tables, or does not run on such a text.
    """
    tables = {path: table for path, table in module.named_modules() if isinstance(table, Embedding)}
    length = max(2, ids.shape[1])  # with one token, every row is the first
    if len(tables) < 2 or (context_length is not None and length > context_length):
        return TableRoles()
    # Not the id 0 if there is another: a table of kinds of tokens is often asked for row 0 alone.
    repeated = ids.max().expand(1, length).clone()
    with capture_tensors(module, list(tables)) as captured:
        try:
            run(repeated)
        except Exception:  # a user's model may raise anything for a text
            return TableRoles()
    asked, rows = captured.first_inputs, captured.outputs
    return TableRoles(
        frozenset(path for path in asked if _are_same(asked[path], repeated)),
        frozenset(path for path in rows if _counts(module, tables[path], asked.get(path), rows[path])),
    )


def _are_same(asked: Tensor, ids: Tensor) -> bool:
    return asked.numel() == ids.numel() and torch.equal(asked.flatten().to(ids), ids.flatten())


def _counts(module: torch.nn.Module, table: Embedding, asked: Tensor | None, rows: Tensor) -> bool:
    """Tell whether a table was asked for two rows or more, one after the other, from any row on.

    A table with a forward pass of its own may look up others than it was asked for: its rows tell.
    """
    if type(table).forward is Embedding.forward:
        return asked is not None and asked.numel() > 1 and bool((asked.flatten().diff() == 1).all())
    weight = numbers_of(module, table.weight).detach()
    rows = rows.reshape(-1, rows.shape[-1])
    # Of equal rows, nobody can tell which they are.
    if rows.shape[-1] != weight.shape[-1] or len(rows) < 2 or torch.equal(rows[0], rows[1]):
        return False
    starts = (weight == rows[0]).all(dim=-1).nonzero()[:, 0].tolist()
    return any(torch.equal(weight[start : start + len(rows)], rows) for start in starts)
