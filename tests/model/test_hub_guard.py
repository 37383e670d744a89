"""The rules for huggingface_hub, without a network."""

from __future__ import annotations

import signal
import threading
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi, close_session, constants, file_download, get_session
from huggingface_hub.utils import _http
from huggingface_hub.utils._runtime import is_xet_available

from gptrace.errors import DownloadError
from gptrace.model.weights.hub_guard import run_guarded
from gptrace.model.weights.hub_patience import Patience
from gptrace.model.weights.hub_sizes import Sizes


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


def test_a_download_that_is_given_up_may_remove_what_it_has(tmp_path: Path) -> None:
    part = tmp_path / "part"
    is_interrupted = threading.Event()

    def download(_: Sizes) -> None:
        part.write_bytes(b"x")
        try:
            threading.Event().wait(0.3)  # the main thread is in its wait by now
            signal.raise_signal(signal.SIGINT)
            is_interrupted.wait(0.2)  # the next bytes come
        finally:
            part.unlink()

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
