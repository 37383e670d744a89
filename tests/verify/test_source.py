"""`gptrace source`: each line of the model's own code with the shapes that it makes."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import llms_from_scratch.ch04
import llms_from_scratch.kv_cache.gpt2
import llms_from_scratch.llama3
import llms_from_scratch.qwen3
import pytest
import transformers

import gptrace
from gptrace.errors import GptraceError
from gptrace.model.hugging_face import forward_arguments
from gptrace.model.quiet_torch import torch
from gptrace.record import Source
from gptrace.record.reading import parse
from gptrace.report import View, render
from tests.verify.source_styles import COURSE, IDS, STYLES, line_with, source_of

nn = torch.nn


LLAMA = {
    "vocab_size": 101, "context_length": 16, "emb_dim": 32, "n_heads": 4, "n_layers": 2, "hidden_dim": 40,
    "n_kv_groups": 2, "rope_base": 10_000.0, "dtype": torch.float32, "head_dim": 12, "qk_norm": True,
    "rope_freq": {
        "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_context_length": 8192,
    },
}  # fmt: skip


def hugging_face() -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=101, n_positions=16, n_embd=24, n_layer=2, n_head=3, bos_token_id=0, eos_token_id=0
    )
    module: nn.Module = transformers.GPT2LMHeadModel(config).eval()
    return module


MODELS: dict[str, tuple[Callable[[], nn.Module], ModuleType]] = {
    "ch04": (lambda: llms_from_scratch.ch04.GPTModel(COURSE), llms_from_scratch.ch04),
    "ch03": (lambda: llms_from_scratch.ch04.GPTModel(COURSE), llms_from_scratch.ch03),
    "llama3": (lambda: llms_from_scratch.llama3.Llama3Model(LLAMA), llms_from_scratch.llama3),
    "qwen3": (lambda: llms_from_scratch.qwen3.Qwen3Model(LLAMA), llms_from_scratch.qwen3),
    "kv_cache": (lambda: llms_from_scratch.kv_cache.gpt2.GPTModel(COURSE), llms_from_scratch.kv_cache.gpt2),
    "transformers": (hugging_face, sys.modules[transformers.GPT2LMHeadModel.__module__]),
}


def assigned_shapes(module: nn.Module, file: str) -> dict[int, tuple[int, ...]]:
    """The shape of the last tensor that each line of a file put into a local variable, by plain settrace."""
    shapes: dict[int, tuple[int, ...]] = {}
    lines: dict[int, int] = {}
    before: dict[int, dict[str, Any]] = {}

    def follow(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != file:
            return None
        now = {name: each for name, each in frame.f_locals.items() if isinstance(each, torch.Tensor)}
        known = before.get(id(frame), {})
        for name, tensor in now.items():
            if event != "call" and known.get(name) is not tensor and not name.startswith("."):
                shapes[lines[id(frame)]] = tuple(tensor.shape)
        before[id(frame)] = now
        lines[id(frame)] = frame.f_lineno
        return follow

    sys.settrace(follow)
    try:
        with torch.no_grad():
            module(torch.tensor([IDS]), **forward_arguments(module))
    finally:
        sys.settrace(None)
    return shapes


@pytest.mark.parametrize("name", MODELS)
def test_each_line_that_makes_a_tensor_has_its_shape(name: str) -> None:
    build, home = MODELS[name]
    module, path = build().eval(), str(home.__file__)
    expected = assigned_shapes(module, path)
    source = gptrace.source(ids=[IDS], model=module)
    of_file = [file for file in source.files if Path(file.file).resolve() == Path(path).resolve()]
    lines = {line.line: line for line in of_file[0].lines}
    assert len(expected) > 5
    assert {
        number: shape
        for number, shape in expected.items()
        if shape not in [spec.shape for spec in lines[number].made]
    } == {}
    if name == "transformers":  # a mask that is None, though its helper makes tensors on the way
        assert next(line for line in lines.values() if "causal_mask = create" in line.text).made == ()
        assert [file.file.rpartition("/")[2] for file in source.files] == [
            "modeling_gpt2.py", "pytorch_utils.py", "activations.py",
        ]  # fmt: skip
    for number in expected:
        assert lines[number].calls
        assert lines[number].text == Path(path).read_text(encoding="utf-8").split("\n")[number - 1]


def dims_of(source: Source, text: str) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(spec.dims for spec in line_with(source, text).made))


def test_unusual_python_has_its_shapes(styles: Path) -> None:
    source = source_of(styles)
    tokens = ("batch", "seq_len", "emb_dim")
    assert dims_of(source, "yield part") == [("batch", "1", "emb_dim")]
    assert [spec.name for spec in line_with(source, "a = self.up(x); b").made] == ["a", "b"]
    assert dims_of(source, "self.act = lambda") == [("batch", "seq_len", "4*emb_dim")]
    assert dims_of(source, "x = torch.cat(") == [tokens]
    assert dims_of(source, "return function(self, x)") == [tokens]
    assert line_with(source, "self.kept = torch.cat").made[0].shape == (1, 6, 12)
    assert [spec.shape for spec in line_with(source, "kept = [x[").made] == [(1, n, 12) for n in (1, 2, 3)]
    assert [spec.name for spec in line_with(source, "def forward(self, ids)").arguments] == ["ids"]
    assert dims_of(source, "return self.out_head(x)") == [("batch", "seq_len", "vocab_size")]


def test_lines_say_how_often_they_ran(styles: Path) -> None:
    source = source_of(styles)
    calls = {
        "def forward(self, ids)": 1, "x = torch.cat(": 1, "list(pieces(x)), dim=1": 1, "for block in": 3,
        "x = block(x)": 3, "a = self.up(x)": 6, "if self.training": 6, "b.dropout": 0, "b = b * 2": 0,
        "else:": 6, "with contextlib": 1, "self.act = lambda": 6, "text = ": 1, "x = function(self, x)": 3,
    }  # fmt: skip
    assert {text: line_with(source, text).calls for text in calls} == calls
    table = render(source, "table", View(width=100))
    assert next(line for line in table.split("\n") if "b.dropout" in line).split()[1] == "–"


def test_a_failing_line_is_marked(tmp_path: Path) -> None:
    file = tmp_path / "failing.py"
    broken = STYLES.replace("return self.down(b)", "return self.down(b.transpose(1, 2))")
    file.write_text(broken, encoding="utf-8")
    with pytest.raises(GptraceError) as caught:
        source_of(file)
    source = caught.value.source
    assert isinstance(source, Source)
    assert [line.text.strip() for file in source.files for line in file.lines if line.failed] == [
        "return self.down(b.transpose(1, 2))"
    ]
    table = render(source, "table", View(width=80))
    assert "✗ RuntimeError" in table
    assert "likely: " in table
    assert dims_of(source, "x = self.tok_emb(ids)") == [("batch", "seq_len", "emb_dim")]


def test_guilty_lines_are_marked() -> None:
    leaky = Path(__file__).parents[2] / "docs" / "examples" / "leaky.py"
    source = gptrace.source("Hello, I am", model=f"{leaky}:GPT", check=True)
    guilty = [line for file in source.files for line in file.lines if line.checks]
    assert [line.text.strip()[:18] for line in guilty] == ["scores.masked_fill"]
    assert "causal" in guilty[0].checks
    assert source.to_dict() == parse(source.to_json()).to_dict()


def test_following_lines_changes_nothing(styles: Path) -> None:
    spec = importlib.util.spec_from_file_location("styles_alone", styles)
    assert spec is not None
    assert spec.loader is not None
    home = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(home)
    model = home.GPT().eval()
    seen: list[str] = []

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == str(styles) and event == "line":
            seen.append(frame.f_code.co_name)
        return trace

    state = torch.get_rng_state()
    sys.settrace(trace)
    try:
        gptrace.source(ids=[IDS], model=model)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(None)
    assert "forward" in seen  # a debugger goes on to see the lines
    assert torch.equal(torch.get_rng_state(), state)
    assert "kept" not in vars(model)


def test_hostile_source_text_is_shown_safely(tmp_path: Path) -> None:
    file = tmp_path / "hostile.py"
    long = "x = x + 0 * len(" + repr("y" * 5000) + ")"
    text = STYLES.replace(
        "x = self.tok_emb(ids)", f"x = self.tok_emb(ids)  # \x1b[31m\u202e[bold]</script>\n        {long}"
    )
    file.write_text(text, encoding="utf-8")
    source = source_of(file)
    for width in (60, 80, 120, 200, None):
        for color in (False, True):
            table = render(source, "table", View(width=width, color=color))
            assert "\x1b[31m\u202e" not in table
            assert "\\x1b[31m\\u202e[bold]" in table or width == 60
            if width is not None and not color:
                assert max(map(len, table.split("\n"))) <= width
    assert max(map(len, render(source, "table").split("\n"))) < 1000  # of the 5000
    assert "</script>" not in render(source, "html")
    assert "\x1b" not in render(source, "markdown") + render(source, "csv") + source.to_json()


def test_a_model_without_code_of_its_own_says_so() -> None:
    source = gptrace.source(ids=[IDS], model=nn.Sequential(nn.Embedding(101, 8), nn.Linear(8, 101)))
    assert source.files == ()
    assert any("all its modules are those of torch" in note for note in source.notes)


LOOPS = """
import contextlib
import torch
from torch import nn

class Loops(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head = nn.Embedding(50, 4), nn.Linear(4, 50)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))

    def forward(self, ids):
        x, n = self.emb(ids), 0  # 1
        with contextlib.nullcontext():  # 1
            for layer in self.layers:  # 6
                x = layer(x)  # 6
        for group in range(3):  # 3
            for layer in self.layers[:2]:  # 6
                x = layer(x)  # 6
            x = x + 1  # 3
        for group in range(2):  # 2
            with torch.no_grad():  # 2
                for layer in self.layers:  # 12
                    if group: continue  # 12
                    x = layer(x)  # 6
        for layer in self.layers: x = layer(x)  # 6
        while n < 5: n += 1  # 5
        while n < 5:  # 1
            n += 1  # 0
        while True:  # 4
            n += 1  # 4
            if n == 9:  # 4
                break  # 1
        while True:  # 1
            for layer in self.layers:  # 6
                n += 1  # 6
            break  # 1
        while n < 20:  # 5
            with contextlib.nullcontext():  # 5
                n += 1  # 5
        while n < 30:  # 2
            for k in range(5):  # 10
                n += 1  # 10
        while True:  # 11
            try:  # 11
                n += 1  # 11
                if n > 40: raise ValueError  # 11
            except ValueError:  # 1
                break  # 1
        while (  # 9
            n < 50  # 9
        ):  # 9
            n += 1  # 9
        return self.head(x)  # 1
"""


def test_a_line_is_counted_as_often_as_it_ran_and_the_head_of_a_loop_as_its_body(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(LOOPS)
    source = gptrace.source(ids=[1, 2], model=f"{tmp_path}/loops.py:Loops")
    expected = {
        number: int(line.rpartition("# ")[2])
        for number, line in enumerate(LOOPS.splitlines(), start=1)
        if "  # " in line
    }
    assert {each.line: each.calls for each in source.files[0].lines if each.line in expected} == expected
