"""Reports in narrow terminals: few lines for each call, whole tokens where there is room, nothing lost."""

from __future__ import annotations

import re

import pytest

import gptrace
from gptrace.record import Trace
from gptrace.report import View, render


@pytest.fixture(scope="module")
def trace() -> Trace:
    return gptrace.trace("Hello, I am", model="tiny")


def lines_of(trace: Trace, width: int) -> list[str]:
    table = render(trace, "table", View(width=width)).split("\n")
    return table[next(at for at, line in enumerate(table) if line.startswith("Module")) :]


def test_sizes_stand_beside_names_that_take_two_lines(trace: Trace) -> None:
    pair = r"\[batch, seq_len, \S+\] +\[1, 4, \d+\] +[\d,]+\n.*→ \[batch, seq_len, \S+\] +→ \[1, 4, \d+\]"
    assert re.search(pair, "\n".join(lines_of(trace, 88)))
    assert re.search(r"\n.* → same  \[1, 4, \d+\]", "\n".join(lines_of(trace, 60)))


@pytest.mark.parametrize(("width", "most"), [(120, 1), (80, 2), (60, 3)])
def test_a_linear_layer_takes_few_lines(trace: Trace, width: int, most: int) -> None:
    lines = lines_of(trace, width)
    first = next(at for at, line in enumerate(lines) if "W_key" in line)
    last = next(at for at, line in enumerate(lines) if "W_query" in line)
    assert last - first <= most


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_too_wide_and_all_sizes_are_there(trace: Trace, width: int) -> None:
    lines = lines_of(trace, width)
    assert max(map(len, lines)) <= width
    shown = re.sub(r"[\s│]", "", "".join(lines))
    assert f"[1,4,{trace.dims['emb_dim']}]" in shown
    assert f"→[1,4,{4 * trace.dims['emb_dim']}]" in shown


@pytest.mark.parametrize("width", [60, 80, None])
def test_the_token_of_the_only_column_of_a_lens_is_whole(width: int | None) -> None:
    lens = gptrace.lens(" extraordinarily", model="tiny")
    assert '0 " extraordinarily"' in render(lens, "table", View(width=width))
    many = gptrace.lens(" extraordinarily" * 5, model="tiny")
    table = render(many, "table", View(width=80))
    assert max(map(len, table.split("\n"))) <= 80
