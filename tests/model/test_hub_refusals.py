"""What a hub may answer that is refused, given up or explained, from a small hub on 127.0.0.1."""

from __future__ import annotations

import gzip
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.models.hub import REPOSITORY, REVISION, Hub
from tests.support import HANG_TIMEOUT, Cli, environment
from tests.warm import warm_python

pytestmark = pytest.mark.processes
PULL, RUN = ["pull", "gpt2-small"], ["run", "Hi", "-m", f"hf:{REPOSITORY}"]
SOON = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def test_a_file_of_the_wrong_size_is_refused(hub: Hub, at: Cli) -> None:
    hub.claims_more = 1000
    outcome = at("pull", "gpt2-small")
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.splitlines()[-2].startswith(f"error: {REPOSITORY} could not be fetched: ")
    hub.claims_more = 0
    assert at("topk", "Hello", "-w", "pretrained", "--json").code == 0


@pytest.mark.parametrize("name", ["gpt2-medium", "gpt2-small"])
def test_what_the_hub_does_not_have(hub: Hub, at: Cli, name: str) -> None:
    del hub.files["model.safetensors"]
    outcome = at("pull", name)
    assert (outcome.code, outcome.out) == (1, "")
    assert "NotFound" in outcome.err.splitlines()[-2]
    assert (
        outcome.err.splitlines()[-1]
        == "hint: is the name right? And is HF_ENDPOINT a mirror that lacks this repository?"
    )


def test_what_the_hub_has_no_model_of(hub: Hub, at: Cli) -> None:
    outcome = at("topk", "--ids", "1", "-m", "hf:nobody/nothing")
    assert (outcome.code, outcome.out) == (1, "")
    assert "error: nobody/nothing could not be fetched: RepositoryNotFound" in outcome.err
    del hub.files["model.safetensors"]
    outcome = at("topk", "--ids", "1", "-m", f"hf:{REPOSITORY}")
    assert (outcome.code, outcome.out) == (1, "")
    assert f"error: {REPOSITORY} holds no weights" in outcome.err
    assert "HF_HUB_OFFLINE is set" in at("topk", "--ids", "1", "-m", "hf:a/b", HF_HUB_OFFLINE="1").err


@pytest.mark.parametrize("command", [PULL, RUN])
def test_an_etag_that_leads_out_of_the_cache_is_refused(
    hub: Hub, at: Cli, tmp_path: Path, command: list[str]
) -> None:
    hub.etag = "../../../../../escaped"
    outcome = at(*command)
    assert outcome.code == 1
    assert "which is not a plain hash" in outcome.err
    assert not list(tmp_path.rglob("escaped*"))
    assert not [path for path in tmp_path.rglob("*.incomplete") if "home" not in path.parts]


@pytest.mark.parametrize("revision", ["../../../../../escaped", "", "\x1b[31mred"])
@pytest.mark.parametrize("command", [PULL, RUN])
def test_a_commit_that_leads_out_of_the_cache_is_refused(
    hub: Hub, at: Cli, tmp_path: Path, command: list[str], revision: str
) -> None:
    hub.revision = revision
    del hub.files["config.json"]  # the library notes under its commit that a file is not there
    at(*command).is_error(1, "the server names a commit by ", "which is not a plain hash")
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize(
    "revision",
    ["../../../../escaped", "/escaped", "main/../../../../escaped", "..", "a b", "\x1b[31m", "a//b"],
)
def test_a_revision_that_git_does_not_allow_is_refused(
    hub: Hub, at: Cli, tmp_path: Path, revision: str
) -> None:
    outcome = at("topk", "--ids", "1", "-m", f"hf:{REPOSITORY}@{revision}")
    outcome.is_error(2, " is not a valid revision", "such as hf:Qwen/Qwen3-0.6B@main")
    assert hub.requests == []
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("name", ["a/..", "-/-", "a--b/c", "a.git", "é/b", "a/" + "b" * 300])
def test_a_name_that_the_hub_does_not_allow_is_a_wrong_model(at: Cli, name: str) -> None:
    at("topk", "--ids", "1", "-m", f"hf:{name}").is_error(
        2, "is neither a folder nor OWNER/NAME", "hf:./my-model"
    )


def test_a_password_in_the_address_is_not_shown(hub: Hub, at: Cli) -> None:
    del hub.files["config.json"]
    address = hub.url.replace("://", "://somebody:secret@")
    for command in (["pull", "gpt2-small"], ["run", "Hi", "-m", "hf:nobody/nothing"]):
        outcome = at(*command, HF_ENDPOINT=address)
        assert outcome.code == 1
        assert hub.url in outcome.err
        assert "secret" not in outcome.err


def test_a_revision_that_was_not_asked_for_is_refused(hub: Hub, at: Cli) -> None:
    hub.revision = "0" * 40
    outcome = at("pull", "gpt2-small")
    assert (outcome.code, outcome.out) == (1, "")
    assert f"the server sent {REPOSITORY} at revision '{'0' * 40}', not '{REVISION}'" in outcome.err
    assert "fetching" not in outcome.err
    assert {method for method, _, _ in hub.requests} == {"HEAD"}  # nothing was fetched


@pytest.mark.parametrize("command", [PULL, RUN])
def test_a_page_in_place_of_the_weights_is_not_kept(
    hub: Hub, at: Cli, tmp_path: Path, command: list[str]
) -> None:
    hub.files["model.safetensors"] = b"<!DOCTYPE html><title>Welcome</title>"
    outcome = at(*command)
    assert outcome.code == 1
    assert "is not safetensors" in outcome.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"DOCTYPE" in path.read_bytes()]


@pytest.mark.parametrize(
    ("command", "silent_for", "after_headers"),
    [(PULL, ".", False), (RUN, "GET /api/models", False), (RUN, "GET .*safetensors", True)],
)
def test_a_server_that_says_nothing_ends_in_an_error_and_is_named_before(
    hub: Hub, at: Cli, command: list[str], silent_for: str, after_headers: bool
) -> None:
    hub.silent_for, hub.silent_after_headers = silent_for, after_headers
    outcome = at(*command, **SOON)
    notes = [line for line in outcome.err.splitlines() if "has not answered" in line]
    assert (outcome.code, len(notes)) == (1, 1), outcome.err
    assert f"note: waiting for {hub.url[7:]}, which has not answered for 0.5 s" in notes[0]
    *_, error, hint = outcome.err.splitlines()
    assert error.startswith("error: ")
    assert "run the same command again" in hint
    assert "Retrying" not in outcome.err


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "GatedRepo", "set HF_TOKEN"),
        (401, "", "set HF_TOKEN"),
        (401, "RepoNotFound", "is the name right? A private repository needs HF_TOKEN"),
        (404, "", "is the name right?"),
    ],
)
def test_the_hint_to_a_refusal_is_no_try_of_the_same_again(
    hub: Hub, at: Cli, status: int, code: str, hint: str
) -> None:
    hub.refuses_with = status, code
    at(*RUN).is_error(1, f"error: {REPOSITORY} could not be fetched: ", "hint: ", hint)


@pytest.mark.parametrize("command", [PULL, RUN])
def test_a_server_that_sends_its_headers_byte_by_byte_is_given_up(
    hub: Hub, at: Cli, command: list[str]
) -> None:
    hub.drips_headers = True
    outcome = at(*command, **SOON)
    *_, error, hint = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (1, "")
    assert error.startswith("error: ")
    assert "run the same command again" in hint


@pytest.mark.parametrize("header", [("Retry-After", "100000"), ("RateLimit", '"api";r=0;t=100000')])
def test_a_server_that_lets_the_library_sleep_for_a_day_is_given_up(
    hub: Hub, at: Cli, header: tuple[str, str]
) -> None:
    hub.refuses_for = header
    at(*RUN, **SOON).is_error(1, f"{hub.url[7:]} asks to wait 100000 s before the next request")


@pytest.mark.parametrize(("command", "silent_for"), [(PULL, "HEAD"), (RUN, "GET .*safetensors")])
def test_ctrl_c_ends_the_wait_for_a_server(
    hub: Hub, variables: dict[str, str], command: list[str], silent_for: str
) -> None:
    hub.silent_for = silent_for
    with subprocess.Popen(
        [*warm_python(), "-m", "gptrace", *command], stderr=subprocess.PIPE,
        env=environment(**variables, HF_HUB_DOWNLOAD_TIMEOUT="60"),
    ) as process:  # fmt: skip
        try:
            while not any(re.search(silent_for, f"{method} {path}") for method, path, _ in hub.requests):
                assert process.poll() is None
                threading.Event().wait(0.05)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=HANG_TIMEOUT)
        finally:
            process.kill()
    assert (process.returncode, b"error: interrupted" in err) == (130, True), err


def test_a_cache_that_cannot_be_used_is_not_put_down_to_the_network(
    hub: Hub, at: Cli, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    outcome = at(*PULL, HF_HOME=str(tmp_path / "file" / "inside"))
    assert (outcome.code, outcome.out) == (1, "")
    assert "HF_HOME names another one" in outcome.err.splitlines()[-1]


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "pytorch_model.bin"])
def test_a_page_in_place_of_any_file_is_not_kept(hub: Hub, at: Cli, tmp_path: Path, name: str) -> None:
    if name.endswith(".bin"):
        del hub.files["model.safetensors"]
    hub.files[name] = b"\n<!DOCTYPE html><title>Welcome</title>"
    outcome = at(*RUN)
    assert outcome.code == 1
    assert f"{name} is not" in outcome.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"DOCTYPE" in path.read_bytes()]


@pytest.mark.parametrize("request_of", ["/api/models", "/resolve/.*safetensors"])
def test_a_body_that_unpacks_without_end_is_refused(hub: Hub, at: Cli, request_of: str) -> None:
    hub.packed = {request_of: gzip.compress(bytes(80 << 20), 1)}
    outcome = at(*RUN)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"error: {hub.url[7:]} sends more than the 64.0 MiB that were expected" in outcome.err


def test_a_list_without_end_is_given_up(hub: Hub, at: Cli) -> None:
    hub.has_endless_list = True
    at(*RUN).is_error(1, f"error: {hub.url[7:]} has sent 100 pages of a list, and names more", "HF_ENDPOINT")


def test_an_empty_repository_has_no_config(hub: Hub, at: Cli) -> None:
    hub.files.clear()
    at(*RUN).is_error(1, f"error: {REPOSITORY} holds no config.json")


def test_files_that_the_disk_has_no_room_for_are_refused_before_they_are_fetched(hub: Hub, at: Cli) -> None:
    hub.claims_more = 1 << 58  # for each of two files
    outcome = at(*PULL)
    assert outcome.code == 1
    assert re.match(r"error: 524,288.0 TiB are to be fetched, and \S+ has room for [\d.]+ ", outcome.err)
    assert len(outcome.err.splitlines()) == 2  # and nothing that the library says
    assert not any("GET" in request and "resolve" in request[1] for request in hub.requests)
