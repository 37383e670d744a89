"""The rules that huggingface_hub is held to here: limits of time and size, plain hashes, and no pages."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from gptrace.errors import DownloadError
from gptrace.model.forked_children import in_forked_child
from gptrace.model.weights.hub_patience import Patience, plain_hash
from gptrace.model.weights.hub_sizes import Sizes
from gptrace.text.hugging_face import without_hub_bars
from gptrace.wording import quoted_value

Result = TypeVar("Result")
_SECONDS_TO_END = 0.5  # for the library to remove what it has of a file, which it could not go on with
# For a download that was ended to stop: it may be in the library's longest sleep, or in a request. A server
# that sends its headers byte by byte would hold it up for ever.
_LONGEST_END = 90
# The rules change the library for all threads, so a second download waits for the first.
_ONE_DOWNLOAD = threading.Lock()
_RUNNING: list[Patience] = []  # that of the download which has the lock
_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)


@in_forked_child
def _forget_downloads() -> None:
    global _ONE_DOWNLOAD
    _ONE_DOWNLOAD = threading.Lock()
    _RUNNING.clear()


def run_guarded(download: Callable[[Sizes], Result], cache: Path, say: Callable[[str], None]) -> Result:
    """Return what `download` returns, which uses huggingface_hub and is held to these rules.

    It gets the Sizes, to say which files it expects in the `cache` next. `say` gets a line where a server
    keeps it waiting. It runs in a thread, so that Ctrl-C ends it at once: the library itself would wait for
    its threads. The rules hold until that thread has ended: it may sleep now, and then ask again.
    """
    from huggingface_hub import constants

    outcome: list[Result] = []
    errors: list[BaseException] = []
    sizes = Sizes(cache)
    patience = Patience(max(constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT), sizes, say)

    def run() -> None:
        try:
            with (
                _turn(patience, say), _plain_hashes(), _without_warnings(), _bars_on_a_terminal(),
                _without_xet(), _limited_requests(patience),
            ):  # fmt: skip
                outcome.append(download(sizes))
        except BaseException as error:  # raised again below
            errors.append(error)
        finally:
            has_ended.set()

    # Not `join`: one that was interrupted takes the thread for ended.
    has_ended = threading.Event()
    with _termination_noted() as is_terminated:
        try:
            threading.Thread(target=run, daemon=True).start()
            # In steps: the system may give a signal to any thread, and Python acts on it when this one wakes.
            while not (has_ended.wait(0.1) or is_terminated.is_set()):
                patience.check_waits()
        finally:
            if not has_ended.is_set():
                patience.end()
                has_ended.wait(_SECONDS_TO_END)
    if errors:
        raise errors[0]
    return outcome[0]


@contextmanager
def _termination_noted() -> Iterator[threading.Event]:
    """Set the event on SIGTERM in the block, and end the process with the block: it can clean up till then.

    A program that handles that signal itself goes on doing so.
    """
    is_terminated = threading.Event()
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield is_terminated
        return
    signal.signal(signal.SIGTERM, lambda *_: is_terminated.set())
    try:
        yield is_terminated
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if is_terminated.is_set():
            signal.raise_signal(signal.SIGTERM)


@contextmanager
def _turn(patience: Patience, say: Callable[[str], None]) -> Iterator[None]:
    """Wait for another download of this process; raise DownloadError where it was ended and does not stop."""
    has_said = False
    while not _ONE_DOWNLOAD.acquire(timeout=0.1):
        patience.check_goes_on()
        seconds = max((other.seconds_since_end() for other in list(_RUNNING)), default=0.0)
        if seconds > 0 and not has_said:
            has_said = True
            say("waiting until an earlier download has stopped; Ctrl-C ends the wait")
        if seconds > _LONGEST_END:
            problem = f"an earlier download of this process has not stopped within {_LONGEST_END} s"
            raise DownloadError(problem, "start a new process")
    _RUNNING.append(patience)
    try:
        patience.check_goes_on()
        yield
    finally:
        _RUNNING.remove(patience)
        _ONE_DOWNLOAD.release()


def check_files(folder: Path) -> None:
    """Remove files of another kind than their name says, such as a mirror's page, and raise DownloadError."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []  # a repository may hold none
    for file in files:
        if not file.is_file():
            continue
        with file.open("rb") as opened:
            start = opened.read(512)
        problem = _wrong_kind(file.name, file.suffix, start)
        if problem:
            Path(os.path.realpath(file)).unlink(missing_ok=True)
            file.unlink(missing_ok=True)
            problem += f": it starts with {quoted_value(start[:9])}, so it was removed"
            raise DownloadError(problem, "check HF_ENDPOINT: does it serve the files themselves?")


def _wrong_kind(name: str, suffix: str, start: bytes) -> str:
    """Say that a file is not what its suffix says, where its first bytes are those of something else."""
    is_page = bool(_PAGE.match(start))
    match suffix:
        case ".safetensors":  # after the length comes a JSON object
            return "" if start[8:9] == b"{" else f"{name} is not safetensors"
        case ".bin" | ".pt" | ".pth":  # an archive, or a pickle of protocol 2 or later
            return "" if start.startswith((b"PK", b"\x80")) else f"{name} is not a PyTorch file"
        case ".json":
            return "" if start.lstrip()[:1] in (b"{", b"[", b'"') and not is_page else f"{name} is not JSON"
        case _:
            return f"{name} is not text, but a web page" if is_page else ""


@contextmanager
def _plain_hashes() -> Iterator[None]:
    """Let the library refuse an ETag or a commit that is no plain hash: it makes a path of it."""
    from huggingface_hub import HfApi, file_download

    api: Any = HfApi
    normalize_etag = getattr(file_download, "_normalize_etag", None)
    repo_info = api.repo_info

    def checked_etag(etag: str | None) -> str | None:
        value: str | None = normalize_etag(etag)  # type: ignore[misc]  # replaced only where there is one
        return plain_hash(value, "a file")

    def checked_info(*arguments: Any, **named: Any) -> Any:
        info = repo_info(*arguments, **named)
        plain_hash(info.sha, "a commit")
        return info

    if normalize_etag is not None:
        file_download._normalize_etag = checked_etag
    api.repo_info = checked_info
    try:
        yield
    finally:
        api.repo_info = repo_info
        if normalize_etag is not None:
            file_download._normalize_etag = normalize_etag


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence what the library logs when it tries again; its exceptions remain."""
    from huggingface_hub import logging as untyped_logging

    logging: Any = untyped_logging
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _bars_on_a_terminal() -> AbstractContextManager[None]:
    """Show the progress bars of the library on a terminal alone."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return nullcontext() if is_terminal else without_hub_bars()


@contextmanager
def _without_xet() -> Iterator[None]:
    """Let the library fetch every file by plain requests: hf_xet is native code, where no limit holds."""
    from huggingface_hub import constants

    disabled = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = disabled


@contextmanager
def _limited_requests(patience: Patience) -> Iterator[None]:
    """Give every request of the library a limit of time and size; for some it would wait for ever."""
    from huggingface_hub import close_session, get_session
    from huggingface_hub.utils import _http

    client = get_session()  # made before its factory is changed, so that it is as it was in the end
    # The library makes a new client after some errors, so its factory is watched too.
    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None)
    if factory is not None:
        _http._GLOBAL_CLIENT_FACTORY = lambda: patience.watching(factory())
    hooks = client.event_hooks
    try:
        patience.watching(client)
        yield
    finally:
        client.event_hooks = hooks
        vars(client).pop("send", None)
        if factory is not None:
            _http._GLOBAL_CLIENT_FACTORY = factory
        if get_session() is not client:
            close_session()  # it was made meanwhile, and is watched
