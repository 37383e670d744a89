"""A GPT-2 of transformers in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers

from gptrace.model.quiet_torch import torch


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A small GPT-2 with weights that are no noise around zero, written as transformers writes it."""
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(5)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_embd=48, n_head=4, n_layer=3, n_positions=32, vocab_size=50257)
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.15 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("gpt2")
    model.save_pretrained(folder)
    return folder, model
