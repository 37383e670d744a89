"""Checkpoints that cannot be trusted, read or used: one error each, and no code of theirs runs."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

import gptrace
from gptrace.errors import WeightsError
from gptrace.model.build import load
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.model.weights.files import read_weights
from gptrace.model.weights.load import load_state
from tests.models.checkpoints import Tensors, course_file, to_linear
from tests.models.hugging_face import gpt2_with_large_weights
from tests.support import Cli


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, ("touch /tmp/gptrace-was-here",)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


HEADER = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("empty.pt", b"", "the file is empty"),
        ("noise.pt", b"not a model at all", "neither a safetensors file nor a PyTorch file"),
        ("cut.safetensors", struct.pack("<Q", len(HEADER)) + HEADER + b"1234", "Error while deserializing"),
        ("lying.safetensors", struct.pack("<Q", 1 << 60) + b"{}", "header claims 1152921504606846976 bytes"),
        ("short.safetensors", b"abc", "header claims 0 bytes of a file of 3"),
        ("evil.pt", pickle.dumps({"model": Evil()}, protocol=2), "wants to run"),
        ("evil4.pt", pickle.dumps({"model": Evil()}), "neither a safetensors file nor a PyTorch file"),
        ("list.pt", None, "it holds no state dict, only a value of type list"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_one_error(
    tmp_path: Path, cli: Cli, name: str, content: bytes | None, part: str
) -> None:
    path = tmp_path / name
    if content is None:
        torch.save([1, 2], path)
    else:
        write(path, content)
    cli("topk", "Hello", "-w", str(path)).is_error(2, part, name)
    assert not Path("/tmp/gptrace-was-here").exists()


def test_an_evil_zip_is_named_and_not_run(tmp_path: Path, cli: Cli) -> None:
    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    cli("topk", "Hello", "-w", str(tmp_path / "evil.pt")).is_error(2, "system", "safetensors")
    assert not Path("/tmp/gptrace-was-here").exists()


def test_truncated_files_of_every_length_are_one_error(tmp_path: Path) -> None:
    gpt2_with_large_weights(n_layer=1, vocab_size=50, n_positions=4).save_pretrained(tmp_path / "whole")
    whole = (tmp_path / "whole" / "model.safetensors").read_bytes()
    zipped = course_file(tmp_path / "whole.pt", emb_dim=8, n_heads=2, vocab_size=9).read_bytes()
    for raw, suffix in ((whole, "safetensors"), (zipped, "pt")):
        for part in range(12):
            path = tmp_path / f"cut.{suffix}"
            path.write_bytes(raw[: len(raw) * part // 12])
            with pytest.raises(WeightsError):
                load(select_model(weights=path, settings=["n_heads=2"]))


def test_folders_that_hold_no_weights(tmp_path: Path, cli: Cli) -> None:
    cli("topk", "a", "-w", str(tmp_path)).is_error(2, "holds none of model.safetensors")
    cli("topk", "a", "-w", str(tmp_path / "none")).is_error(2, "no such file or folder")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    cli("topk", "a", "-w", str(loop)).is_error(2, "loop")
    (tmp_path / "model.safetensors").mkdir()
    cli("topk", "a", "-w", str(tmp_path)).is_error(2, ", not a file")
    index = tmp_path / "model.safetensors.index.json"
    (tmp_path / "model.safetensors").rmdir()
    for content, part in (("[]", "no keys"), ("{}", "no weight_map"), ("{", "not JSON"),
                          ('{"weight_map": {"a": "../../etc/passwd"}}', "not beside it")):  # fmt: skip
        index.write_text(content)
        cli("topk", "a", "-w", str(tmp_path)).is_error(2, part)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_each_tensor_comes_from_the_shard_that_the_index_names(tmp_path: Path, suffix: str) -> None:
    shards = {
        f"a.{suffix}": {"x": torch.ones(2), "y": torch.zeros(2), "unlisted": torch.ones(1)},
        f"b.{suffix}": {"x": torch.zeros(2), "y": torch.ones(2)},
    }
    save = save_file if suffix == "safetensors" else torch.save
    for file, tensors in shards.items():
        save(tensors, tmp_path / file)
    index = tmp_path / f"model.{suffix}.index.json"

    def read(**weight_map: str) -> Tensors:
        named = {name: f"{shard}.{suffix}" for name, shard in weight_map.items()}
        index.write_text(json.dumps({"weight_map": named}))
        return read_weights(index).tensors

    right = read(x="a", y="b")
    assert right.keys() == {"x", "y", "unlisted"}
    assert all(tensor.all() for tensor in right.values())
    assert not any(tensor.any() for tensor in read(x="b", y="a", unlisted="a").values() if len(tensor) == 2)
    with pytest.raises(WeightsError, match=rf"it lists unlisted in b\.{suffix}, which does not hold it"):
        read(x="a", unlisted="b")


@pytest.mark.parametrize(
    ("beside", "key"),
    [
        ({"model": {"name": "gpt", "n_layers": 1}}, "state_dict"), ({"model": {}}, "model_state_dict"),
        ({"model": {"scale": torch.ones(1)}}, "state_dict"), ({"model": "gpt"}, "state_dict"),
        ({"state_dict": {"step": torch.ones(1)}}, "model"),
    ],
)  # fmt: skip
def test_the_state_dict_in_a_checkpoint_is_the_part_with_the_tensors(
    tmp_path: Path, beside: dict[str, Any], key: str
) -> None:
    torch.save({**beside, key: {"x": torch.ones(2), "y": torch.ones(2)}}, tmp_path / "model.pt")
    assert read_weights(tmp_path / "model.pt").tensors.keys() == {"x", "y"}


def test_names_and_shapes_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    path = course_file(tmp_path / "model.pt")
    whole = torch.load(path)

    def refusal(state: Tensors) -> str:
        torch.save(state, path)
        with pytest.raises(WeightsError) as caught:
            load(select_model(weights=path, settings=["n_heads=3"]))
        return str(caught.value)

    cut = {name: value for name, value in whole.items() if "norm2" not in name}
    assert "missing: trf_blocks.0.norm2.scale, trf_blocks.0.norm2.shift" in refusal(cut)
    assert "unexpected: trf_blocks.0.extra" in refusal(whole | {"trf_blocks.0.extra": torch.ones(1)})
    wrong = refusal(whole | {"trf_blocks.0.att.W_key.weight": torch.ones(48, 47)})
    assert "trf_blocks.0.att.W_key.weight has the shape [48, 47], expected [48, 48]" in wrong
    assert "is int64, and float32 in the model" in refusal(
        whole | {"final_norm.scale": torch.ones(48, dtype=torch.int64)}
    )
    assert "the layout of the weights is unknown: a, b" in refusal({"a": torch.ones(1), "b": torch.ones(1)})
    assert "lack pos_emb.weight" in refusal({k: v for k, v in whole.items() if k != "pos_emb.weight"})


def spoiled(path: Path, **changes: Any) -> Path:
    """A course file with some tensors replaced."""
    state = torch.load(course_file(path)) | changes
    torch.save(state, path)
    return path


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_tensors_that_are_no_plain_matrices(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "model.pt"

    def refused(part: str, **changes: Any) -> None:
        spoiled(path, **changes)
        cli("topk", "--ids", "1", "-w", str(path), "--set", "n_heads=3").is_error(2, part)

    key = "trf_blocks.0.att.W_key.weight"
    refused("is a sparse_coo tensor", **{key: torch.eye(48).to_sparse()})
    refused("is a meta tensor", **{key: torch.empty(48, 48, device="meta")})
    refused("is complex64, and float32 in the model", **{key: torch.ones(48, 48, dtype=torch.complex64)})
    refused("is a nested tensor", **{key: torch.nested.nested_tensor([torch.ones(2, 8), torch.ones(3, 8)])})
    four_bits = torch.zeros(48, 48, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    refused("is a float4_e2m1fn_x2 tensor", **{key: four_bits})
    refused("tok_emb.weight occurs twice", **{"module.tok_emb.weight": torch.zeros(100, 48)})
    refused("unexpected: trf_blocks.999", **{"trf_blocks." + "9" * 5000 + ".x": torch.zeros(1)})
    state = gpt2_with_large_weights(n_layer=1).state_dict()
    for wrong in (torch.tensor(1.0), torch.ones(2, 3, 4)):
        torch.save(state | {"transformer.h.0.attn.c_attn.bias": wrong}, path)
        cli("topk", "Hello", "-w", str(path)).is_error(2, "c_attn.bias has the shape", "a bias is a vector")
    torch.save(state | {"transformer.wte.weight": torch.tensor(1.0)}, path)
    cli("topk", "Hello", "-w", str(path)).is_error(2, "wte.weight has the shape []", "no matrix")


@pytest.mark.parametrize("value", [torch.rand(2), torch.rand(97), {"a": 1}])
def test_settings_in_a_checkpoint_that_are_no_plain_values(tmp_path: Path, cli: Cli, value: Any) -> None:
    state = gpt2_with_large_weights(n_layer=1).state_dict()
    torch.save({"model": state, "model_args": {"n_layer": value}}, tmp_path / "model.pt")
    cli("topk", "Hello", "-w", str(tmp_path / "model.pt")).is_error(2, "the settings say n_layer")


def test_a_setting_whose_text_is_longer_than_memory_is_one_short_error(tmp_path: Path, cli: Cli) -> None:
    nested: list[Any] = []
    for _ in range(40):
        nested = [nested, nested]
    state = gpt2_with_large_weights(n_layer=1).state_dict()
    for key in ("n_head", "n_layer", "activation_function", "scale_attn_weights"):
        torch.save({"model": state, "model_args": {key: nested}}, tmp_path / "model.pt")
        cli("topk", "Hello", "-w", str(tmp_path / "model.pt")).is_error(2, key, "[[[...]")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_layer", 5), ("n_layer", 1), ("n_embd", 3), ("n_positions", 1024), ("vocab_size", 3),
        ("model_type", "llama"), ("activation_function", ["gelu"]), ("activation_function", {}),
        ("n_head", "4"), ("n_head", 0), ("layer_norm_epsilon", "x"),
    ],
)  # fmt: skip
def test_settings_that_contradict_the_tensors(tmp_path: Path, cli: Cli, key: str, value: Any) -> None:
    gpt2_with_large_weights().save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {key: value}))
    outcome = cli("topk", "Hello", "-w", str(tmp_path))
    outcome.is_error(2)
    assert "bug" not in outcome.err


def test_missing_last_blocks_are_noticed(tmp_path: Path) -> None:
    state = to_linear(dict(gpt2_with_large_weights(activation_function="gelu").state_dict()))
    cut = {name: value for name, value in state.items() if ".h.2." not in name}
    arguments = {"n_layer": 3, "n_head": 4, "n_embd": 64, "block_size": 32, "bias": True, "vocab_size": 50257}
    torch.save({"model": cut, "model_args": arguments}, tmp_path / "ckpt.pt")
    with pytest.raises(WeightsError, match="n_layer: 3, the tensors 2"):
        load(select_model(weights=tmp_path / "ckpt.pt"))


def test_pipes_and_paths_that_cannot_be(tmp_path: Path, cli: Cli) -> None:
    import os

    os.mkfifo(tmp_path / "model.safetensors")
    cli("topk", "a", "-w", str(tmp_path)).is_error(2, ", not a file")
    cli("topk", "a", "-w", "x" * 300).is_error(2, "File name too long")
    cli("topk", "a", "-w", "").is_error(2, "weights are ''")


def test_what_our_model_does_not_do_is_refused(tmp_path: Path) -> None:
    gpt2_with_large_weights(scale_attn_by_inverse_layer_idx=True).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="scale_attn_by_inverse_layer_idx"):
        gptrace.topk("Hello", weights=tmp_path)
    gpt2_with_large_weights(activation_function="silu").save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="'silu'"):
        gptrace.topk("Hello", weights=tmp_path)


def test_a_state_dict_of_integers_alone_is_loaded(tmp_path: Path) -> None:
    module = torch.nn.Module()
    module.register_buffer("table", torch.zeros(3, dtype=torch.int64))
    torch.save({"table": torch.tensor([1, 2, 3])}, tmp_path / "table.pt")
    assert load_state(module, tmp_path / "table.pt")["dtype"] == "int64"
    assert module.get_buffer("table").tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", ["I4", "U4", "F6_E2M3"])
def test_a_type_that_cannot_be_read_is_not_called_damage(tmp_path: Path, kind: str) -> None:
    header = json.dumps({"w": {"dtype": kind, "shape": [8, 8], "data_offsets": [0, 32]}}).encode()
    file = tmp_path / "packed.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(32))
    with pytest.raises(WeightsError, match=f"w is stored as '{kind}'") as caught:
        read_weights(file)
    assert "float32" in caught.value.hint
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(WeightsError) as caught:
        read_weights(file)
    assert "truncated" in caught.value.hint
