"""Fixtures: a small hub that serves a tiny GPT-2, and the command line with its address."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from gptrace.model.weights.hub_guard import run_guarded
from tests.models.hub import Hub
from tests.models.hugging_face import gpt2_with_large_weights
from tests.support import Cli, Outcome


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("tiny-gpt2")
    gpt2_with_large_weights().save_pretrained(folder)
    return {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path) -> Iterator[Hub]:
    server = Hub(dict(files))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.is_over.set()
    run_guarded(lambda _: None, tmp_path, print)  # when a download that was given up has stopped
    server.shutdown()
    server.server_close()


@pytest.fixture
def variables(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """The variables that name this hub and an empty cache."""
    return {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url}


@pytest.fixture
def at(variables: dict[str, str], cli: Cli) -> Cli:
    """Run gptrace with these variables, which huggingface_hub reads again, and others."""

    def run(*arguments: str, **others: str) -> Outcome:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (variables | others).items():
                patch.setenv(name, value)
            importlib.reload(constants)
            outcome = cli(*arguments)
        importlib.reload(constants)
        return outcome

    return run
