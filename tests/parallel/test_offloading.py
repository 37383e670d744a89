"""Models whose weights accelerate keeps in memory or on disk are traced as the models that they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import gptrace
from gptrace.errors import MemoryNeededError
from gptrace.model.quiet_torch import torch
from gptrace.record import DeviceShare, ModelInfo, Trace
from tests.models.toys import Small
from tests.support import Cli, assert_same_but_for_rounding

accelerate: Any = pytest.importorskip("accelerate", reason="accelerate is not installed")
Module = torch.nn.Module
IDS = torch.arange(8)[None]
CPU = torch.device("cpu")


def gpt(**changes: Any) -> Module:
    torch.manual_seed(0)
    sizes = {"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 1001, "context_length": 16}
    return gptrace.GPTModel(sizes | changes).eval()


def llama() -> Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=101, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    model: Module = transformers.LlamaForCausalLM(config).eval()
    return model


def in_memory(model: Module, _: Path) -> Module:
    offloaded: Module = accelerate.cpu_offload(model, execution_device=CPU)
    return offloaded


def on_disk(model: Module, folder: Path) -> Module:
    offloaded: Module = accelerate.disk_offload(model, folder, execution_device=CPU)
    return offloaded


def blocks_on_disk(model: Module, folder: Path) -> Module:
    """Keep the list of blocks on disk, and all else in memory, as `device_map` says it."""
    places: dict[str, str] = {}
    for path, part in model.named_children():
        for inner, _ in part.named_children() if path == "model" else [("", part)]:
            name = ".".join(filter(None, (path, inner)))
            places[name] = "disk" if inner == "layers" or name == "trf_blocks" else "cpu"
    spread: Module = accelerate.dispatch_model(model, places, offload_dir=folder)
    return spread


def logits_of(model: Module) -> torch.Tensor:
    with torch.no_grad():
        output = model(IDS)
    logits: torch.Tensor = getattr(output, "logits", output)
    return logits


def traced(model: Module) -> Trace:
    with gptrace.watch(model, measure="all") as trace, torch.no_grad():
        model(IDS)
    return trace


def facts(trace: Trace) -> Any:
    """All that a trace says, but the seconds, and where the parameters are."""
    without = replace(trace, model=replace(trace.model, parameters_by_device=None))
    return _without_seconds(json.loads(without.to_json()))


def _without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seconds(item) for key, item in value.items() if key != "seconds"}
    return [_without_seconds(item) for item in value] if isinstance(value, list) else value


def state_of(model: Module) -> list[Any]:
    """The attributes of each module and of its hook; of a parameter, what the hook leaves of it."""

    def known(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: known(item) for name, item in value.items()}
        if isinstance(value, torch.Tensor):
            return type(value), value.shape, value.device, value.requires_grad, value.is_inference()
        return value

    return [
        (known(vars(part)), sorted(vars(vars(part)["_hf_hook"])) if "_hf_hook" in vars(part) else None)
        for part in model.modules()
    ]


@pytest.mark.parametrize("spread", [in_memory, on_disk, blocks_on_disk])
@pytest.mark.parametrize("make", [gpt, llama])
def test_a_trace_says_what_it_says_of_the_model_itself(
    make: Callable[[], Module], spread: Callable[[Module, Path], Module], tmp_path: Path
) -> None:
    """Names, shapes, costs, peak memory, operations and where tensors come from: no hook is seen."""
    plain = make()
    expected, logits = traced(plain), logits_of(plain)
    model = spread(plain, tmp_path)
    assert torch.equal(logits_of(model), logits)
    trace = traced(model)
    assert facts(trace) == facts(expected)
    assert torch.equal(logits_of(model), logits)
    assert not any("pre_forward" in vars(vars(part)["_hf_hook"]) for part in _hooked(model))


def _hooked(model: Module) -> list[Module]:
    return [part for part in model.modules() if "_hf_hook" in vars(part)]


def test_parameters_are_counted_where_they_are(tmp_path: Path) -> None:
    model = gpt()
    blocks = sum(each.numel() for each in model.get_submodule("trf_blocks").parameters())
    others = sum(parameter.numel() for parameter in model.parameters()) - blocks
    info = traced(blocks_on_disk(model, tmp_path)).model
    assert info.device == "cpu"
    assert info.parameters_by_device == {
        "cpu": DeviceShare(others, 4 * others), "disk": DeviceShare(blocks, 4 * blocks)
    }  # fmt: skip
    assert traced(in_memory(gpt(), tmp_path)).model.parameters_by_device is None  # all on the CPU
    tied = traced(blocks_on_disk(gpt(tie_head=True), tmp_path / "tied")).model
    assert tied.parameters.tied == (("tok_emb.weight", "out_head.weight"),)
    assert tied.parameters_by_device is not None
    assert sum(share.parameters for share in tied.parameters_by_device.values()) == tied.parameters.unique


def test_a_report_says_where_the_parameters_are(tmp_path: Path) -> None:
    ids = [[1, 2, 3]]
    text = str(gptrace.Session(model=blocks_on_disk(gpt(), tmp_path / "some")).topk(ids=ids))
    assert "598.5 KiB in float32: 378.8 KiB on cpu, 219.8 KiB on disk" in text
    text = str(gptrace.Session(model=on_disk(gpt(), tmp_path / "all")).topk(ids=ids))
    assert "598.5 KiB in float32 on disk, runs on cpu" in text


def _answers(model: Module) -> dict[str, Any]:
    session = gptrace.Session(model=model)
    ids = [1, 2, 3, 4]
    answers: dict[str, Any] = {
        "trace": session.trace(ids=[ids]).predictions, "topk": session.topk(ids=[ids]),
        "loss": session.loss(ids=[ids]), "generate": session.generate(ids=ids, max_new_tokens=3),
        "lens": session.lens(ids=[ids]), "explain": session.explain(ids=ids),
    }  # fmt: skip
    return answers


@pytest.mark.slow
@pytest.mark.parametrize("make", [gpt, llama])
def test_everything_that_is_asked_has_the_answers_of_the_model_itself(
    make: Callable[[], Module], tmp_path: Path
) -> None:
    expected = _answers(make())
    model = blocks_on_disk(make(), tmp_path)
    logits_of(model)  # the hooks get attributes of their own at the first call
    before = state_of(model)
    answers = _answers(model)
    for name, answer in answers.items():
        # A GPTModel predicts with PyTorch's fused attention where it is not spread.
        assert_same_but_for_rounding(_plain(answer), _plain(expected[name]))
    assert state_of(model) == before


@pytest.mark.slow
def test_a_copy_has_the_numbers_and_is_judged_as_any_model_is(tmp_path: Path) -> None:
    findings, of_plain = (
        {check.name: check.holds for check in gptrace.check(model=model, ids=[1, 2, 3, 4]).checks}
        for model in (blocks_on_disk(gpt(), tmp_path), gpt())
    )
    assert findings == of_plain
    assert True in findings.values()


def _plain(answer: Any) -> Any:
    """A record without what says where its parameters are, and how long it took."""
    if isinstance(getattr(answer, "model", None), ModelInfo):
        answer = replace(answer, model=replace(answer.model, parameters_by_device=None))
    return _without_seconds(json.loads(answer.to_json())) if hasattr(answer, "to_json") else answer


def test_a_copy_runs_without_the_hooks(tmp_path: Path) -> None:
    model = on_disk(Small(), tmp_path)
    trace = gptrace.Session(model=model).trace(ids=[[1, 2, 3]])
    assert trace.calls[0].outputs[0].dims == ("batch", "seq_len", "30")
    assert trace.predictions
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_a_failing_model_gives_its_weights_back(tmp_path: Path) -> None:
    model = in_memory(Small(), tmp_path)
    with pytest.raises(gptrace.GptraceError):
        gptrace.Session(model=model).trace(ids=[[1, 2, 30]])
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert gptrace.Session(model=model).trace(ids=[[1, 2, 3]]).predictions


class Moving(accelerate.hooks.ModelHook):  # type: ignore[misc]
    """Copies what goes in and out, as a hook does that moves tensors from one device to another."""

    def pre_forward(self, module: Module, *args: Any, **kwargs: Any) -> Any:
        return tuple(value.clone() for value in args), kwargs

    def post_forward(self, module: Module, output: Any) -> Any:
        return output.clone()


def test_a_tensor_that_is_moved_comes_from_where_it_came_from() -> None:
    plain = Small()
    expected = traced(plain)
    accelerate.hooks.add_hook_to_module(plain.head, Moving())
    trace = traced(plain)
    assert [call.ops for call in trace.calls] == [call.ops for call in expected.calls]
    assert trace.calls[2].inputs[0].origin == expected.calls[2].inputs[0].origin
    # What was moved is there twice.
    assert (trace.totals.peak_bytes or 0) > (expected.totals.peak_bytes or 0)


_FILE = """
import tempfile, torch, accelerate
from gptrace import GPTModel
def build():
    model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 1001, "context_length": 16})
    return accelerate.disk_offload(model, tempfile.mkdtemp(), execution_device=torch.device("cpu"))
"""


def test_a_file_may_build_such_a_model(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "spread.py").write_text(_FILE)
    model = f"{tmp_path / 'spread.py'}:build"
    record = json.loads(cli("run", "--ids", "1 2 3", "-m", model, "--json").out)
    assert list(record["model"]["parameters_by_device"]) == ["disk"]
    assert record["model"]["weights"]["source"] == "own code"
    assert record["predictions"]
    outcome = cli("topk", "--ids", "1 2 3", "-m", model, "--dtype", "float16")
    outcome.is_error(2, "build is placed by accelerate's hooks, so its dtype cannot be changed")
    outcome = cli("topk", "--ids", "1 2 3", "-m", model, "--device", "cuda")
    outcome.is_error(2, "this machine has no device 'cuda'")


def test_a_copy_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = on_disk(gpt(), tmp_path)
    monkeypatch.setattr("gptrace.model.free_memory.available_bytes", lambda: 1000)
    with pytest.raises(MemoryNeededError, match="a copy of the model needs"):
        gptrace.check(model=model, ids=[1, 2, 3])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a Llama of 87,936 bytes, of which 61,952 are in its blocks."""
    llama().save_pretrained(tmp_path)  # type: ignore[operator]
    return tmp_path


def test_a_saved_model_that_does_not_fit_is_spread_by_auto(
    saved: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["topk", "--ids", "1 2 3", "-m", f"hf:{saved}", "--json"]
    expected = json.loads(cli(*options, "--device", "auto").out)
    assert "parameters_by_device" not in expected["model"]
    monkeypatch.setattr("gptrace.model.free_memory.available_bytes", lambda: 75_000)
    monkeypatch.setattr("gptrace.model.devices.available_bytes", lambda: 75_000)
    cli(*options).is_error(1, "needs 85.9 KiB, but 73.2 KiB is free", "--device auto spreads it")
    found = json.loads(cli(*options, "--device", "auto").out)
    places = found["model"].pop("parameters_by_device")
    assert sorted(places) == ["cpu", "disk"]
    assert sum(share["bytes"] for share in places.values()) == 87_936
    assert found == expected
    monkeypatch.setattr("gptrace.model.hugging_face_placement.find_spec", lambda _: None)
    cli(*options, "--device", "auto").is_error(1, "pip install accelerate")
