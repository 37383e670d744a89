"""Pretrained weights over HTTP, for real, from a small hub on 127.0.0.1 that serves a tiny GPT-2."""

from __future__ import annotations

import builtins
import gzip
import hashlib
import importlib
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import constants

from gptrace.errors import DownloadError
from gptrace.model.weights import hub_sizes
from gptrace.model.weights.hub import PUBLISHED
from gptrace.model.weights.hub_guard import run_guarded
from gptrace.model.weights.hub_sizes import Sizes
from tests.models.hugging_face import gpt2_with_large_weights
from tests.support import HANG_TIMEOUT, Cli, Outcome, environment
from tests.warm import warm_python

pytestmark = pytest.mark.processes
REPOSITORY, REVISION = PUBLISHED["gpt2-small"]
CUT = 11_500_000  # huggingface_hub keeps what came in chunks of 10 MiB


class Hub(ThreadingHTTPServer):
    """Serves the files of one repository at one revision; `requests` keeps what was asked."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.requests: list[tuple[str, str, str | None]] = []
        self.cut_once = False
        self.claims_more = 0
        self.etag = ""
        self.revision = REVISION
        self.refuses_for: tuple[str, str] | None = None  # the header that says for how long
        self.silent_for = ""  # requests that match this get no answer,
        self.silent_after_headers = False  # or only the beginning of one
        self.drips_headers = False
        self.has_endless_list = False
        self.refuses_with: tuple[int, str] | None = None  # the status and the library's code for it
        self.is_over = threading.Event()  # then silence ends
        self.packed: dict[str, bytes] = {}  # by what requests match: a body in gzip

    def handle_error(self, *arguments: object) -> None:
        """A client may leave before it has got all."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None: ...

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.command, self.path, wanted))
        if self.server.refuses_for:
            self.send_response(429)
            self.send_header(*self.server.refuses_for)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.server.refuses_with:
            status, code = self.server.refuses_with
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.server.drips_headers:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.server.is_over.wait(0.3):
                self.wfile.write(b".")
            return
        silent_for = self.server.silent_for
        if silent_for and re.search(silent_for, f"{self.command} {self.path}"):
            if self.server.silent_after_headers:
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
            self.server.is_over.wait(HANG_TIMEOUT)
            self.close_connection = True
            return
        bodies = self.server.packed.items()
        packed = next((content for key, content in bodies if re.search(key, self.path)), b"")
        if packed and body:
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)
            return
        if re.fullmatch(rf"/api/models/{REPOSITORY}/revision/(main|{REVISION})(\?.*)?", self.path):
            self.answer_json({"id": REPOSITORY, "sha": self.server.revision})
            return
        if re.fullmatch(rf"/api/models/{REPOSITORY}/tree/(main|{REVISION})(\?.*)?", self.path):
            if self.server.has_endless_list:
                self.answer_json([], f'<{self.server.url}{self.path}>; rel="next"')
                return
            self.answer_json([{"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                              for name, content in self.server.files.items()])  # fmt: skip
            return
        found = re.fullmatch(rf"/{REPOSITORY}/resolve/{REVISION}/(.+)", self.path)
        content = self.server.files.get(found.group(1)) if found else None
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if found else "RepoNotFound")
            self.send_header("X-Repo-Commit", self.server.revision)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        size = len(content) + self.server.claims_more * (not body)
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{self.server.etag or hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.server.revision)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        if not body:
            return
        if self.server.cut_once and len(content) > CUT:
            self.server.cut_once = False
            self.wfile.write(content[start:CUT])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.wfile.write(content[start:])

    def answer_json(self, value: object, link: str = "") -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Link", link)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("tiny-gpt2")
    gpt2_with_large_weights().save_pretrained(folder)
    return {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    server = Hub(dict(files))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.is_over.set()
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


def test_what_the_hub_has_no_model_of(hub: Hub, at: Cli) -> None:
    outcome = at("topk", "--ids", "1", "-m", "hf:nobody/nothing")
    assert (outcome.code, outcome.out) == (1, "")
    assert "error: nobody/nothing could not be fetched: RepositoryNotFound" in outcome.err
    del hub.files["model.safetensors"]
    outcome = at("topk", "--ids", "1", "-m", f"hf:{REPOSITORY}")
    assert (outcome.code, outcome.out) == (1, "")
    assert f"error: {REPOSITORY} holds no weights" in outcome.err
    assert "HF_HUB_OFFLINE is set" in at("topk", "--ids", "1", "-m", "hf:a/b", HF_HUB_OFFLINE="1").err


@pytest.mark.parametrize("command", [["pull", "gpt2-small"], ["run", "Hi", "-m", f"hf:{REPOSITORY}"]])
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
@pytest.mark.parametrize("command", [["pull", "gpt2-small"], ["run", "Hi", "-m", f"hf:{REPOSITORY}"]])
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


def test_a_revision_that_was_not_asked_for_is_refused(hub: Hub, at: Cli) -> None:
    hub.revision = "0" * 40
    outcome = at("pull", "gpt2-small")
    assert (outcome.code, outcome.out) == (1, "")
    assert f"the server sent {REPOSITORY} at revision '{'0' * 40}', not '{REVISION}'" in outcome.err
    assert "fetching" not in outcome.err
    assert {method for method, _, _ in hub.requests} == {"HEAD"}  # nothing was fetched


@pytest.mark.parametrize("command", [["pull", "gpt2-small"], ["run", "Hi", "-m", f"hf:{REPOSITORY}"]])
def test_a_page_in_place_of_the_weights_is_not_kept(
    hub: Hub, at: Cli, tmp_path: Path, command: list[str]
) -> None:
    hub.files["model.safetensors"] = b"<!DOCTYPE html><title>Welcome</title>"
    outcome = at(*command)
    assert outcome.code == 1
    assert "is not safetensors" in outcome.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"DOCTYPE" in path.read_bytes()]


PULL, RUN = ["pull", "gpt2-small"], ["run", "Hi", "-m", f"hf:{REPOSITORY}"]
SOON = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


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


def test_ctrl_c_ends_the_wait_whichever_thread_the_system_gives_it_to(tmp_path: Path) -> None:
    is_interrupted, came_to_its_end = threading.Event(), threading.Event()

    def download(_: Sizes) -> None:
        threading.Event().wait(0.5)  # the main thread is in its wait by now
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        if not is_interrupted.wait(10):
            came_to_its_end.set()

    with pytest.raises(KeyboardInterrupt):
        run_guarded(download, tmp_path, print)
    assert not came_to_its_end.is_set()
    is_interrupted.set()


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


def test_a_file_of_unknown_size_is_refused(tmp_path: Path) -> None:
    file = SimpleNamespace(filename="config.json", file_size=None, will_download=True)
    with pytest.raises(DownloadError, match=r"does not say how large 'config.json' is"):
        Sizes(tmp_path / "not" / "there").expect([file])


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("gptrace.model.weights.hub_sizes.time.monotonic", lambda: now[0])
    slow, fast = hub_sizes.Pace("slow.example"), hub_sizes.Pace("fast.example")
    for second in range(1, 15):
        now[0] = float(second)
        slow.got(b"x")
        fast.got(bytes(500))
    now[0] = 15.0
    fast.got(b"x")
    with pytest.raises(DownloadError, match=r"slow\.example has sent 15 bytes in 15 s"):
        slow.got(b"x")
