"""What is said of the usual slips in names, keys, calls and assertions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gptrace.model.exception_hints import exception_hint
from gptrace.model.failed_conditions import indivisible_hint
from gptrace.model.quiet_torch import torch
from gptrace.wording import nearest_divisors

nn = torch.nn
X = torch.ones(1, 2, 4)


class Stranger:
    """Raises wherever it is looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Block(nn.Module):
    """Makes one of the slips; each takes the input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.cfg = {"emb_dim": 4, "n_heads": 2}
        self.blocks = nn.ModuleList([nn.Linear(4, 4)])
        self.by_name = nn.ModuleDict({"att": nn.Linear(4, 4)})

    def without_self(self, x: Any) -> Any:
        return norm(x)  # type: ignore[name-defined]  # noqa: F821

    def unknown(self, x: Any) -> Any:
        return nrom(x)  # type: ignore[name-defined]  # noqa: F821

    def key_of_self(self, x: Any) -> Any:
        return x * self.cfg["embd_dim"]

    def key_of_argument(self, x: Any) -> Any:
        cfg = dict(self.cfg)
        return x * cfg["num_heads"] / cfg["n_head"]

    def key_of_another(self, x: Any) -> Any:
        other: dict[str, int] = {}
        return x * other["n_head"] + len(self.cfg)

    def unlike_key(self, x: Any) -> Any:
        return x * self.cfg["drop_rate"]

    def key_beside_a_stranger(self, x: Any) -> Any:
        cfg, _stranger = {"emb_dim": 4}, Stranger()
        return cfg["embd_dim"]

    @property
    def width(self) -> Any:
        nrom: Any = self.nrom
        return nrom.weight.shape[0]

    def property_that_raises(self, x: Any) -> Any:
        return x * self.width

    def called_list(self, x: Any) -> Any:
        return self.blocks(x)

    def called_dict(self, x: Any) -> Any:
        return self.by_name(x)


@pytest.mark.parametrize(
    ("slip", "hint"),
    [
        (Block.without_self, "norm is an attribute of Block: write self.norm"),
        (Block.unknown, ""),
        (Block.key_of_self, "self.cfg has the key 'emb_dim', and not 'embd_dim'"),
        (Block.key_of_argument, "cfg has the key 'n_heads', and not 'num_heads'"),
        (Block.key_of_another, ""),
        (Block.unlike_key, ""),
        (
            Block.property_that_raises,
            "width is a property of Block, and its own code raised AttributeError",
        ),
        (Block.key_beside_a_stranger, "cfg has the key 'emb_dim', and not 'embd_dim'"),
        (
            Block.called_list,
            "ModuleList holds modules and cannot be called itself: loop over it, as in "
            "`for block in self.blocks: x = block(x)`, or make it an nn.Sequential",
        ),
        (
            Block.called_dict,
            "ModuleDict holds modules and cannot be called itself: call a module in it, as in "
            "`self.by_name[key](x)`",
        ),
    ],
)
def test_what_was_meant_is_named(slip: Callable[[Any, Any], Any], hint: str) -> None:
    with pytest.raises((NameError, KeyError, NotImplementedError, AttributeError)) as caught:
        slip(Block(), X)
    assert exception_hint(caught.value) == hint


# pytest rewrites the assertions of this file, but those of other texts stay as they are.
ASSERTIONS = {
    "assert d_out % num_heads == 0, 'no multiple'": "the assertion failed with d_out = 12, num_heads = 5",
    "assert cfg['emb_dim'] % self.heads == 0": (
        "the assertion failed with cfg['emb_dim'] = 12, self.heads = 7"
    ),
    "assert d_out < \\\n    num_heads": "the assertion failed with d_out = 12, num_heads = 5",
    "assert d_out % 0.7 == 0": "the assertion failed with d_out = 12",
    "assert x.isnan().all()": "",
    "assert False": "",
    "assert d_out; assert num_heads < 2": "the assertion failed with num_heads = 5",
    # A name in a comprehension or a lambda is another one than that of the function.
    "assert all(d_out < 9 for d_out in [10])": "",
    "assert (lambda d_out: d_out < 9)(10), 'great'": "",
}


@pytest.mark.parametrize("statement", ASSERTIONS)
def test_the_values_in_a_failed_assertion_are_told(statement: str, tmp_path: Path) -> None:
    assert exception_hint(raised_by(statement, tmp_path)) == ASSERTIONS[statement]


def raised_by(statement: str, folder: Path) -> BaseException:
    """Return the exception that a statement raises in a function of a file."""
    file = folder / "slip.py"
    file.write_text(f"def slip(self, cfg, d_out, num_heads, x):\n    {statement}\n")
    space: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each statement raises its own
        space["slip"](SimpleNamespace(heads=7, cfg={"emb_dim": 12}), {"emb_dim": 12}, 12, 5, X)
    return caught.value


REMAINDERS = {
    "assert d_out % num_heads == 0": "D 12 is not divisible by num_heads 5; num_heads could be 2, 3, 4, 6",
    "assert self.cfg['emb_dim'] % self.heads == 0 and x": (
        "D 12 is not divisible by heads 7; heads could be 2, 3, 4, 6"
    ),
    "if d_out % num_heads:\n        raise ValueError": (
        "D 12 is not divisible by num_heads 5; num_heads could be 2, 3, 4, 6"
    ),
    # Here the remainder is not what was refused.
    "if d_out % num_heads:\n        x @ x": "",
    "assert d_out % num_heads == 1": "",
    "assert d_out % num_heads < len(cfg)": "",
    "assert d_out % 7 == 0": "",
}


@pytest.mark.parametrize("statement", REMAINDERS)
def test_a_size_that_another_one_does_not_divide_is_named_where_it_was_refused(
    statement: str, tmp_path: Path
) -> None:
    assert indivisible_hint(raised_by(statement, tmp_path), {"D": 12}) == REMAINDERS[statement]


def test_divisors_of_a_huge_number_are_found_with_little_work() -> None:
    assert nearest_divisors(2**200, 6) == "1, 2, 4, 8"
