"""The limits of huggingface_hub here: of time and of size; it uses plain hashes and keeps no pages."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from gptrace.errors import DownloadError
from gptrace.model.weights.hub_sizes import AGAIN, ENDPOINT, Pace, Sizes
from gptrace.wording import quoted_value

Result = TypeVar("Result")
_LONGEST_WAIT = 60  # seconds that a server may tell the library to sleep before it asks again
_STALLS = 2  # how often a server may keep a request waiting to the end of its time
# A request has four steps, each with that time, and may try several addresses. A server that sends its
# headers byte by byte would stay within the time of a step for ever.
_STEPS = 6
_SECONDS_TO_END = 0.5  # for the library to remove what it has of a file, which it could not go on with
_MOST_PAGES = 100  # of one list, with 1000 files each; each page names the next, and may do so for ever
# The rules change the library for all threads, so a second download waits for the first.
_ONE_DOWNLOAD = threading.Lock()
_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)


def run_guarded(download: Callable[[Sizes], Result], cache: Path, say: Callable[[str], None]) -> Result:
    """Return what `download` returns, which uses huggingface_hub and is held to these rules.

    It gets the Sizes, to say which files it expects in the `cache` next. `say` gets a line where a server
    keeps it waiting. It runs in a thread, so that Ctrl-C ends it at once: the library itself would wait for
    its threads.
    """
    outcome: list[Result] = []
    errors: list[BaseException] = []
    sizes = Sizes(cache)

    def run() -> None:
        try:
            outcome.append(download(sizes))
        except BaseException as error:  # raised again below
            errors.append(error)
        finally:
            has_ended.set()

    # Not `join`: one that was interrupted takes the thread for ended.
    has_ended = threading.Event()
    with (
        _ONE_DOWNLOAD, _plain_hashes(), _without_warnings(), _without_xet(),
        _limited_requests(sizes, say) as patience,
    ):  # fmt: skip
        threading.Thread(target=run, daemon=True).start()
        try:
            # In steps: the system may give Ctrl-C to any thread, and Python acts on it when the main one
            # wakes.
            while not has_ended.wait(0.1):
                patience.check_waits()
        except BaseException:
            patience.end()
            has_ended.wait(_SECONDS_TO_END)
            raise
    if errors:
        raise errors[0]
    return outcome[0]


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
        return _plain_hash(value, "a file")

    def checked_info(*arguments: Any, **named: Any) -> Any:
        info = repo_info(*arguments, **named)
        _plain_hash(info.sha, "a commit")
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


def _plain_hash(value: str | None, what: str) -> str | None:
    """Return what a server calls a file or a commit; raise DownloadError where it could lead anywhere."""
    if value is not None and not re.fullmatch(r"[0-9A-Za-z-]{1,128}", value):
        problem = f"the server names {what} by {quoted_value(value)}, which is no plain hash"
        raise DownloadError(problem, ENDPOINT)
    return value


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
def _limited_requests(sizes: Sizes, say: Callable[[str], None]) -> Iterator[Patience]:
    """Give every request of the library a limit of time and size; for some it would wait for ever."""
    from huggingface_hub import close_session, constants, get_session
    from huggingface_hub.utils import _http

    client = get_session()  # made before its factory is changed, so that it is as it was in the end
    patience = Patience(max(constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT), sizes, say)
    # The library makes a new client after some errors, so its factory is watched too.
    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None)
    if factory is not None:
        _http._GLOBAL_CLIENT_FACTORY = lambda: patience.watching(factory())
    hooks = client.event_hooks
    try:
        patience.watching(client)
        yield patience
    finally:
        patience.end()
        client.event_hooks = hooks
        vars(client).pop("send", None)
        if factory is not None:
            _http._GLOBAL_CLIENT_FACTORY = factory
        if get_session() is not client:
            close_session()  # it was made meanwhile, and is watched


class Patience:
    """Limits how long requests wait for a server, and says once that one keeps them waiting.

    seconds   for a connection, and for the next bytes
    sizes     what each response may hold
    say       gets one line after half of that time without an answer
    """

    def __init__(self, seconds: float, sizes: Sizes, say: Callable[[str], None]) -> None:
        self._seconds, self._sizes, self._say = seconds, sizes, say
        self._started: dict[str, float] = {}
        self._stalls: Counter[str] = Counter()
        self._paces: dict[str, Pace] = {}
        self._pages: Counter[str] = Counter()
        self._waits: dict[int, tuple[float, str]] = {}  # by thread: since when, and for which host
        self._has_said = False
        self._has_ended = False

    def watching(self, client: Any) -> Any:
        """Return the HTTP client, whose requests are watched from now on."""
        hooks, send = client.event_hooks, client.send

        def watched(*arguments: Any, **named: Any) -> Any:
            try:
                return send(*arguments, **named)
            finally:
                self._answered()  # an exception calls no hook
                self._check_goes_on()  # else the library would try again, and nobody watches it now

        client.send = watched
        client.event_hooks = {
            "request": [*hooks["request"], self._request],
            "response": [*hooks["response"], self._response],
        }
        return client

    def check_waits(self) -> None:
        """Say that a server keeps a request waiting, and raise DownloadError where it does so too long."""
        now = time.monotonic()
        for since, host in list(self._waits.values()):
            seconds = now - since
            if seconds > self._seconds / 2 and not self._has_said:
                self._has_said = True
                told = f"{self._seconds / 2:g}"
                self._say(f"waiting for {host}, which has not answered for {told} s; Ctrl-C ends it")
            if seconds > _STEPS * self._seconds:
                problem = f"{host} has not completed its answer within {_STEPS * self._seconds:g} s"
                raise DownloadError(problem, AGAIN)

    def end(self) -> None:
        """Watch no longer, and end what still runs: it has taken too long, or the user has interrupted it."""
        self._has_ended = True

    def _request(self, request: Any) -> None:
        self._check_goes_on()
        limits = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = {
            kind: min(limits.get(kind) or self._seconds, self._seconds)
            for kind in ("connect", "read", "write", "pool")
        }
        place = f"{request.method} {request.url}"
        now = time.monotonic()
        # Only waiting to the end counts: a connection that is refused may be tried again soon.
        if now - self._started.get(place, now) > 0.9 * self._seconds:
            self._stalls[place] += 1
        self._started[place] = now
        host = _host(request)
        if "/api/" in request.url.path:
            self._pages[request.url.path] += 1
            if self._pages[request.url.path] > _MOST_PAGES:
                raise DownloadError(
                    f"{host} has sent {_MOST_PAGES} pages of a list, and names more", ENDPOINT
                )
        if self._stalls[place] >= _STALLS:
            raise DownloadError(f"{host} did not answer within {self._seconds:g} s, {_STALLS} times", AGAIN)
        self._wait_for(host)

    def _response(self, response: Any) -> None:
        request = response.request
        if not response.is_redirect:  # whose body may come slowly, too
            self._answered()
        place, host = f"{request.method} {request.url}", _host(request)
        _plain_hash(response.headers.get("x-repo-commit"), "a commit")
        seconds = _asked_wait(response)
        if seconds > _LONGEST_WAIT:
            raise DownloadError(f"{host} asks to wait {seconds} s before the next request", AGAIN)
        self._sizes.bound(response, host)
        if request.method == "HEAD" or response.is_redirect:
            self._started.pop(place, None)
            return
        read = response.iter_raw

        def watched(*arguments: Any, **named: Any) -> Iterator[bytes]:
            chunks = read(*arguments, **named)
            # The same for all attempts at a file, each of which may bring a few bytes.
            pace = self._paces.setdefault(place, Pace(host))
            while True:
                self._wait_for(host)
                try:
                    chunk = next(chunks, None)
                finally:
                    self._answered()
                    self._check_goes_on()
                if chunk is None:
                    return
                pace.got(chunk)
                self._stalls.pop(place, None)
                self._started[place] = time.monotonic()
                yield chunk

        response.iter_raw = watched

    def _check_goes_on(self) -> None:
        if self._has_ended:
            raise DownloadError("the download was interrupted", AGAIN)

    def _wait_for(self, host: str) -> None:
        self._waits[threading.get_ident()] = time.monotonic(), host

    def _answered(self) -> None:
        self._waits.pop(threading.get_ident(), None)


def _asked_wait(response: Any) -> int:
    """Return the seconds that a server which refuses a request asks to wait: 0 where it asks for none."""
    if response.status_code < 429:
        return 0
    limit, after = response.headers.get("ratelimit", ""), response.headers.get("retry-after", "")
    seconds = re.findall(r"^\s*(\d{1,9})\d*\s*$", after) + re.findall(r"\bt\s*=\s*(\d{1,9})", limit)
    return max(map(int, seconds), default=0)


def _host(request: Any) -> str:
    """Return the host and port of a request, without the name and password that its address may hold."""
    netloc: str = request.url.netloc.decode("ascii", "backslashreplace")
    return netloc.rpartition("@")[2]
