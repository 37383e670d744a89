"""Weights as int8: what is written is what is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from gptrace.errors import WeightsError
from gptrace.model.build import load
from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.model.weights.load import load_state
from gptrace.model.weights.quantized import restored
from training import export
from training.quantization import quantized
from training.small_model import new_model

TINY = GPTConfig(vocab_size=50, context_length=8, emb_dim=16, n_heads=2, n_layers=1, tie_head=True)


def test_each_number_is_within_half_a_step_of_its_row() -> None:
    matrix = (
        torch.randn(6, 40, generator=torch.Generator().manual_seed(1)) * torch.logspace(-6, 2, 6)[:, None]
    )
    back = restored(quantized({"a": matrix}))["a"]
    # Half a step is 1/254 of the largest number; the rest is float32 rounding.
    assert ((back - matrix).abs() <= matrix.abs().amax(dim=1, keepdim=True) / 254 * 1.0001).all()


def test_an_exported_file_loads_as_the_model_that_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = new_model(TINY, seed=1)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name != "out_head.weight"}
    save_file(tensors, tmp_path / "weights.safetensors")
    small = tmp_path / "small.safetensors"
    export.main(["--weights", str(tmp_path / "weights.safetensors"), "--output", str(small)])
    assert capsys.readouterr().out.startswith(f"{small.stat().st_size:,} bytes, sha256 ")
    module = load(select_model(weights=small, settings=["n_heads=2"])).module
    assert isinstance(module, GPTModel)
    assert module.config.tie_head
    ids = torch.arange(8)[None]
    with torch.no_grad():
        torch.testing.assert_close(module(ids), model.eval()(ids), atol=2e-3, rtol=0)  # logits are about 0.1


def test_a_model_of_ones_own_gets_its_int8_weights_as_they_are(tmp_path: Path) -> None:
    class Int8Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.zeros(3, 2, dtype=torch.int8))
            self.register_buffer("weight_scale", torch.zeros(3))

    saved = {"weight": torch.full((3, 2), 7, dtype=torch.int8), "weight_scale": torch.full((3,), 0.5)}
    save_file(saved, tmp_path / "own.safetensors")
    module = Int8Linear()
    load_state(module, tmp_path / "own.safetensors")
    assert torch.equal(module.state_dict()["weight"], saved["weight"])
    assert torch.equal(module.state_dict()["weight_scale"], saved["weight_scale"])


def test_scales_that_do_not_fit_are_refused() -> None:
    tensors = {"a": torch.ones(3, 2, dtype=torch.int8), "a_scale": torch.ones(2)}
    with pytest.raises(WeightsError, match=r"a_scale has the shape \[2\], expected \[3\]"):
        restored(tensors)


def test_a_parameter_that_is_called_scale_is_no_scale_of_another() -> None:
    tensors = {"norm": torch.ones(3), "norm_scale": torch.ones(3)}
    assert restored(tensors) == tensors
