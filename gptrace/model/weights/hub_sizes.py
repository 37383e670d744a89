"""How much a server of the hub may send: the sizes that it has announced, as far as they fit on the disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gptrace.errors import DownloadError
from gptrace.wording import quoted_value, readable_bytes

# A list of the files of a repository has up to some MiB.
_LARGEST_LIST = 64 << 20
# A server that sends less in this time, in bytes and seconds, would take days for a small file.
_LEAST_BYTES, _LEAST_SECONDS = 2048, 15.0
AGAIN = "check the network and HF_ENDPOINT, then run the same command again: whole files are kept"
ENDPOINT = "check HF_ENDPOINT: is it the hub, or a mirror of it?"


class Sizes:
    """Limits what each response may hold, unpacked: a list, or the largest file that is expected.

    `cache` is the folder that files are written to.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._limit = _LARGEST_LIST

    def expect(self, files: Iterable[Any]) -> int:
        """Return the bytes of all files that are downloaded next, as huggingface_hub lists them.

        Raises DownloadError where a size is unknown, or the disk has no room for all of them.
        """
        wanted = [file for file in files if getattr(file, "will_download", True)]
        for file in wanted:
            if type(file.file_size) is not int or file.file_size < 0:
                raise DownloadError(
                    f"the server does not say how large {quoted_value(file.filename)} is", ENDPOINT
                )
        sizes = [file.file_size for file in wanted]
        free = _free_bytes(self._cache)
        if sum(sizes) > free:
            needed, room = readable_bytes(sum(sizes)), readable_bytes(free)
            problem = f"{needed} are to be fetched, and {self._cache} has room for {room}"
            raise DownloadError(problem, "HF_HOME may name a folder elsewhere")
        self._limit = max([_LARGEST_LIST, *sizes])
        return sum(sizes)

    def bound(self, response: Any, host: str) -> None:
        """Let an httpx response raise DownloadError where it holds more, or hardly anything comes."""
        read = response.iter_bytes

        def bounded(*arguments: Any, **named: Any) -> Iterator[bytes]:
            size = 0
            for chunk in read(*arguments, **named):
                size += len(chunk)
                if size > self._limit:
                    limit = readable_bytes(self._limit)
                    raise DownloadError(f"{host} sends more than the {limit} that were expected", ENDPOINT)
                yield chunk

        response.iter_bytes = bounded


class Pace:
    """Raises DownloadError for a server whose bytes come so slowly that the file would never be whole."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._size, self._since = 0, time.monotonic()

    def got(self, chunk: bytes) -> None:
        """Count bytes that have come."""
        self._size += len(chunk)
        seconds = time.monotonic() - self._since
        if seconds < _LEAST_SECONDS:
            return
        if self._size < _LEAST_BYTES:
            problem = f"{self._host} has sent {self._size} bytes in {seconds:.0f} s"
            raise DownloadError(problem, AGAIN)
        self._size, self._since = 0, time.monotonic()


def _free_bytes(cache: Path) -> int:
    """Return the free bytes of the disk, and those of files that were fetched in part and go on.

    Newer versions of the library give each attempt a file of its own, HASH.ATTEMPT.incomplete, which never
    goes on.
    """
    existing = next(place for place in (cache, *cache.parents) if place.exists())
    parts = cache.glob("models--*/blobs/*.incomplete")
    return shutil.disk_usage(existing).free + sum(
        part.stat().st_size for part in parts if part.name.count(".") == 1
    )
