"""A small hub of Hugging Face on 127.0.0.1, which serves one repository over HTTP, also badly."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gptrace.model.weights.hub import PUBLISHED
from tests.support import HANG_TIMEOUT

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
            self.close_connection = True
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
