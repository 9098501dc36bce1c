"""Serves the page of a batch to this machine while the batch runs.

It serves the page, its news, and the files that the ledger names, by line number; nothing else. It
refuses requests to any host name but this machine's, so that a web site that points its own name
here (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import json
import logging
import mimetypes
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nstbatch.runtime.errors import UsageError

from .live_batch import LiveBatch
from .page import is_file, render

log = logging.getLogger(__name__)

HOST = "127.0.0.1"

# Seconds. An open page asks every second, and should learn of the end before its server stops;
# after Ctrl-C the program should end within two seconds.
LISTENING, FAREWELL = 3.0, 1.2

FILE = re.compile(r"/files/(photo|picture)/(\d{1,9})")


class ProgressServer(ThreadingHTTPServer):
    """The server of one batch; it knows when a page last asked for news."""

    daemon_threads = True
    # Allows a port that the last batch has just released, but no port in use. (On Windows the
    # option would share a port in use.)
    allow_reuse_address = os.name != "nt"
    allow_reuse_port = False

    def __init__(self, live: LiveBatch, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.live = live
        self.told = threading.Event()  # set when a page has learned of the end
        self.asked = float("-inf")

    def server_bind(self) -> None:
        """Bind without looking the machine's name up, as HTTPServer does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/"

    def say_goodbye(self) -> None:
        """Wait until an open page has learned of the end."""
        self.live.end()
        if time.monotonic() - self.asked < LISTENING:
            self.told.wait(FAREWELL)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a failed request, such as that of a page that was closed meanwhile."""
        log.debug("A request failed", exc_info=True)


@contextmanager
def serving(live: LiveBatch, port: int | None = None) -> Iterator[str]:
    """Serve a batch during a ``with`` block, and yield the page's address.

    Args:
        live: The batch.
        port: The port; any free one by default.

    Raises:
        UsageError: The port cannot be used.
    """
    try:
        server = ProgressServer(live, port or 0)
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be used: {error.strerror}. "
            "Choose another --watch-port, or leave the option out to use any free port."
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server.address
        server.say_goodbye()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: ProgressServer

    def do_GET(self) -> None:
        if self.headers["Host"] not in {
            f"{name}:{self.server.server_port}" for name in (HOST, "localhost")
        }:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        address = urlsplit(self.path)
        if address.path == "/":
            page = render(self.server.live.report(), [], live=True)
            self._answer(page.encode("utf-8"), "text/html; charset=utf-8")
        elif address.path == "/progress.json":
            self._news(parse_qs(address.query).get("after", [""])[0])
        elif match := FILE.fullmatch(address.path):
            self._file(match[1], int(match[2]))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _news(self, after: str) -> None:
        self.server.asked = time.monotonic()
        news = self.server.live.news(int(after) if re.fullmatch(r"\d{1,9}", after) else 0)
        self._answer(json.dumps(news, allow_nan=False).encode("utf-8"), "application/json")
        if news["ended"] and not news["more"]:
            self.server.told.set()

    def _file(self, kind: str, line: int) -> None:
        report = self.server.live.report()
        path: Path | None = None
        for entry in report.entries:
            if entry.line == line:
                path = report.output_path(entry) if kind == "picture" else report.input_path(entry)
        if path is None or not is_file(path):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        guessed = mimetypes.guess_type(path.name)[0] or ""
        # A browser must not open these as a page of this server.
        scripted = not guessed.startswith("image/") or "svg" in guessed
        self._answer(path.read_bytes(), "application/octet-stream" if scripted else guessed)

    def _answer(self, data: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002, the name in the base class
        log.debug(format, *values)
