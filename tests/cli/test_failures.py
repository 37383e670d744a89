"""Models that fail: the report tells the cause once, and no hint leads back to the same command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gptrace
from gptrace.errors import ModelCodeError
from tests.support import Cli

MODEL = """
import torch
{at_import}
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        {at_build}
    def forward(self, ids):
        raise KeyError("no such cat")
"""


def model_file(folder: Path, *, at_import: str = "", at_build: str = "pass") -> str:
    path = folder / "failing_model.py"
    path.write_text(MODEL.format(at_import=at_import, at_build=at_build))
    return f"{path}:Model"


@pytest.mark.parametrize("command", ["run", "topk", "source"])
@pytest.mark.parametrize("failing", [{"at_import": "1 / 0"}, {"at_build": "1 / 0"}, {"at_import": "def f(:"}])
def test_no_trace_is_promised_of_code_that_fails_before_the_forward_pass(
    cli: Cli, tmp_path: Path, command: str, failing: dict[str, str]
) -> None:
    outcome = cli(command, "Hello", "-m", model_file(tmp_path, **failing))
    outcome.is_error(1, "Error: ", "GPTRACE_DEBUG=1")
    assert "gptrace run" not in outcome.err


def test_a_syntax_error_names_its_line_once(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("run", "Hello", "-m", model_file(tmp_path, at_import="def f(:"))
    outcome.is_error(1, "SyntaxError: invalid syntax, at ", "failing_model.py, line 3: def f(:")
    assert outcome.err.count("line 3") == 1


@pytest.mark.parametrize("command", ["run", "source"])
@pytest.mark.parametrize("format_name", ["table", "markdown"])
def test_a_report_on_stdout_alone_tells_why_the_forward_pass_failed(
    cli: Cli, tmp_path: Path, command: str, format_name: str
) -> None:
    outcome = cli(command, "Hello", "-m", model_file(tmp_path), "--format", format_name)
    outcome.is_error(
        1, "the forward pass raised KeyError", "the report shows where and why", shows="no such cat"
    )
    assert "no such cat" not in outcome.err


@pytest.mark.parametrize("options", [["--json"], ["--output", "report.txt"]])
def test_the_error_tells_the_cause_where_no_report_is_seen(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("run", "Hello", "-m", model_file(tmp_path), *options)
    assert outcome.code == 1
    assert "no such cat" in outcome.err
    assert "gptrace run" not in outcome.err


def test_the_error_of_a_traced_run_does_not_ask_for_a_trace(cli: Cli, tmp_path: Path) -> None:
    model = model_file(tmp_path)
    with pytest.raises(ModelCodeError) as caught:
        gptrace.trace("Hello", model=model)
    assert "gptrace run" not in caught.value.hint
    cli("topk", "Hello", "-m", model).is_error(1, "gptrace run shows the trace up to the failing call")


NAN_MODEL = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head = torch.nn.Embedding(50257, 8), torch.nn.Linear(8, 50257)
    def forward(self, ids):
        return self.head(self.emb(ids) / 0 * 0)
"""


def test_the_origin_of_nan_is_told_once(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "nan_model.py"
    path.write_text(NAN_MODEL)
    outcome = cli("run", "Hello", "-m", f"{path}:Model")
    assert outcome.code == 1
    assert "is the first to make" in outcome.out
    assert "is the first to make" not in outcome.err
    outcome = cli("run", "Hello", "-m", f"{path}:Model", "--json")
    assert "is the first to make" in json.loads(outcome.out)["notes"][-1]
    assert "is the first to make" in outcome.err


NO_DIM_MODEL = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head = torch.nn.Embedding(50257, 8), torch.nn.Linear(8, 50257)
    def forward(self, ids):
        return self.head(torch.nn.functional.softmax(self.emb(ids)))
"""


@pytest.mark.filterwarnings("default:Implicit dimension choice")
def test_a_softmax_without_dim_is_told_with_its_line(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "no_dim.py"
    path.write_text(NO_DIM_MODEL)
    outcome = cli("run", "Hello", "-m", f"{path}:Model")
    assert outcome.code == 0
    assert outcome.err.count("without dim") == 1
    assert f"note: softmax without dim, at {path}:8, runs over axis 0 of one or three axes" in outcome.err
    assert "UserWarning" not in outcome.err


RETURNS = """
import torch
class Norm(torch.nn.Module):
    async def forward(self, x):
        return x
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head, self.norm = torch.nn.Embedding(50257, 8), torch.nn.Linear(8, 50257), Norm()
    {forward}
"""
WITHOUT_RETURN = "def forward(self, ids):\n        logits = self.head(self.emb(ids))"
ASYNC = "async def forward(self, ids):\n        return self.head(self.emb(ids))"
ASYNC_INSIDE = "def forward(self, ids):\n        return self.head(self.norm(self.emb(ids)))"
YIELD = "def forward(self, ids):\n        yield self.head(self.emb(ids))"
ASYNC_YIELD = f"async {YIELD}"
DROPPED = (
    "def forward(self, ids):\n        x = self.emb(ids)\n        self.norm(x)\n        return self.head(x)"
)
CAUSES = {
    WITHOUT_RETURN: "forward() returned None: Model.forward at {path}:10 has no return; "
    "end it with return logits",
    ASYNC: "forward() is declared with async def, so it has not run; use plain def",
    YIELD: "forward() holds yield, so it has not run; use return",
    ASYNC_YIELD: "forward() holds yield, so it has not run; use return",
}


@pytest.mark.filterwarnings("ignore:coroutine.*was never awaited")  # by the views of a page
@pytest.mark.parametrize("forward", CAUSES)
def test_a_model_that_returns_nothing_has_failed(cli: Cli, tmp_path: Path, forward: str) -> None:
    path = tmp_path / "returns.py"
    path.write_text(RETURNS.format(forward=forward))
    cause = CAUSES[forward].format(path=path)
    for command in ("run", "source"):
        outcome = cli(command, "Hello", "-m", f"{path}:Model")
        shown = f"no next tokens: {cause}"
        outcome.is_error(1, "Model gives nothing to predict with", "a note of the report", shows=shown)
        assert cause not in outcome.err
    for options in (
        ["run", "--json"],
        ["run", "-o", str(tmp_path / "page.html")],
        ["source", "--json"],
        ["topk"],
    ):
        outcome = cli(*options, "Hello", "-m", f"{path}:Model")
        assert outcome.code == 1
        assert f"error: Model gives nothing to predict with: {cause}\n" in outcome.err


@pytest.mark.filterwarnings("ignore:coroutine.*was never awaited")
@pytest.mark.parametrize(
    "norm", ["async def forward(self, x):", "def forward(self, x):\n        yield", "def forward(self, x):"]
)
def test_a_module_that_has_not_run_is_named(cli: Cli, tmp_path: Path, norm: str) -> None:
    path = tmp_path / "returns.py"
    path.write_text(RETURNS.replace("async def forward(self, x):", norm).format(forward=DROPPED))
    outcome = cli("run", "Hello", "-m", f"{path}:Model")
    assert (outcome.code, outcome.err) == (0, "")
    note = (
        "note: forward() is declared with async def or holds yield, so it has not run when it returns: norm; "
    )
    assert (note in outcome.out) == (norm != "def forward(self, x):")


def test_a_generator_that_is_used_as_a_tensor_is_named(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "returns.py"
    generator = RETURNS.replace("async def forward(self, x):", "def forward(self, x):\n        yield")
    path.write_text(generator.format(forward=ASYNC_INSIDE))
    shown = "likely: norm returned a generator: its forward holds yield; use return"
    cli("run", "Hello", "-m", f"{path}:Model").is_error(
        1, "the forward pass raised TypeError", "", shows=shown
    )


def test_a_generator_exit_of_the_model_has_a_trace(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "returns.py"
    path.write_text(RETURNS.format(forward="def forward(self, ids):\n        raise GeneratorExit"))
    outcome = cli("run", "Hello", "-m", f"{path}:Model")
    outcome.is_error(
        1, "the forward pass raised GeneratorExit", "", shows="raised in the model itself: GeneratorExit\n"
    )


def test_an_output_that_raises_when_it_is_read_keeps_the_trace(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "returns.py"
    output = "class Output:\n    @property\n    def logits(self):\n        raise KeyError('absent')\n"
    forward = "def forward(self, ids):\n        self.head(self.emb(ids))\n        return Output()"
    path.write_text(RETURNS.format(forward=forward) + output)
    outcome = cli("run", "Hello", "-m", f"{path}:Model")
    outcome.is_error(1, "KeyError: 'absent', at ", "", shows="└ head  Linear")


def test_hidden_states_are_no_failure(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "hidden.py"
    path.write_text(RETURNS.format(forward="def forward(self, ids):\n        return self.emb(ids)"))
    for command in ("run", "source"):
        outcome = cli(command, "Hello", "-m", f"{path}:Model")
        assert (outcome.code, outcome.err) == (0, "")
        assert ("no next tokens" in outcome.out) == (command == "run")


def test_a_module_of_the_model_that_is_declared_with_async_def_is_named(process: Cli, tmp_path: Path) -> None:
    path = tmp_path / "inside.py"
    path.write_text(RETURNS.format(forward=ASYNC_INSIDE))
    outcome = process("run", "Hello", "-m", f"{path}:Model")
    cause = "norm returned a coroutine: its forward is declared with async def; use plain def"
    outcome.is_error(1, "the forward pass raised TypeError, in head", shows=f"likely: {cause}")


def test_source_names_the_line_that_makes_nan(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "nan_model.py"
    path.write_text(NAN_MODEL)
    outcome = cli("source", "Hello", "-m", f"{path}:Model")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"the greatest logit is NaN or infinite; mul at {path}:8 in the model itself" in outcome.out
