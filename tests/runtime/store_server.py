"""A real S3 server in this process (moto's), with faults before it, for tests of stores."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET = "bucket"

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)

Fault = Callable[[dict[str, Any]], str | None]
"""What goes wrong with a request: "500", "503", "drop before", "drop after", "cut"; None."""


@dataclass
class StoreServer:
    """The server: its address, the requests it has had, and the fault of the next one."""

    port: int = 0
    fault: Fault = lambda request: None
    done: Callable[[dict[str, Any]], None] = lambda request: None
    """Called when a request has changed or read something, before its answer is sent."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _writes: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.url)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def __call__(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = request["REQUEST_METHOD"], request["PATH_INFO"]
        is_of_test = "boto3" in request.get("HTTP_USER_AGENT", "").lower()
        self.requests += [] if is_of_test else [(method, path)]
        fault = None if is_of_test else self.fault(request)
        if fault is not None:
            self.faults.append(fault)
        if fault in ("500", "503"):
            request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
            start({"500": "500 Internal Server Error", "503": "503 Slow Down"}[fault], [])
            return [SLOW_DOWN if fault == "503" else b""]
        if fault == "drop before":
            return _dropped(request)
        statuses: list[str] = []

        def started(status: str, headers: Any, *more: Any) -> Any:
            statuses.append(status)
            return start(status, headers, *more)

        with self._writes:  # moto does not compare and write at once, which S3 does
            answer = list(self._moto(request, started))
        if not is_of_test and statuses[0].startswith("2"):
            self.done(request)
        if fault == "drop after":
            return _dropped(request)
        if fault == "cut":
            return _cut(request, answer)
        return answer


def _dropped(request: dict[str, Any]) -> Iterable[bytes]:
    request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionError("dropped by the test")


def _cut(request: dict[str, Any], answer: list[bytes]) -> Iterator[bytes]:
    data = b"".join(answer)
    yield data[: len(data) // 2]
    request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(patch: pytest.MonkeyPatch, secret: str = "secret") -> Iterator[StoreServer]:
    """Serve an empty bucket on a free port, and let the environment lead to it."""
    store = StoreServer()
    server = make_server("127.0.0.1", 0, store, threaded=True)
    server.log = lambda *_: None  # type: ignore[method-assign]
    server.RequestHandlerClass.log = lambda *_: None  # type: ignore[method-assign]
    server.daemon_threads = True
    store.port = server.server_port
    patch.setenv("AWS_ENDPOINT_URL", store.url)
    patch.setenv("AWS_ACCESS_KEY_ID", "key")
    patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        urllib.request.urlopen(f"{store.url}/moto-api/reset", data=b"").close()
        store.client.create_bucket(Bucket=BUCKET)
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
