"""How long the requests of huggingface_hub may wait for a server, and what its answers may say."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from gptrace.errors import DownloadError
from gptrace.model.weights.hub_sizes import AGAIN, ENDPOINT, Pace, Sizes
from gptrace.wording import quoted_value

_LONGEST_WAIT = 60  # seconds that a server may tell the library to sleep before it asks again
_STALLS = 2  # how often a server may keep a request waiting to the end of its time
# A request has four steps, each with that time, and may try several addresses. A server that sends its
# headers byte by byte would stay within the time of a step for ever.
_STEPS = 6
_MOST_PAGES = 100  # of one list, with 1000 files each; each page names the next, and may do so for ever


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
        # By thread: since when a host has refused its requests, and for how long it asked to wait last.
        self._refusals: dict[int, tuple[float, str, int]] = {}
        self._has_said = False
        self._ended_at: float | None = None

    def watching(self, client: Any) -> Any:
        """Return the HTTP client, whose requests are watched from now on."""
        hooks, send = client.event_hooks, client.send

        def watched_send(*arguments: Any, **named: Any) -> Any:
            try:
                return send(*arguments, **named)
            finally:
                self._answered()  # an exception calls no hook
                self.check_goes_on()  # else the library would try again

        client.send = watched_send
        client.event_hooks = {
            "request": [*hooks["request"], self._request],
            "response": [*hooks["response"], self._response],
        }
        return client

    def check_waits(self) -> None:
        """Say that a server keeps a request waiting, and raise DownloadError where it does so too long."""
        now = time.monotonic()
        for since, host, asked in list(self._refusals.values()):
            if now - since > self._seconds / 2:
                self._say_once(
                    f"waiting for {host}, which asks for {asked} s between requests; Ctrl-C ends it"
                )
        for since, host in list(self._waits.values()):
            seconds = now - since
            if seconds > self._seconds / 2:
                told = f"{self._seconds / 2:g}"
                self._say_once(f"waiting for {host}, which has not answered for {told} s; Ctrl-C ends it")
            if seconds > _STEPS * self._seconds:
                problem = f"{host} has not completed its answer within {_STEPS * self._seconds:g} s"
                raise DownloadError(problem, AGAIN)

    def _say_once(self, text: str) -> None:
        if not self._has_said:
            self._has_said = True
            self._say(text)

    def end(self) -> None:
        """Watch no longer, and end what still runs: it has taken too long, or the user has interrupted it."""
        self._ended_at = time.monotonic()

    def seconds_since_end(self) -> float:
        """Return how long ago `end` was called: 0 where it was not."""
        return 0.0 if self._ended_at is None else time.monotonic() - self._ended_at

    def check_goes_on(self) -> None:
        """Raise DownloadError once `end` was called."""
        if self._ended_at is not None:
            raise DownloadError("the download was interrupted", AGAIN)

    def _request(self, request: Any) -> None:
        self.check_goes_on()
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
        plain_hash(response.headers.get("x-repo-commit"), "a commit")
        seconds = _asked_wait(response)
        if seconds > _LONGEST_WAIT:
            raise DownloadError(f"{host} asks to wait {seconds} s before the next request", AGAIN)
        self._note_refusal(host, seconds)
        self._sizes.bound(response, host)
        if request.method == "HEAD" or response.is_redirect:
            self._started.pop(place, None)
            return
        read = response.iter_raw

        def watched_chunks(*arguments: Any, **named: Any) -> Iterator[bytes]:
            chunks = read(*arguments, **named)
            # The same for all attempts at a file, each of which may bring a few bytes.
            pace = self._paces.setdefault(place, Pace(host))
            while True:
                self._wait_for(host)
                try:
                    chunk = next(chunks, None)
                finally:
                    self._answered()
                    self.check_goes_on()
                if chunk is None:
                    return
                pace.got(chunk)
                self._stalls.pop(place, None)
                self._started[place] = time.monotonic()
                yield chunk

        response.iter_raw = watched_chunks

    def _note_refusal(self, host: str, seconds: int) -> None:
        """Note that the library is going to sleep before it asks again, or that it need not."""
        since, *_ = self._refusals.pop(threading.get_ident(), (time.monotonic(),))
        if seconds:
            self._refusals[threading.get_ident()] = since, host, seconds

    def _wait_for(self, host: str) -> None:
        self._waits[threading.get_ident()] = time.monotonic(), host

    def _answered(self) -> None:
        self._waits.pop(threading.get_ident(), None)


def plain_hash(value: str | None, what: str) -> str | None:
    """Return what a server calls a file or a commit; raise DownloadError where it could lead anywhere."""
    if value is not None and not re.fullmatch(r"[0-9A-Za-z-]{1,128}", value):
        problem = f"the server names {what} by {quoted_value(value)}, which is not a plain hash"
        raise DownloadError(problem, ENDPOINT)
    return value


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
