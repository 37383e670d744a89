"""The rules for huggingface_hub, without a network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import transformers
from huggingface_hub import HfApi, close_session, constants, file_download, get_session
from huggingface_hub.utils import _http
from huggingface_hub.utils._runtime import is_xet_available
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, progress_bar_states

from gptrace.errors import DownloadError
from gptrace.model.weights.hub_guard import run_guarded
from gptrace.model.weights.hub_patience import Patience
from gptrace.model.weights.hub_sizes import Pace, Sizes
from gptrace.text.hugging_face import quiet
from tests.support import HANG_TIMEOUT, environment
from tests.warm import warm_python


def state_of_the_library() -> tuple[Any, ...]:
    hooks = get_session().event_hooks
    own_send = vars(get_session()).get("send")
    xet = constants.HF_HUB_DISABLE_XET
    return (
        hooks["request"],
        hooks["response"],
        own_send,
        _http._GLOBAL_CLIENT_FACTORY,
        file_download._normalize_etag,
        HfApi.repo_info,
        xet,
        dict(progress_bar_states),
        dict(os.environ),
    )


def test_downloads_in_two_threads_leave_the_library_as_it_was(tmp_path: Path) -> None:
    before = state_of_the_library()
    is_in_first, is_in_second, has_ended = (threading.Event() for _ in range(3))

    def first(_: Sizes) -> None:
        is_in_first.set()
        is_in_second.wait(0.1)  # in vain, if one waits for the other

    def second(_: Sizes) -> None:
        is_in_second.set()
        has_ended.wait(10)

    def run_first() -> None:
        run_guarded(first, tmp_path, print)
        has_ended.set()

    def run_second() -> None:
        is_in_first.wait(10)
        run_guarded(second, tmp_path, print)

    threads = [threading.Thread(target=run) for run in (run_first, run_second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state_of_the_library() == before


@pytest.mark.parametrize("own", [{}, {"_global": False}, {"mine.bars": False, "_global": True}])
def test_a_quiet_library_leaves_what_the_caller_has_set_for_bars(
    own: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(progress_bar_states)
    monkeypatch.setattr(transformers.utils.logging, "_tqdm_active", True)
    try:
        progress_bar_states.clear()
        progress_bar_states.update(own)
        with quiet(transformers):
            assert are_progress_bars_disabled("mine.bars")
        assert progress_bar_states == own
        assert transformers.utils.logging.is_progress_bar_enabled()
    finally:
        progress_bar_states.clear()
        progress_bar_states.update(before)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_bars_of_the_library_are_for_a_terminal(
    is_terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(progress_bar_states, "_global", True)  # transformers may have put them off
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: is_terminal))
    assert run_guarded(lambda _: are_progress_bars_disabled("any.group"), tmp_path, print) != is_terminal


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_a_client_of_the_library_that_is_made_anew_is_not_watched_for_ever(
    tmp_path: Path, moment: str
) -> None:
    before = state_of_the_library()

    def download(_: Sizes) -> None:
        if moment == "meanwhile":
            close_session()  # as the library does after some errors
        assert state_of_the_library() != before

    if moment == "before":
        close_session()
    run_guarded(download, tmp_path, print)
    assert state_of_the_library() == before


def test_native_code_fetches_nothing(tmp_path: Path) -> None:
    before = state_of_the_library()
    assert is_xet_available()  # installed with the library
    assert not run_guarded(lambda _: is_xet_available(), tmp_path, print)
    assert state_of_the_library() == before


def test_a_few_bytes_of_each_attempt_are_no_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library tries again without end where each attempt brings some bytes."""
    client = import_module(type(get_session()).__module__.partition(".")[0])  # httpx, or what took its place
    now = [0.0]
    monkeypatch.setattr("gptrace.model.weights.hub_sizes.time.monotonic", lambda: now[0])
    patience = Patience(100, Sizes(tmp_path), print)

    def attempt() -> None:
        request = client.Request("GET", "http://slow.example/file")
        response = client.Response(200, request=request, stream=client.ByteStream(b"ab"))
        patience._response(response)
        assert list(response.iter_raw()) == [b"ab"]

    for second in (0, 7, 14):
        now[0] = second
        attempt()
    now[0] = 21
    with pytest.raises(DownloadError, match=r"slow\.example has sent 8 bytes in 21 s"):
        attempt()
    patience.end()


def test_an_answer_that_is_never_complete_is_told_of_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte of its headers comes within the time of a request."""
    client = import_module(type(get_session()).__module__.partition(".")[0])
    now = [0.0]
    said: list[str] = []
    time_there = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("gptrace.model.weights.hub_patience.time", time_there)
    patience = Patience(10, Sizes(tmp_path), said.append)
    patience._request(client.Request("GET", "http://slow.example/file"))
    for now[0] in (0, 5):
        patience.check_waits()
    assert said == []
    for now[0] in (5.5, 60):
        patience.check_waits()
    assert said == ["waiting for slow.example, which has not answered for 5 s; Ctrl-C ends it"]
    now[0] = 60.5
    with pytest.raises(DownloadError, match=r"slow\.example has not completed its answer within 60 s"):
        patience.check_waits()
    assert len(said) == 1


def test_a_server_that_lets_the_library_sleep_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = import_module(type(get_session()).__module__.partition(".")[0])
    now = [0.0]
    said: list[str] = []
    monkeypatch.setattr("gptrace.model.weights.hub_patience.time", SimpleNamespace(monotonic=lambda: now[0]))
    patience = Patience(10, Sizes(tmp_path), said.append)
    request = client.Request("GET", "http://busy.example/file")

    def answer(status: int, **headers: str) -> None:
        patience._request(request)
        patience._response(client.Response(status, request=request, headers=headers))

    answer(429, **{"retry-after": "3"})
    for now[0] in (0, 3):
        patience.check_waits()
    answer(200)  # it has not kept anybody waiting for long
    now[0] = 10
    patience.check_waits()
    assert said == []
    answer(429, **{"retry-after": "4"})
    now[0] = 14
    answer(429, **{"retry-after": "30"})  # each of several sleeps may be short
    for now[0] in (14.5, 15.5, 40):
        patience.check_waits()
    assert said == ["waiting for busy.example, which asks for 30 s between requests; Ctrl-C ends it"]


TERMINATED = """
import os, pathlib, signal, sys, threading
from gptrace.model.weights import hub_guard
part = pathlib.Path("part")
def download(sizes):
    part.write_bytes(b"x")
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        ended.wait(60)
    finally:
        part.unlink()
ended = threading.Event()
class Patience(hub_guard.Patience):
    def end(self):
        super().end()
        ended.set()
hub_guard.Patience, hub_guard._SECONDS_TO_END = Patience, 60
{before}
hub_guard.run_guarded(download, pathlib.Path(), print)
print("goes on")
"""


@pytest.mark.parametrize("before", ["", "signal.signal(signal.SIGTERM, lambda *_: ended.set())"])
def test_a_terminated_download_removes_what_it_has(tmp_path: Path, before: str) -> None:
    outcome = subprocess.run(
        [*warm_python(), "-c", TERMINATED.format(before=before)],
        capture_output=True, cwd=tmp_path, env=environment(), timeout=HANG_TIMEOUT, check=False,
    )  # fmt: skip
    assert not (tmp_path / "part").exists()
    if before:  # a program that handles the signal itself goes on
        assert (outcome.returncode, outcome.stdout) == (0, b"goes on\n"), outcome.stderr
    else:
        assert (outcome.returncode, outcome.stdout) == (-signal.SIGTERM, b""), outcome.stderr


def test_a_download_that_is_given_up_is_not_tried_again(tmp_path: Path) -> None:
    """What the library would do when a request fails, in a thread that nobody waits for any more."""
    client = get_session()
    is_asked, may_fail = threading.Event(), threading.Event()
    attempts: list[str] = []
    errors: list[BaseException] = []

    def send(*_: object, **__: object) -> None:
        is_asked.set()
        may_fail.wait(10)
        raise TimeoutError

    def attempt() -> None:
        for _ in range(2):
            attempts.append("")
            try:
                client.send(client.build_request("GET", "http://slow.example"))
            except TimeoutError:
                continue
            except DownloadError as error:
                errors.append(error)
                return

    patience = Patience(100, Sizes(tmp_path), print)
    client.send = send  # type: ignore[method-assign, assignment]
    try:
        patience.watching(client)
        thread = threading.Thread(target=attempt)
        thread.start()
        is_asked.wait(10)
        patience.end()
        may_fail.set()
        thread.join()
    finally:
        close_session()
    assert (len(attempts), len(errors)) == (1, 1)


def test_an_interrupted_download_in_the_sleep_of_the_library_asks_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The rules hold until its thread has ended, though nobody waits for it any more."""
    before = state_of_the_library()
    client = import_module(type(get_session()).__module__.partition(".")[0])
    is_interrupted = threading.Event()
    attempts: list[object] = []
    errors: list[BaseException] = []

    def refuse(_: object, request: object) -> None:
        attempts.append(request)
        raise client.ConnectError("refused")

    def sleep(_: float) -> None:
        if not is_interrupted.is_set():
            signal.raise_signal(signal.SIGINT)
        assert is_interrupted.wait(60)

    def download(_: Sizes) -> None:
        try:
            _http.http_backoff("GET", "http://closed.example", max_retries=2)
        except BaseException as error:
            errors.append(error)
            raise

    monkeypatch.setattr("gptrace.model.weights.hub_guard._SECONDS_TO_END", 0)
    monkeypatch.setattr(client.HTTPTransport, "handle_request", refuse)
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=sleep))
    with pytest.raises(KeyboardInterrupt):
        run_guarded(download, tmp_path, print)
    is_interrupted.set()
    assert run_guarded(lambda _: 1, tmp_path, print) == 1  # it waits for the first
    assert len(attempts) == 1
    assert [str(error).partition(" (")[0] for error in errors] == ["the download was interrupted"]
    assert state_of_the_library() == before
    assert "Retrying" not in capfd.readouterr().err


def test_a_download_behind_one_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    may_end = threading.Event()

    def download(_: Sizes) -> None:
        signal.raise_signal(signal.SIGINT)
        may_end.wait(60)

    monkeypatch.setattr("gptrace.model.weights.hub_guard._SECONDS_TO_END", 0)
    monkeypatch.setattr("gptrace.model.weights.hub_guard._LONGEST_END", 0)
    with pytest.raises(KeyboardInterrupt):
        run_guarded(download, tmp_path, print)
    with pytest.raises(DownloadError, match="an earlier download of this process has not stopped within 0 s"):
        run_guarded(lambda _: 1, tmp_path, said.append)
    may_end.set()
    monkeypatch.undo()
    assert run_guarded(lambda _: 1, tmp_path, print) == 1
    assert said == ["waiting until an earlier download has stopped; Ctrl-C ends the wait"]


def test_a_download_that_is_given_up_may_remove_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "part"

    def download(_: Sizes) -> None:
        part.write_bytes(b"x")
        try:
            time.sleep(0.3)  # the main thread is in its wait by now
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.2)  # the next bytes come
        finally:
            part.unlink()

    monkeypatch.setattr("gptrace.model.weights.hub_guard._SECONDS_TO_END", 60)
    with pytest.raises(KeyboardInterrupt):
        run_guarded(download, tmp_path, print)
    assert not part.exists()


def test_what_is_left_of_another_attempt_is_no_free_space(tmp_path: Path) -> None:
    blobs = tmp_path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    with (blobs / "abc.0123abcd.incomplete").open("wb") as left:
        left.truncate(1 << 42)  # a hole: it takes no space
    file = SimpleNamespace(filename="model.safetensors", file_size=1 << 41, will_download=True)
    with pytest.raises(DownloadError, match="has room for"):
        Sizes(tmp_path).expect([file])
    (blobs / "abc.0123abcd.incomplete").rename(blobs / "abc.incomplete")  # which goes on
    assert Sizes(tmp_path).expect([file]) == 1 << 41


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


def test_a_file_of_unknown_size_is_refused(tmp_path: Path) -> None:
    file = SimpleNamespace(filename="config.json", file_size=None, will_download=True)
    with pytest.raises(DownloadError, match=r"does not say how large 'config.json' is"):
        Sizes(tmp_path / "not" / "there").expect([file])


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("gptrace.model.weights.hub_sizes.time.monotonic", lambda: now[0])
    slow, fast = Pace("slow.example"), Pace("fast.example")
    for second in range(1, 15):
        now[0] = float(second)
        slow.got(b"x")
        fast.got(bytes(500))
    now[0] = 15.0
    fast.got(b"x")
    with pytest.raises(DownloadError, match=r"slow\.example has sent 15 bytes in 15 s"):
        slow.got(b"x")
