"""A sample of the zoo: one architecture of each kind, the fastest. `make zoo` asks about all of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from tests.zoo.checks import examine
from tests.zoo.known import DENIED, REFUSED, UNAVAILABLE
from tests.zoo.small_models import architectures, small_model
from tests.zoo.verdicts import mistakes

SAMPLE = [
    "bart", "bloom", "cohere", "deepseek_v3", "gemma2", "gemma3", "gemma3n_text", "gpt_neo", "hrm_text",
    "jamba", "mixtral", "moshi", "opt", "prophetnet", "roberta", "rwkv", "xlm", "xlnet",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
def test_gptrace_says_what_transformers_says(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transformers
        findings = examine(name, tmp_path)
    assert mistakes(findings) == []


def test_every_architecture_is_asked_or_has_a_reason() -> None:
    names = architectures()
    assert len(names) == len(set(names))
    assert set(names) >= {*SAMPLE, *UNAVAILABLE, *REFUSED, *DENIED}
    assert len(SAMPLE) == 18


@pytest.mark.parametrize("name", ["gemma3n", "musicgen"])
def test_what_is_not_run_cannot_be_built(name: str) -> None:
    with pytest.raises(Exception, match=UNAVAILABLE[name]):
        small_model(name)
