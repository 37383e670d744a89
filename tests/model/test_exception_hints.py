"""What is said of the usual slips in names, keys, calls and assertions."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gptrace.model.exception_hints import exception_hint
from gptrace.model.quiet_torch import torch

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
    with pytest.raises((NameError, KeyError, NotImplementedError)) as caught:
        slip(Block(), X)
    assert exception_hint(caught.value) == hint


# pytest rewrites the assertions of this file, but those of other texts stay as they are.
ASSERTIONS = {
    "assert d_out % num_heads == 0, 'no multiple'": (
        "the assertion failed with d_out = 12, num_heads = 5; 12 is a multiple of 2, 3, 4, 6, for example"
    ),
    "assert cfg['emb_dim'] % self.heads == 0": (
        "the assertion failed with cfg['emb_dim'] = 12, self.heads = 7; 12 is a multiple of 2, 3, 4, 6, "
        "for example"
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
def test_the_values_in_a_failed_assertion_are_told(
    statement: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slip.py").write_text(f"def slip(self, cfg, d_out, num_heads, x):\n    {statement}\n")
    code = compile((tmp_path / "slip.py").read_text(), str(tmp_path / "slip.py"), "exec")
    space: dict[str, Any] = {}
    exec(code, space)
    with pytest.raises(AssertionError) as caught:
        space["slip"](SimpleNamespace(heads=7), {"emb_dim": 12}, 12, 5, X)
    assert exception_hint(caught.value) == ASSERTIONS[statement]
