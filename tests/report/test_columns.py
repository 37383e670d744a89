"""The columns that `--columns` adds to the table."""

from __future__ import annotations

import pytest

from gptrace.model.quiet_torch import torch
from gptrace.report import View, render
from tests.support import Cli, traced

nn = torch.nn


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        ("path,macs", ["Module", "MACs"]),
        ("output,time,own", ["Module", "Output", "Time", "Own time"]),
        ("params,trainable,bytes,dtype,device",
         ["Module", "Parameters", "Trainable", "Bytes", "Dtype", "Device"]),
        ("type,input,memory", ["Module", "Type", "Input", "Peak memory"]),
        ("mean,std,min,max,nan", ["Module", "Mean", "Std", "Min", "Max", "NaN"]),
    ],
)  # fmt: skip
def test_columns_show_what_they_name(cli: Cli, columns: str, titles: list[str]) -> None:
    outcome = cli("run", "Hello", "-m", "tiny", "--columns", columns)
    assert outcome.code == 0, outcome.err
    head = next(line for line in outcome.out.splitlines() if line.startswith("Module"))
    assert [part.strip() for part in head.split("  ") if part.strip()] == titles


def test_a_wrong_column_lists_them(cli: Cli) -> None:
    cli("run", "Hello", "--columns", "macz").is_error(
        2, "'macz' is not a column", "did you mean macs?", "nan"
    )
    cli("run", "Hello", "--columns", ",").is_error(2, "names no column")


def test_a_folded_row_carries_its_childrens(cli: Cli) -> None:
    shown = cli("run", "Hello", "-m", "tiny", "--columns", "macs,params", "--set", "n_layers=4").out
    first, rest = (
        next(line for line in shown.splitlines() if part in line) for part in ("├ 0 ", "1–3, same")
    )
    of_one_block, of_three_blocks = (int(line.split()[-2].replace(",", "")) for line in (first, rest))
    assert of_three_blocks == 3 * of_one_block > 0
    cut = cli("run", "Hello", "-m", "tiny", "--columns", "macs", "--depth", "0").out
    assert next(line for line in cut.splitlines() if line.startswith("GPTModel")).split()[-1] == "2,467,824"


def test_parameters_of_a_module_called_again_count_once_in_each_column() -> None:
    layer = nn.Linear(3, 3)
    shown = traced(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 3))
    lines = render(shown, "table", View(columns=("type", "params", "trainable", "bytes"))).splitlines()
    first, again = (line.split() for line in lines if "Linear" in line)
    assert first[-4:] == ["12", "12", "48", "B"]
    assert again[-3:] == ["above"] * 3
