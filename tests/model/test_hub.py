"""Pretrained weights over HTTP, for real, from a small hub on 127.0.0.1 that serves a tiny GPT-2."""

from __future__ import annotations

import builtins
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.models.hub import REPOSITORY, REVISION, Hub
from tests.models.hugging_face import gpt2_with_large_weights
from tests.support import Cli, Outcome

pytestmark = pytest.mark.processes


def first_ids(outcome: Outcome) -> list[int]:
    result: Any = json.loads(outcome.out)["results"][0]
    return [candidate["id"] for candidate in result["candidates"]]


def test_pull_once_and_then_work_without_a_network(
    hub: Hub, process: Cli, variables: dict[str, str], tmp_path: Path
) -> None:
    at = partial(process, **variables)
    models = json.loads(at("models", "--json").out)["models"]
    assert models[0]["pretrained"] == {"at_hand": False}
    outcome = at("pull", "124M")
    assert outcome.code == 0, outcome.err
    folder = Path(outcome.out.strip())
    assert folder.is_relative_to(tmp_path)
    assert re.fullmatch(
        rf"note: fetching [\d.]+ MiB of {REPOSITORY} at revision {REVISION[:7]}; .*\n", outcome.err
    )
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    asked = len(hub.requests)
    assert at("pull", "gpt2-small") == Outcome(0, outcome.out, "")
    pretrained = at("topk", "Hello", "--weights", "pretrained", "--json")
    assert pretrained.err == ""
    assert len(hub.requests) == asked  # the network was left alone
    by_path = at("topk", "Hello", "--weights", str(folder), "--json")
    assert first_ids(pretrained) == first_ids(by_path)
    weights = json.loads(pretrained.out)["model"]["weights"]
    assert (weights["source"], weights["repository"], weights["revision"]) == (
        "pretrained",
        REPOSITORY,
        REVISION,
    )
    assert json.loads(at("models", "--json").out)["models"][0]["pretrained"] == {"at_hand": True}
    assert "downloaded" in at("models").out
    assert (
        "pretrained, openai-community/gpt2 at revision 607a30d" in at("topk", "Hello", "-w", "pretrained").out
    )


def test_pretrained_fetches_what_is_not_there_yet(hub: Hub, at: Cli) -> None:
    outcome = at("topk", "Hello", "-w", "pretrained", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.err.startswith("note: fetching ")
    assert len(first_ids(outcome)) == 5
    assert any("model.safetensors" in path for _, path, _ in hub.requests)


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(hub: Hub, at: Cli) -> None:
    hub.cut_once = True
    outcome = at("pull", "gpt2-small")
    assert outcome.code == 0, outcome.err
    assert (Path(outcome.out.strip()) / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert [wanted for _, _, wanted in hub.requests if wanted] == [f"bytes={10 * 2**20}-"]


def test_offline_and_not_at_hand(at: Cli, hub: Hub) -> None:
    outcome = at("topk", "Hello", "-w", "pretrained", HF_HUB_OFFLINE="1")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1] == "hint: HF_HUB_OFFLINE is set; unset it once to fetch the weights"
    assert hub.requests == []


def test_without_huggingface_hub_the_hint_names_the_command(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    cli("pull", "gpt2-xl").is_error(1, "needs huggingface_hub", "pip install huggingface_hub")
    cli("pull", "tiny").is_error(2, "no published weights for tiny", "gpt2-medium")
    unknown = cli("pull", "gpt2-smal")
    unknown.is_error(2, "'gpt2-smal' is not a model name", "did you mean gpt2-small?")
    assert "FILE.py" not in unknown.err  # it cannot be pulled
    cli("run", "a", "-m", "gpt3-175b", "-w", "pretrained").is_error(2, "no published weights for gpt3-175b")


def test_a_model_of_the_hub_by_its_name(hub: Hub, at: Cli) -> None:
    hub.files["flax_model.msgpack"] = b"not wanted"
    name = f"hf:{REPOSITORY}"
    config_alone = at("run", "--ids", "1 2", "-m", name, "-w", "random", "--json")
    assert config_alone.code == 0, config_alone.err
    assert not any("safetensors" in path or "msgpack" in path for _, path, _ in hub.requests)
    outcome = at("topk", "--ids", "1 2", "-m", name, "--json")
    assert outcome.code == 0, outcome.err
    assert re.fullmatch(rf"note: fetching [\d.]+ MiB of {REPOSITORY}; this happens once\n", outcome.err)
    weights = json.loads(outcome.out)["model"]["weights"]
    assert weights == {"source": "hugging_face", "repository": REPOSITORY, "revision": REVISION}
    asked = len(hub.requests)
    again = at("topk", "--ids", "1 2", "-m", f"{name}@{REVISION}", "--json")
    assert (again.err, first_ids(again)) == ("", first_ids(outcome))
    assert len(hub.requests) == asked  # the network was left alone
    assert not any("msgpack" in path for _, path, _ in hub.requests)


@pytest.mark.parametrize("command", [["pull", "gpt2-small"], ["run", "Hi", "-m", f"hf:{REPOSITORY}"]])
@pytest.mark.parametrize(("name", "value"), [("HF_HUB_ETAG_TIMEOUT", "soon"), ("HF_ENDPOINT", "http://[")])
def test_a_variable_that_the_library_cannot_read(
    process: Cli, variables: dict[str, str], command: list[str], name: str, value: str
) -> None:
    outcome = process(*command, **variables | {name: value})
    *_, error, hint = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (1, "")
    assert error.startswith("error: huggingface_hub cannot be imported: ValueError: ")
    assert name in hint


@pytest.mark.parametrize(("library", "code"), [("huggingface_hub", 1), ("transformers", 2)])
def test_a_password_is_not_shown_where_a_library_cannot_be_imported(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, code: int
) -> None:
    def fail(name: str, *arguments: Any) -> Any:
        if name == library:
            raise ValueError("what is https://somebody:se@cret@hub.example/path?")
        return real_import(name, *arguments)

    real_import = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", fail)
    if library == "transformers":
        (tmp_path / "config.json").write_text("{}")
        command = ["topk", "--ids", "1", "-m", f"hf:{tmp_path}"]
    else:
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        command = ["pull", "gpt2-small"]
    cli(*command).is_error(
        code, f"{library} cannot be imported: ValueError: what is https://hub.example/path?"
    )


def test_a_variable_that_hinders_a_model_in_a_folder(process: Cli, tmp_path: Path) -> None:
    gpt2_with_large_weights().save_pretrained(tmp_path)
    outcome = process("topk", "--ids", "1", "-m", f"hf:{tmp_path}", HF_HUB_ETAG_TIMEOUT="soon")
    *_, error, hint = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (2, "")
    assert error.startswith("error: transformers cannot be imported: ValueError: ")
    assert "HF_HUB_ETAG_TIMEOUT" in hint


def test_a_cache_with_an_impossible_name_holds_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "x" * 5000)
    outcome = cli("models", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["models"][0]["pretrained"] == {"at_hand": False}
