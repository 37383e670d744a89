"""`--model hf:`: causal language models of transformers, from folders that transformers itself wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

import gptrace
from gptrace.model.quiet_torch import torch
from tests.models.hugging_face import (
    FAMILIES,
    SIZES,
    gpt2_with_large_weights,
    save_family,
)
from tests.support import Cli, assert_same_but_for_rounding, assert_top_logits, to_json


def top_ids(topk: dict[str, Any]) -> list[int]:
    return [candidate["id"] for candidate in topk["results"][0]["candidates"]]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_predicts_as_transformers_does_and_names_its_axes(
    cli: Cli, tmp_path: Path, name: str
) -> None:
    model = save_family(tmp_path, name)
    capture = cli("run", "--ids", "1 2 3 4 5 6 7", "--ids", "9 8", "-m", f"hf:{tmp_path}", "--json")
    trace = to_json(capture)
    assert capture.err == ""
    with torch.inference_mode():
        for row, ids in enumerate(([1, 2, 3, 4, 5, 6, 7], [9, 8])):
            logits = model(torch.tensor([ids])).logits[0, -1]
            candidates = trace["predictions"][row]["candidates"]
            assert len(candidates) == 5
            assert_top_logits({candidate["id"]: candidate["logit"] for candidate in candidates}, logits)
    _, path, last = FAMILIES[name]
    call = next(call for call in trace["calls"] if call["path"] == path)
    tokens = ["batch", "seq_len"] if len(call["inputs"][0]["dims"]) == 3 else ["batch*seq_len"]
    assert [spec["dims"] for spec in (call["inputs"][0], call["outputs"][0])] == [
        [*tokens, axis] for axis in last
    ]
    assert trace["calls"][0]["outputs"][0]["dims"] == ["batch", "seq_len", "vocab_size"]
    assert trace["calls"][0]["outputs"][0]["name"] == "output.logits"
    values = {name: str(size) for name, size in trace["dims"].items()}
    for call in trace["calls"]:
        for spec in (*call["inputs"], *call["outputs"]):
            for axis, size in zip(spec["dims"], spec["shape"], strict=True):
                product = 1
                for part in axis.split("*"):
                    product *= int(values.get(part, part))
                assert product == size


def test_random_weights_need_config_json_alone(cli: Cli, tmp_path: Path) -> None:
    FAMILIES["llama"][0].save_pretrained(tmp_path)
    where = ["--ids", "1 2 3", "-m", f"hf:{tmp_path}", "-w", "random", "--json"]
    first, again = to_json(cli("topk", *where)), to_json(cli("topk", *where))
    assert_same_but_for_rounding(first["results"], again["results"])
    assert top_ids(first) != top_ids(to_json(cli("topk", *where, "--seed", "7")))
    assert first["model"]["weights"] == {"source": "random", "seed": 123}
    assert (
        to_json(cli("run", *where, "--set", "num_hidden_layers=1"))["model"]["config"]["num_hidden_layers"]
        == 1
    )
    meta = to_json(cli("run", *where[:-1], "--device", "meta", "--json"))
    assert (meta["predictions"], meta["model"]["device"]) == ([], "meta")
    assert meta["calls"][-1]["outputs"][0]["dims"] == ["batch", "seq_len", "vocab_size"]
    cli("topk", *where, "--set", "n_layers=1").is_error(2, "has no setting 'n_layers'")
    no_weights = cli("topk", "--ids", "1", "-m", f"hf:{tmp_path}")
    no_weights.is_error(2, f"the weights in {tmp_path}")


def test_weights_of_another_file_and_of_a_lower_precision(cli: Cli, tmp_path: Path) -> None:
    model = save_family(tmp_path / "a", "qwen2")
    torch.save(model.state_dict(), tmp_path / "model.pt")
    FAMILIES["qwen2"][0].save_pretrained(tmp_path / "b")
    by_file = to_json(
        cli("topk", "--ids", "1 2", "-m", f"hf:{tmp_path}/b", "-w", str(tmp_path / "model.pt"), "--json")
    )
    by_folder = to_json(cli("topk", "--ids", "1 2", "-m", f"hf:{tmp_path}/a", "--json"))
    # Two loads: the tensors begin at other places in memory, where torch may take another kernel.
    assert_same_but_for_rounding(by_file["results"], by_folder["results"])
    model.to(torch.bfloat16).save_pretrained(tmp_path / "c")
    assert (
        to_json(cli("run", "--ids", "1", "-m", f"hf:{tmp_path}/c", "--json"))["model"]["dtype"] == "float32"
    )
    half = ["-m", f"hf:{tmp_path}/c", "--dtype", "bfloat16", "--json"]
    assert to_json(cli("run", "--ids", "1", *half))["model"]["dtype"] == "bfloat16"


def test_what_is_no_model(cli: Cli, tmp_path: Path) -> None:
    cli("run", "a", "-m", "hf:").is_error(2, "names no model")
    cli("run", "a", "-m", f"hf:{tmp_path}").is_error(2, "has no config.json")
    cli("run", "a", "-m", "hf:./absent/deep").is_error(2, "neither a folder nor OWNER/NAME")
    config = tmp_path / "config.json"
    config.write_text("{")
    broken = cli("run", "--ids", "1", "-m", f"hf:{tmp_path}")
    broken.is_error(2, f"the model's {config}: ")
    assert "--config" not in broken.err
    config.write_text('{"model_type": "no-such-model"}')
    cli("run", "--ids", "1", "-m", f"hf:{tmp_path}").is_error(2, "no-such-model")
    config.write_text('{"model_type": "vit"}')
    cli("run", "--ids", "1", "-m", f"hf:{tmp_path}", "-w", "random").is_error(
        2, "is it a causal language model"
    )
    config.write_text('{"model_type": "gpt2", "n_layer": 1000000}')
    cli("run", "--ids", "1", "-m", f"hf:{tmp_path}", "-w", "random").is_error(2, "has n_layer 1000000")
    # Code that comes with a model would run here, if it were ever run.
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config.write_text('{"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", '
                      '"AutoModelForCausalLM": "evil.Model"}}')  # fmt: skip
    cli("run", "--ids", "1", "-m", f"hf:{tmp_path}").is_error(2, "code of its own, which gptrace never runs")
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_missing_are_not_made_up(cli: Cli, tmp_path: Path) -> None:
    model = save_family(tmp_path, "llama")
    tensors = dict(model.state_dict())
    del tensors["model.layers.1.mlp.up_proj.weight"]
    model.save_pretrained(tmp_path, state_dict=tensors)
    cli("topk", "--ids", "1", "-m", f"hf:{tmp_path}").is_error(2, "lack model.layers.1.mlp.up_proj.weight")


def test_watch_names_the_axes_of_a_model_of_transformers(tmp_path: Path) -> None:
    model = save_family(tmp_path, "gpt2")
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad(), gptrace.watch(model) as trace:
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    assert trace.dims == {"batch": 1, "seq_len": 3, "n_embd": 48, "vocab_size": 500}
    assert trace.calls[0].inputs[1].name == "attention_mask"
    assert trace.calls[0].inputs[1].dims == ("batch", "seq_len")
    assert trace.calls[-1].outputs[0].dims == ("batch", "seq_len", "vocab_size")


@pytest.mark.parametrize("library", ["transformers"])
def test_without_the_library_the_hint_names_the_command(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    FAMILIES["llama"][0].save_pretrained(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, library, None)
    cli("run", "--ids", "1", "-m", f"hf:{tmp_path}").is_error(
        2, "needs transformers", "pip install transformers"
    )


def test_a_class_that_config_json_does_not_name_is_said(cli: Cli, tmp_path: Path) -> None:
    config = transformers.BertConfig(**SIZES, num_attention_heads=4)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "masked")
    for weights in ([], ["-w", "random"]):
        outcome = cli("topk", "--ids", "1 2", "-m", f"hf:{tmp_path / 'masked'}", *weights)
        assert outcome.code == 0
        assert "config.json names the class BertForMaskedLM, but the causal language model" in outcome.out
    config.is_decoder = True
    transformers.BertLMHeadModel(config).save_pretrained(tmp_path / "causal")
    assert "config.json" not in cli("topk", "--ids", "1 2", "-m", f"hf:{tmp_path / 'causal'}").out


def test_a_context_of_minus_one_is_no_limit() -> None:
    config = transformers.XLNetConfig(vocab_size=500, d_model=32, n_layer=1, n_head=4, d_inner=64)
    assert config.max_position_embeddings == -1
    model = transformers.XLNetLMHeadModel(config).eval()
    assert len(gptrace.topk(ids=[1, 2, 3], model=model).results[0].candidates) == 5


def test_a_table_that_returns_more_rows_than_ids_is_explained() -> None:
    """CPM-Ant puts its prompt before the ids."""
    config = transformers.CpmAntConfig(
        vocab_size=500, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, dim_head=8, dim_ff=64,
        prompt_length=4,
    )  # fmt: skip
    torch.manual_seed(5)
    explanation = gptrace.explain(ids=[5, 6, 7], model=transformers.CpmAntForCausalLM(config).eval())
    assert explanation.topics[0].claims[1].holds is None


@pytest.mark.parametrize(
    "index", ['{"weight_map": {"a": "../../secret.safetensors"}}', '{"weight_map": [1]}', "[]", "[" * 5000]
)
def test_an_index_that_leads_out_of_the_folder_is_refused(cli: Cli, tmp_path: Path, index: str) -> None:
    gpt2_with_large_weights().config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(index)
    outcome = cli("run", "--ids", "1", "-m", f"hf:{tmp_path}")
    outcome.is_error(2)
    assert "is not beside it" in outcome.err or "has no weight_map" in outcome.err


def test_a_configuration_cannot_name_code_to_fetch(cli: Cli, tmp_path: Path) -> None:
    gpt2_with_large_weights().config.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    for key in ("attn_implementation", "_attn_implementation"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {key: "owner/kernel"}))
        outcome = cli("topk", "--ids", "1", "-m", f"hf:{tmp_path}", "--weights", "random", "--json")
        assert outcome.code == 0, outcome.err
