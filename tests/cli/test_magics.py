"""`%load_ext gptrace`: the magics in an IPython shell, and records that show themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch

interactiveshell = pytest.importorskip("IPython.core.interactiveshell")
capture = pytest.importorskip("IPython.utils.capture")

SIZES = {"emb_dim": 8, "n_heads": 2, "n_layers": 1, "context_length": 16}
LEAKY = """import torch
class Leaky(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head = torch.nn.Embedding(50257, 8), torch.nn.Linear(8, 50257)
    def forward(self, ids):
        x = self.emb(ids)
        x = x + torch.mean(x, dim=1, keepdim=True)
        return self.head(x)
leaky = Leaky()"""


@pytest.fixture
def shell() -> Iterator[Any]:
    shell = interactiveshell.InteractiveShell.instance()
    shell.user_ns |= {"model": gptrace.GPTModel(SIZES), "nothing": None}
    run(shell, "%load_ext gptrace")
    yield shell
    interactiveshell.InteractiveShell.clear_instance()


def run(shell: Any, cell: str) -> Any:
    with capture.capture_output() as captured:
        captured.success = shell.run_cell(cell, store_history=True).success
    captured.tables = [output.data["text/plain"] for output in captured.outputs]
    return captured


def test_check_names_the_cell(shell: Any) -> None:
    number = shell.execution_count
    run(shell, LEAKY)
    shown = run(shell, "%gptrace check leaky --only causal")
    assert shown.success
    assert f"cell {number}, line 8 (Leaky.forward)" in shown.tables[0]
    html = shown.outputs[0].data["text/html"]
    assert f"cell {number}, line 8" in html
    assert "<script" not in html


def test_source_shows_the_shapes_in_a_cell(shell: Any) -> None:
    run(shell, LEAKY)
    lines = run(shell, "%gptrace source leaky 'Hello, I am' --check --width 100").tables[0].split("\n")
    (line,) = [line for line in lines if "x = self.emb(ids)" in line]
    assert line.endswith("[batch, seq_len, 8]  [1, 4, 8]")
    (marked,) = [number for number, line in enumerate(lines) if "✗ causal" in line]
    assert "x = x + torch.mean" in lines[marked - 1]


def test_run_takes_the_options_of_the_command_line(shell: Any) -> None:
    table = run(shell, '%gptrace run model "Hi" --depth 1 --columns output --lang zh').tables[0]
    assert "└ out_head" in table
    assert "MultiHeadAttention" not in table
    assert "模型" in table


def test_the_seed_is_that_of_sampling(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def sampled(line: str) -> object:
        record = json.loads(run(shell, f"%gptrace generate model Hi -n 6 {line} --json").stdout)
        return record["results"][0]["new_ids"]

    def expected(seed: int) -> object:
        session = gptrace.Session(shell.user_ns["model"])
        return list(session.generate("Hi", max_new_tokens=6, temperature=1.0, seed=seed).results[0].new_ids)

    assert sampled("--temperature 1 --seed 1") == expected(1) != expected(2)
    assert sampled("--temperature 1 --seed=2") == expected(2)
    monkeypatch.setenv("GPTRACE_SEED", "7")
    assert sampled("--temperature 1") == expected(7)
    monkeypatch.setenv("GPTRACE_DTYPE", "bfloat16")
    for command in ("check model --only causal", "explain model Hi --topic inference", "source model Hi"):
        assert run(shell, f"%gptrace {command} --seed 5").success


def test_a_class_takes_all_options_of_a_model(shell: Any, tmp_path: Path) -> None:
    run(shell, LEAKY)
    path = tmp_path / "leaky.pt"
    torch.save(shell.user_ns["leaky"].state_dict(), path)
    shell.user_ns["Model"] = lambda vocab_size=9: torch.nn.Embedding(vocab_size, vocab_size)
    kept = run(shell, "%gptrace topk leaky Hi --json").stdout
    loaded = run(shell, f"%gptrace topk Leaky Hi -w {path} --json").stdout
    assert json.loads(loaded)["results"] == json.loads(kept)["results"]
    assert "in bfloat16 on cpu" in run(shell, "%gptrace run Leaky Hi --dtype=bfloat16").tables[0]
    shown = run(shell, "%gptrace run Model --ids 1 --set vocab_size=7 --seed 4").tables[0]
    assert "49 parameters" in shown
    assert "with seed 4" in shown


def test_a_hint_names_the_model_of_the_notebook(shell: Any) -> None:
    shell.user_ns["model"].out_head.weight.data.fill_(float("nan"))
    failed = run(shell, "%gptrace run model Hi --json")
    assert "hint: %gptrace check model --only=finite says what is wrong there" in failed.stdout
    shell.user_ns["broken"] = lambda emb_dim=1: shell.user_ns["model"]
    failed = run(shell, "%gptrace run broken Hi --set emb_dim=8 --json")
    assert "hint: %gptrace check broken --set emb_dim=8 --only=finite" in failed.stdout


@pytest.mark.parametrize("line", ["%gptrace topk model -k 0 --lang zh", "%%gptrace --lang=zh -k 3\n1"])
def test_an_error_is_in_the_language_of_its_line(shell: Any, line: str) -> None:
    assert run(shell, line).stdout.startswith("错误：")
    assert run(shell, "%gptrace topk model -k 0").stdout.startswith("error: ")


def test_a_cell_shows_the_first_call_of_each_module(shell: Any) -> None:
    before = torch.nn.Module.__call__
    number = shell.execution_count
    cell = "%%gptrace --ops --depth 1\n\nimport torch\nids = torch.tensor([[1, 2]])\n"
    shown = run(shell, cell + "for _ in range(3):\n    out = model(ids)\n(out + 1).shape")
    assert shown.success
    assert len(shown.tables) == 1
    assert "[1, 2] → [1, 2, 8] → [1, 2, 50257]" in " ".join(shown.tables[0].split())
    assert "2 further calls are not shown" in shown.stderr
    assert "torch.Size([1, 2, 50257])" in shown.stdout
    assert torch.nn.Module.__call__ is before
    assert run(shell, cell + "model(ids).sum() ;").stdout == ""
    failed = run(shell, "%%gptrace\n\nmodel(torch.ones(1, 2))")
    assert not failed.success
    assert "raised in tok_emb" in failed.tables[0]
    assert torch.nn.Module.__call__ is before
    assert f"In[{number + 2}]" in failed.stdout
    assert "line 3" in failed.stdout


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("%gptrace", "'' is no command"), ("%gptrace chek model", "did you mean check?"),
        ("%gptrace check modle", "did you mean model?"), ("%gptrace check", "names no model"),
        ("%gptrace run model --lines", "--lines is not for a notebook"),
        ("%gptrace topk model - Hi", "- is not for a notebook"), ("%gptrace check model -- -", "- is not"),
        ("%gptrace run model Hi --expect=-", "- is not for a notebook"),
        ("%gptrace loss model Hi --input-format=text", "--input-format is not for a notebook"),
        ("%gptrace topk model --from a --to b", "--from is not for a notebook"),
        ("%gptrace topk model Hi -mtiny", "--model is not for a notebook"),
        ("%gptrace topk model Hi -wrandom", "--weights cannot be set for a model that is built already"),
        ("%gptrace check model --dtype bfloat16 --device=cpu", "--device, --dtype cannot be set"),
        ("%gptrace run model Hi --config /nope --set a=1", "--config, --set cannot be set for a model"),
        ("%gptrace loss model Hi --seed 123 --threads 1", "--seed, --threads cannot be set for a model"),
        ("%gptrace generate model Hi --seed 1e9", "--seed 1e9 is not a whole number"),
        ("%gptrace generate model Hi --seed 99999999999999999999", "does not fit into 64 bits"),
        ("%gptrace check nothing", "'nothing' is of type NoneType, and builds no module"),
        ("%gptrace run model 'x", "No closing quotation"), ("%gptrace run model --k 0", "--k is 0"),
        ("%gptrace run model.absent", "has no attribute absent"),
        ("%gptrace check model --nope", "no such option"),
        ("%%gptrace Hi\n1", "not for a cell"), ("%%gptrace --seed=1\n1", "not for a cell"),
        ("%%gptrace -k3\n1", "not for a cell"), ("%%gptrace --depth -1\n1", "--depth -1 is not a whole"),
        ("%%gptrace --columns flops\n1", "is not a column"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_an_error_and_a_hint(shell: Any, line: str, error: str) -> None:
    shown = run(shell, line)
    assert not shown.success
    assert error in shown.stdout
    assert shown.stdout.startswith("error: ")
    assert "\nhint: " in shown.stdout
    assert "Traceback" not in shown.stdout


def test_a_property_that_raises_is_an_error_of_the_users_code(shell: Any) -> None:
    run(shell, "class Boo:\n    far = property(lambda self: 1 / 0)\nboo = Boo()")
    shown = run(shell, "%gptrace topk boo.far Hi")
    assert shown.stdout.startswith("error: ZeroDivisionError: division by zero")
    assert "(while boo.far was read)\nhint: " in shown.stdout
    assert "Traceback" not in shown.stdout


def test_a_record_shows_itself() -> None:
    bundle = gptrace.topk("<b>Hello", model="tiny", k=2)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("model  ")
    assert "&lt;b&gt;Hello" in bundle["text/html"]


def test_what_cannot_be_shown_yet_is_named_and_not_read() -> None:
    stream = gptrace.topk_stream(["Hello"], model="tiny", k=2)
    assert list(stream._repr_mimebundle_()) == ["text/plain"]
    assert len(list(stream.results)) == 1
    assert gptrace.Trace.pending()._repr_mimebundle_() == {"text/plain": "<Trace: still recording>"}


def test_run_as_html_is_the_page_in_a_frame(shell: Any) -> None:
    (shown,) = run(shell, '%gptrace run model "Hi" -f html').outputs
    assert shown.data["text/plain"].startswith("<Page of <Trace of GPTModel:")
    assert shown.data["text/html"].startswith("<iframe srcdoc=")
