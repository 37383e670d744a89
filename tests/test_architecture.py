"""The house: imports point to the left, and each heavy library has one door."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import gptrace

ROOT = Path(gptrace.__file__).parent
# From left to right, as the data flows. `__init__` is the public face and looks at all of it, lazily.
ORDER = [
    "ranks",
    "wording",
    "notebook_cells",
    "errors",
    "input_files",
    "measures",
    "versions",
    "translation",
    "record",
    "graph",
    "text",
    "model",
    "sharding",
    "tracing",
    "predict",
    "verify",
    "session_runs",
    "session_predictions",
    "session",
    "parallel",
    "api",
    "testing",
    "report",
    "cli",
]
# So that print(trace) shows something; the only arrow that points to the right.
EXCEPTIONS = {("record", "report")}
DOORS = {
    "torch": {"model.quiet_torch", "sharding.torch_distributed", "sharding.simulated_group"},
    "tiktoken": {"text.gpt2_tokenizer"},
    "transformers": {"model.hugging_face", "sharding.transformers_plan", "text.hugging_face"},
    "huggingface_hub": {"model.weights.hub", "model.weights.hub_guard", "text.hugging_face"},
    "typer": {"cli.app", "cli.commands", "cli.grouped_command", "cli.options"},
    "rich": {"report.quiet_rich", "report.progress"},
    "pygments": {"report"},
    "IPython": {"cli.magics"},
    "ray": {"parallel.cluster", "parallel.ray_data"},
    "pyarrow": {"parallel.parquet_file", "parallel.parquet_parts", "parallel.ray_data"},
    "quickjs": {"report.pictures.layout"},
}


@cache
def imports(source: str) -> tuple[str, ...]:
    """Every module that a source imports, wherever in the file."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.append("gptrace.cli")  # a relative import hides where it looks: none is allowed
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            if node.module == "gptrace":
                found += [f"gptrace.{alias.name}" for alias in node.names]
    return tuple(found)


def complaints(name: str, source: str) -> list[str]:
    """What is wrong with the imports of the module gptrace.NAME."""
    room = name.split(".")[0]
    lines = []
    for imported in imports(source):
        top, _, rest = imported.partition(".")
        other = rest.split(".")[0]
        if top == "gptrace" and other in ORDER and ORDER.index(other) > ORDER.index(room):
            if (room, other) not in EXCEPTIONS:
                lines.append(f"{name} looks to the right, at {imported}")
        elif top in DOORS and not any(name == door or name.startswith(door + ".") for door in DOORS[top]):
            lines.append(f"{name} imports {top}, whose door is {', '.join(DOORS[top])}")
    return lines


@cache
def sources() -> list[tuple[str, str]]:
    modules = []
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name not in ("__init__", "__main__"):
            modules.append((name, path.read_text()))
    return modules


def test_every_arrow_points_to_the_left() -> None:
    modules = sources()
    assert len(modules) > 30
    assert [line for name, source in modules for line in complaints(name, source)] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("text.prompts", "from gptrace.model.config import GPTConfig"),
        ("record", "def f():\n    from gptrace.cli import main"),
        ("tracing.recorder", "import torch"),
        ("report.rows", "from torch import nn"),
        ("model.config", "from gptrace import api"),
        ("cli.streams", "from rich.console import Console"),
        ("predict.run", "import tiktoken"),
        ("text.prompts", "from ..cli import main"),
    ],
)
def test_a_wrong_arrow_is_noticed(name: str, source: str) -> None:
    assert len(complaints(name, source)) == 1


def test_every_room_is_small_enough_to_read() -> None:
    assert {name: source.count("\n") for name, source in sources() if source.count("\n") > 350} == {}


def test_commands_redirect_nothing() -> None:
    names = [name for name, source in sources() if name.startswith("cli") and "redirect" in source]
    assert names == ["cli.streams"]


def test_nothing_imports_the_code_that_made_the_small_model() -> None:
    names = [name for name, source in sources() for imported in imports(source) if _is_training(imported)]
    assert names == []
    assert [_is_training(name) for name in imports("import training.run")] == [True]


def _is_training(module: str) -> bool:
    return module.partition(".")[0] == "training"


def test_training_imports_nothing_of_the_reports_and_the_command_line() -> None:
    allowed = {"gptrace.model", "gptrace.text"}
    files = sorted((ROOT.parent / "training").glob("*.py"))
    assert len(files) > 10
    for file in files:
        used = [name for name in imports(file.read_text(encoding="utf-8")) if name.startswith("gptrace")]
        assert {".".join(name.split(".")[:2]) for name in used} <= allowed, file.name


def test_only_the_command_line_prints() -> None:
    for name, source in sources():
        if "print" not in source:
            continue
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        prints = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not prints or name.startswith(("cli", "report")), name


def imported_test_files(source: str) -> list[str]:
    return [name for name in imports(source) if re.search(r"^tests\.(.*\.)?test_", name)]


def test_no_test_file_imports_another() -> None:
    files = sorted(Path(__file__).parent.rglob("*.py"))
    assert len(files) > 50
    assert {file.name: imported_test_files(file.read_text(encoding="utf-8")) for file in files} == {
        file.name: [] for file in files
    }
    assert imported_test_files("from tests.model.test_gpt import SMALL") == ["tests.model.test_gpt"]
    assert imported_test_files("import tests.test_api") == ["tests.test_api"]
