"""`--model FILE.py:OBJECT`: people's own modules, classes and factories, and what they do wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from llms_from_scratch.ch04 import GPTModel as CourseModel

import gptrace
from gptrace.errors import ConfigError, ModelCodeError
from gptrace.model import GPTModel, free_memory
from gptrace.model.quiet_torch import torch
from tests.models.user_files import NANO, SMALL
from tests.support import (
    KERNEL_ROUNDING,
    Cli,
    Outcome,
    assert_same_but_for_rounding,
    assert_same_candidates,
    logits_by_id,
)

nn = torch.nn


COURSE = """
import torch

GPT_CONFIG_124M = {"vocab_size": 50257, "emb_dim": 8, "n_layers": 2}


class Course(torch.nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.tok_emb = torch.nn.Embedding(cfg["vocab_size"], cfg["emb_dim"])
        width = cfg.get("inner", 8)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(8, width) for _ in range(cfg["n_layers"]))
        self.cfg = cfg

    def forward(self, ids):
        return self.tok_emb(ids) @ self.tok_emb.weight.T * self.cfg.get("later", 1)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nano_model.py").write_text(NANO)
    (tmp_path / "small_models.py").write_text(SMALL)
    return tmp_path


def trace_of(outcome: Outcome) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    whole: dict[str, Any] = json.loads(outcome.out)
    return whole


def said(outcome: Outcome) -> Outcome:
    """What gptrace said, without what the model's code printed before."""
    return replace(outcome, err="\n".join(outcome.err.splitlines()[-2:]))


def dims(trace: dict[str, Any], path: str) -> list[list[str]]:
    call = next(call for call in trace["calls"] if call["path"] == path)
    return [spec["dims"] for spec in (*call["inputs"], *call["outputs"])]


def test_the_courses_published_class_traces_like_ours(cli: Cli) -> None:
    sizes = ["--set", "emb_dim=48", "--set", "n_heads=4", "--set", "n_layers=2", "--set", "context_length=64"]
    ours = trace_of(cli("run", "Hello, I am", *sizes, "--json"))
    reference = trace_of(cli("run", "Hello, I am", "-m", "llms_from_scratch.ch04:GPTModel", *sizes, "--json"))

    def seen(trace: dict[str, Any]) -> list[object]:
        return [
            (
                call["path"].replace("drop_resid", "drop_shortcut"),
                call["type"],
                call["inputs"],
                call["outputs"],
            )
            for call in trace["calls"]
        ]

    assert seen(reference) == seen(ours)
    assert reference["dims"] == ours["dims"]
    for a, b in zip(
        ours["predictions"][0]["candidates"], reference["predictions"][0]["candidates"], strict=True
    ):
        assert a["id"] == b["id"]
        assert a["logit"] == pytest.approx(b["logit"], abs=KERNEL_ROUNDING)
    assert reference["flow"] == ours["flow"]
    assert reference["notes"] == []


def test_a_class_with_a_dataclass_of_its_own(cli: Cli, here: Path) -> None:
    trace = trace_of(
        cli("run", "Hello, I am", "-m", "nano_model.py:Nano", "--config", "nano_model.py:NanoConfig",
            "--set", "n_layer=3", "--json")
    )  # fmt: skip
    assert trace["dims"] == {"batch": 1, "seq_len": 4, "n_embd": 24, "vocab_size": 50304}
    ops = trace_of(
        cli("run", "Hello, I am", "-m", "nano_model.py:Nano", "--config", "nano_model.py:NanoConfig", "--ops",
            "--json")
    )  # fmt: skip
    attention = next(call for call in ops["calls"] if call["path"] == "h.0")["ops"]
    fused = next(op for op in attention if op["name"] == "scaled_dot_product_attention")
    assert fused["inputs"][0]["dims"] == ["batch", "n_head", "seq_len", "head_dim"]
    assert dims(trace, "h.2.c_attn") == [["batch", "seq_len", "n_embd"], ["batch", "seq_len", "3*n_embd"]]
    assert dims(trace, "lm_head") == [["batch", "1", "n_embd"], ["batch", "1", "vocab_size"]]
    assert trace["model"]["weights"]["padding_rows"] == 47  # 50304 is GPT-2's vocabulary, rounded up
    assert trace["predictions"][0]["candidates"][0]["text"] is not None
    assert trace["notes"] == []


def test_logits_of_the_last_position_alone_are_those_of_whole_ones(here: Path) -> None:
    name = {"model": "nano_model.py:Nano", "config": "nano_model.py:NanoConfig"}
    both = gptrace.topk(["Hello, I am", "Every effort moves you"], **name).results  # type: ignore[arg-type]
    alone = gptrace.topk("Hello, I am", **name).results[0]  # type: ignore[arg-type]
    assert [c.token for c in both[0].candidates] == [c.token for c in alone.candidates]
    trace = gptrace.trace(["Hello", "Every effort moves you"], **name)  # type: ignore[arg-type]
    hello = gptrace.topk("Hello", **name).results[0]  # type: ignore[arg-type]
    assert_same_candidates(trace.predictions[0].candidates, hello.candidates)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-m", "small_models.py:Keywords"], {"vocab_size": 50257, "emb_dim": 768}),
        (["-m", "small_models.py:Keywords", "--set", "emb_dim=12"], {"vocab_size": 50257, "emb_dim": 12}),
        (["-m", "small_models.py:Keywords", "--config", "small_models.py:Settings"], {"emb_dim": 10}),
        (["-m", "small_models.py:Keywords", "--config", "small_models.py:settings"], {"vocab_size": 64}),
        (["-m", "small_models.py:Keywords", "--config", "small_models.py:plain"], {"vocab_size": 77}),
        (["-m", "small_models.py:Keywords", "--config", "sizes.json"], {"vocab_size": 50}),
        (["-m", "small_models.py:Keywords", "--config", "sizes.toml", "--set", "vocab_size=51"],
         {"vocab_size": 51, "emb_dim": 6}),
        (["-m", "small_models:Keywords"], {"emb_dim": 768}),
    ],
)  # fmt: skip
def test_a_class_of_keywords(cli: Cli, here: Path, arguments: list[str], expected: dict[str, int]) -> None:
    (here / "sizes.json").write_text('{"vocab_size": 50, "emb_dim": 6}')
    (here / "sizes.toml").write_text("vocab_size = 50\nemb_dim = 6\n")
    trace = trace_of(cli("run", "--ids", "1 2 3", *arguments, "--json"))
    assert trace["dims"].items() >= expected.items()
    assert dims(trace, "head")[1] == ["batch", "seq_len", "vocab_size"]
    assert trace["predictions"][0]["candidates"]


@pytest.mark.parametrize("name", ["factory", "module"])
def test_what_cannot_be_built_at_other_sizes_has_batch_and_seq_len(cli: Cli, here: Path, name: str) -> None:
    trace = trace_of(cli("run", "--ids", "1 2 3", "--ids", "4", "-m", f"small_models.py:{name}", "--json"))
    assert trace["dims"] == {"batch": 2, "seq_len": 3}
    assert dims(trace, "head") == [["batch", "seq_len", "8"], ["batch", "seq_len", "100"]]
    assert "only batch and seq_len have names" in trace["notes"][0]
    assert "100 logits" in trace["notes"][1]
    assert "ids are shown without text" in trace["notes"][1]
    assert [c["text"] for c in trace["predictions"][1]["candidates"]] == [None] * 5
    assert trace["inputs"][0]["text"] is None


def test_a_parameter_that_the_course_has_too_is_no_configuration(cli: Cli, here: Path) -> None:
    trace = trace_of(
        cli("run", "--ids", "1", "-m", "small_models.py:factory_of", "--set", "n_layers=3", "--json")
    )
    assert trace["totals"]["calls"] == 5


def test_an_argument_may_be_called_output(cli: Cli, tmp_path: Path) -> None:
    """As in BERT's code: what comes in under that name is not what leaves."""
    (tmp_path / "last.py").write_text(
        dedent("""
            import torch
            from torch import nn

            class Turn(nn.Module):
                def forward(self, output):
                    return output.mT

            class Model(nn.Module):
                def __init__(self, vocab_size, emb_dim):
                    super().__init__()
                    self.tok_emb, self.turn = nn.Embedding(vocab_size, emb_dim), Turn()

                def forward(self, ids):
                    return self.turn(self.tok_emb(ids))
        """)
    )
    arguments = ["-m", f"{tmp_path / 'last.py'}:Model", "--set", "vocab_size=50", "--set", "emb_dim=6"]
    trace = trace_of(cli("run", "--ids", "1 2 3", *arguments, "--json"))
    assert dims(trace, "turn") == [["batch", "seq_len", "emb_dim"], ["batch", "emb_dim", "seq_len"]]


def test_what_it_prints_goes_to_stderr(process: Cli, tmp_path: Path) -> None:
    (tmp_path / "small_models.py").write_text(
        SMALL + "\nimport os, subprocess\nos.write(1, b'raw\\n'); subprocess.run(['echo', 'child'])\n"
    )
    outcome = process("run", "--ids", "1 2", "-m", "small_models.py:factory", "--json")
    assert outcome.code == 0, outcome.err
    json.loads(outcome.out)
    # Once each: building and running a copy, to name the axes, is nobody's business.
    assert sorted(outcome.err.split()) == ["child", "imported", "made", "made", "raw", "run"]


def test_a_model_that_resists_is_traced_all_the_same(cli: Cli, here: Path) -> None:
    trace = trace_of(cli("run", "Hello, I am", "-m", "small_models.py:Fixed", "--json"))
    assert trace["dims"] == {}
    assert dims(trace, "emb") == [["1", "4"], ["1", "4", "6"]]
    assert trace["notes"] == [
        "no axis has a name: neither batch nor seq_len can be varied, and this model cannot be built at "
        "other sizes; pass a class that takes its sizes as arguments",
        "no next tokens: the output has 6 scores for each position, but id 15496 is in the vocabulary: they "
        "score no next token",
    ]


def test_without_logits_the_trace_says_why(cli: Cli, here: Path) -> None:
    trace = trace_of(cli("run", "Hello, I am", "-m", "small_models.py:Classifier", "--json"))
    assert trace["predictions"] == []
    assert trace["notes"][-1] == "no next tokens: the output [1, 3] is no [batch, seq_len, V]"
    shown = cli("run", "Hello, I am", "-m", "small_models.py:Classifier").out
    assert "note: no next tokens: the output [1, 3] is no [batch, seq_len, V]" in shown
    said(cli("topk", "Hello, I am", "-m", "small_models.py:Classifier")).is_error(
        1, "Classifier gives nothing to predict with: the output [1, 3]", "gptrace run shows its shapes"
    )


def test_the_only_configuration_of_a_file_is_taken_and_named(cli: Cli, here: Path) -> None:
    (here / "course.py").write_text(COURSE)
    for command in (("run", "Hello"), ("check", "--only", "finite")):
        shown = cli(*command, "-m", "course.py:Course").out
        assert "cfg is course.py:GPT_CONFIG_124M, the only configuration there" in shown
    trace = trace_of(cli("run", "Hello", "-m", "course.py:Course", "--set", "n_layers=3", "--json"))
    assert trace["model"]["parameters"]["total"] == 50257 * 8 + 3 * 72
    (here / "course.py").write_text(COURSE + "\nSMALL = {'emb_dim': 4}\n")
    shown = cli("run", "Hello", "-m", "course.py:Course").out
    assert "cfg is the course's GPT_CONFIG_124M (--config course.py:GPT_CONFIG_124M would use" in shown


def test_a_model_without_room_is_refused_before_it_is_built(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constructor raises where it would take memory: only shapes are made."""
    first = "        super().__init__()\n"
    on_meta_alone = "        if not torch.empty(0).is_meta: raise RuntimeError('built')\n"
    (here / "course.py").write_text(COURSE.replace(first, first + on_meta_alone))
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 1 << 30)
    for command in (("run", "Hello"), ("check",)):
        refused = cli(*command, "-m", "course.py:Course", "--set", "vocab_size=300000000")
        refused.is_error(1, "Course with 2,400,000,144 parameters needs 8.9 GiB", "1.0 GiB is free")
    cli("run", "Hello", "-m", "course.py:Course").is_error(1, "RuntimeError: built")


@pytest.mark.parametrize("setting", ["inner=9", "later=2"])
def test_a_key_that_the_model_may_read_can_be_added(setting: str, cli: Cli, here: Path) -> None:
    (here / "course.py").write_text(COURSE)
    assert cli("run", "Hello", "-m", "course.py:Course", "--set", setting).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["-m", "small_models.py"], 2, ["does not say which object", "small_models.py:Keywords"]),
        (["-m", "absent.py:Model"], 2, ["'absent.py' does not exist", "looked in /"]),
        (["-m", ".:Model"], 2, ["neither a .py file nor a notebook nor a module"]),
        (["-m", "small_models.py:"], 2, ["names no object"]),
        (["-m", "small_models.py:Keyword"], 2, ["there is no Keyword", "did you mean Keywords?"]),
        (["-m", "small_models.py:Keywords.absent"], 2, ["there is no absent"]),
        (["-m", "no_such_package.module:Model"], 2, ["there is no module 'no_such_package'"]),
        (["-m", "small_models.py:nn"], 2, ["nn is a Python module, not a model", "Known: Keywords, "]),
        (["-m", "small_models.py:torch.nn"], 2, ["torch.nn is a Python module", "Known: Keywords, "]),
        (["-m", "package:inner"], 2, ["inner is a Python module, not a model", "Known: inner.Model"]),
        (["-m", "small_models.py:number"], 2, ["number is of type int, and builds no module"]),
        (["-m", "small_models.py:not_a_module"], 2, ["not_a_module returned a value of type int"]),
        (["-m", "small_models.py:module", "--set", "a=1"], 2, ["built already"]),
        (["-m", "small_models.py:Keywords", "--set", "emb_dims=1"], 2, ["no setting 'emb_dims'", "emb_dim?"]),
        (["-m", "small_models.py:Keywords", "-w", "pretrained"], 2, ["no published weights for Keywords"]),
        (["-m", "small_models.py:Keywords", "-w", "absent.pt"], 2, ["no such file or folder"]),
        (["-m", "small_models.py:Raises", "--set", "when=init"], 1,
         ["ValueError: no\\x1b[31m good, at small_models.py, line 56, in __init__: raise ValueError("]),
        (["-m", "small_models.py:Raises"], 1, ["RuntimeError", "small_models.py, line 59, in forward",
         "(in the forward pass of Raises)"]),
        (["-m", "two_configs.py:Nano"], 1, ["AttributeError: 'dict' object has no attribute 'vocab_size'",
         "line 36", "--config two_configs.py:NanoConfig"]),
        (["-m", "nano_model.py:Nano", "--config", "two_configs.py:WRONG"], 2,
         ["there is no WRONG", "Known: NanoConfig, LARGE"]),
        (["-m", "course.py:Course", "--set", "n_layer=3"], 2, ["never reads n_layer", "mean n_layers?"]),
        (["-m", "course.py:Course", "--config", "course.py:GPT_CONFIG_124M", "--set", "n_layer=3"], 2,
         ["never reads n_layer", "did you mean n_layers?"]),
        (["-m", "nano_model.py:Nano", "--config", "nano_model.py:NanoConfig", "--set", "n_heads=1"], 2,
         ["NanoConfig has no setting 'n_heads'", "did you mean n_head?"]),
        (["-m", "nano_model.py:Nano", "--config", "nano_model.py:NanoConfig", "--ids", "60000"], 1,
         ["IndexError", "nano_model.py, line 43, in forward"]),
        (["-m", "broken.py:Model"], 1, ["SyntaxError", "broken.py, line 2: def f(:"]),
        (["-m", "leaves.py:Model"], 1, ["SystemExit: 3", "leaves.py, line 1"]),
        (["-m", "lacks.py:Model"], 1, ["ModuleNotFoundError: No module named 'absent_library'", "line 1"]),
        (["-m", "gpt2-smal"], 2, ["did you mean gpt2-small", "FILE.py:OBJECT"]),
        (["--config", "nano_model.py:NanoConfig"], 2, ["only a model of your own"]),
    ],
)  # fmt: skip
def test_what_goes_wrong(cli: Cli, here: Path, arguments: list[str], code: int, parts: list[str]) -> None:
    (here / "broken.py").write_text("x = 1\ndef f(:\n")
    (here / "leaves.py").write_text("raise SystemExit(3)\n")
    (here / "two_configs.py").write_text(f"{NANO}\nLARGE = {{'n_embd': 96}}\n")
    (here / "course.py").write_text(COURSE)
    (here / "lacks.py").write_text("import absent_library\n")
    (here / "package").mkdir()
    (here / "package" / "__init__.py").write_text("from package import inner\n")
    (here / "package" / "inner.py").write_text("class Model: ...\n")
    text = [] if "--ids" in arguments else ["Hello"]
    ran = any("in forward" in part for part in parts)
    # Beside a report on the same screen, the error would be shorter.
    report = ["--output", "trace.txt"] if ran else []
    said(cli("run", *text, *arguments, *report)).is_error(code, *parts)
    assert not ran or "raised in" in Path("trace.txt").read_text(encoding="utf-8")


def test_a_state_dict_for_ones_own_class(cli: Cli, here: Path) -> None:
    model = ["-m", "small_models.py:Keywords", "--set", "vocab_size=90", "--set", "emb_dim=8"]
    torch.manual_seed(9)
    tensors = {
        "tok_emb.weight": torch.randn(90, 8), "pos": torch.randn(32, 8),
        "head.weight": torch.randn(90, 8), "head.bias": torch.randn(90),
    }  # fmt: skip
    torch.save({"model_state_dict": tensors}, here / "whole.pt")
    torch.save({f"_orig_mod.{name}": value for name, value in tensors.items()}, here / "compiled.pt")
    expected = (
        tensors["head.weight"] @ (tensors["tok_emb.weight"][5] + tensors["pos"][0]) + tensors["head.bias"]
    )
    for file in ("whole.pt", "compiled.pt"):
        outcome = trace_of(cli("topk", "--ids", "5", *model, "-w", file, "--json"))
        assert outcome["results"][0]["candidates"][0]["id"] == int(expected.argmax())
        assert outcome["model"]["weights"]["path"] == file
    torch.save(tensors | {"extra": torch.ones(1)}, here / "extra.pt")
    del tensors["head.bias"]
    torch.save(tensors, here / "short.pt")
    torch.save(tensors | {"head.bias": torch.ones(91)}, here / "wide.pt")
    for file, part in [
        ("extra.pt", "unexpected: extra"), ("short.pt", "missing: head.bias"),
        ("wide.pt", "head.bias has the shape [91], expected [90]"),
    ]:  # fmt: skip
        refused = cli("topk", "--ids", "5", *model, "-w", file)
        assert (refused.code, part in refused.err) == (2, True), refused.err


def test_the_seed_decides_and_the_callers_random_numbers_stay(here: Path) -> None:
    model: Any = {"model": "small_models.py:Keywords", "config": {"vocab_size": 50257, "emb_dim": 8}}
    before = torch.get_rng_state()
    first = gptrace.topk("Hello", **model).results
    assert torch.equal(torch.get_rng_state(), before)
    assert_same_but_for_rounding(gptrace.topk("Hello", **model).results, first)
    other_seed = gptrace.topk("Hello", seed=7, **model).results
    assert [*logits_by_id(other_seed[0].candidates)] != [*logits_by_id(first[0].candidates)]


def test_in_python_a_class_a_factory_and_a_module(here: Path) -> None:
    sizes = {"vocab_size": 50257, "context_length": 8, "emb_dim": 12, "n_heads": 3, "n_layers": 1}
    config = {**sizes, "drop_rate": 0.0, "qkv_bias": False}
    by_class = gptrace.trace("Hello", model=CourseModel, config=config)
    assert by_class.dims["n_heads"] == 3
    assert by_class.model.name == "GPTModel"
    ours = gptrace.trace("Hello", model=GPTModel, config=config)
    assert [c.token for c in ours.predictions[0].candidates] == [
        c.token for c in by_class.predictions[0].candidates
    ]
    assert gptrace.trace("Hello", model=lambda: GPTModel(sizes)).dims["emb_dim"] == 12
    module = CourseModel(config)
    module.train()
    by_module = gptrace.trace("Hello", model=module)
    assert module.training
    assert by_module.dims == {"batch": 1, "seq_len": 1}
    assert by_module.calls[0].outputs[0].dims == ("batch", "seq_len", "50257")
    with pytest.raises(ConfigError, match="requires b, and the configuration has no such key"):
        gptrace.trace("Hello", model=lambda emb_dim, b: None)
    with pytest.raises(ModelCodeError, match="ZeroDivisionError"):
        gptrace.trace("Hello", model=lambda: 1 / 0)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    for folder, width in (("a", 4), ("b", 6)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.py").write_text(
            dedent(f"""
            import helper_of_{folder}
            from torch import nn
            class Model(nn.Sequential):
                def __init__(self):
                    super().__init__(nn.Embedding(50257, {width}), nn.Linear({width}, 50257))
            """)
        )
        (tmp_path / folder / f"helper_of_{folder}.py").write_text("")
    widths = [
        gptrace.trace("Hello", model=f"{tmp_path}/{folder}/model.py:Model").calls[1].outputs[0].shape[-1]
        for folder in ("a", "b")
    ]
    assert widths == [4, 6]


def test_a_file_of_any_size_is_refused_before_it_is_read(cli: Cli, here: Path) -> None:
    with (here / "sparse.py").open("wb") as file:
        file.truncate(100 << 30)  # takes no room on the disk
    for reference in ("sparse.py:GPT", "sparse.py"):
        cli("run", "Hello", "-m", reference).is_error(2, "--model 'sparse.py' is larger than 16.0 MiB")


@pytest.mark.parametrize(
    ("refusal", "is_named"),
    [
        ("assert width % heads == 0", True),
        ("assert not (cfg['emb_dim'] % self.heads), 'no'", True),
        ("if width % heads:\n            raise ValueError('no')", True),
        ("assert width % 7 == 0", False),
        ("assert width < heads", False),
    ],
)
def test_a_size_that_the_models_own_code_refuses_is_named_as_the_configuration_names_it(
    refusal: str, is_named: bool, tmp_path: Path, cli: Cli
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n"
        "class Mine(torch.nn.Module):\n"
        "    def __init__(self, cfg):\n"
        "        super().__init__()\n"
        "        width, self.heads = cfg['emb_dim'], cfg['n_heads']\n"
        "        heads = self.heads\n"
        f"        {refusal}\n"
    )
    options = ("-m", f"{file}:Mine", "--set", "n_heads=5", "--set", "emb_dim=48")
    hint = "hint: emb_dim 48 is not divisible by n_heads 5; n_heads could be 2, 3, 4, 6"
    for command in (("run", "Hello"), ("check",)):
        outcome = cli(*command, *options)
        outcome.is_error(1, "while Mine was built")
        assert (hint in outcome.err) is is_named
    chinese = cli("check", "--lang", "zh", *options).err
    assert ("emb_dim 48 不能被 n_heads 5 整除；n_heads 可以是 2, 3, 4, 6" in chinese) is is_named
