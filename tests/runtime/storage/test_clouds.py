"""The requests to each kind of store: one contract, against servers that run here.

S3 has moto's server. Google's and Azure's stores have stand-ins of the few requests that are sent,
written from their references (Cloud Storage JSON API v1; Blob service REST API).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from store_server import BUCKET, serving

from nstbatch.runtime.storage import retries, s3
from nstbatch.runtime.storage import store as stores
from nstbatch.runtime.storage.addresses import RemotePath, located
from nstbatch.runtime.storage.requests import ABSENT
from nstbatch.runtime.storage.store import Store, store_of

PAGE = 2


class StandIn(BaseHTTPRequestHandler):
    """What both stand-ins have in common: objects in memory, and a fault now and then."""

    protocol_version = "HTTP/1.1"
    objects: ClassVar[dict[str, tuple[bytes, int, float]]] = {}
    faults: ClassVar[list[int | None]] = []

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.faults.pop(0) if self.faults else 0
        if fault is None:  # dropped
            self.close_connection = True
            self.connection.close()
        elif fault:
            self.answer(fault, b"{}")
        else:
            self.serve(unquote(parts.path), query, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def answer(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def write(self, name: str, data: bytes) -> tuple[bytes, int, float]:
        latest = max((number for _, number, _ in self.objects.values()), default=100)
        self.objects[name] = (data, latest + 1, time.time())
        return self.objects[name]

    def page(self, query: dict[str, str], token: str) -> tuple[list[str], str]:
        """Return the names of a page, and where the next one begins."""
        prefix, deep = query.get("prefix", ""), "delimiter" not in query
        names = [n for n in sorted(self.objects) if n.startswith(prefix) and n >= token]
        names = [n for n in names if deep or "/" not in n[len(prefix) :]]
        return names[:PAGE], names[PAGE] if len(names) > PAGE else ""

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class Google(StandIn):
    def serve(self, path: str, query: dict[str, str], body: bytes) -> None:
        name = path.partition(f"/b/{BUCKET}/o")[2].removeprefix("/")
        if self.command == "POST":
            name, wanted = query["name"], query.get("ifGenerationMatch")
            number = self.objects.get(name, (b"", 0, 0.0))[1]
            if wanted is not None and int(wanted) != number:
                return self.answer(412, b"{}")
            self.write(name, body)
            return self.answer(200, json.dumps(self.resource(name)).encode())
        if not name:
            names, token = self.page(query, query.get("pageToken", ""))
            found = {"items": [self.resource(each) for each in names]}
            found |= {"nextPageToken": token} if token else {}
            return self.answer(200, json.dumps(found).encode())
        if name not in self.objects:
            return self.answer(404, b"{}")
        if self.command == "DELETE":
            del self.objects[name]
            return self.answer(204)
        data, number, modified = self.objects[name]
        if query.get("alt") == "media":
            facts = {"X_Goog_Generation": str(number), "Last_Modified": formatdate(modified)}
            return self.answer(200, data, **facts)
        return self.answer(200, json.dumps(self.resource(name)).encode())

    def resource(self, name: str) -> dict[str, str]:
        data, number, modified = self.objects[name]
        updated = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(modified))
        facts = {"name": name, "size": str(len(data)), "generation": str(number)}
        return {**facts, "updated": updated, "bucket": BUCKET}


class Azure(StandIn):
    def serve(self, path: str, query: dict[str, str], body: bytes) -> None:
        name = path.partition(f"/account/{BUCKET}")[2].removeprefix("/")
        if query.get("comp") == "list":
            return self.list(query)
        data, number, modified = self.objects.get(name, (b"", 0, 0.0))
        if self.command == "PUT":
            if self.headers["If-None-Match"] == "*" and number:
                return self.answer(409, x_ms_error_code="BlobAlreadyExists")
            if self.headers["If-Match"] not in (None, f'"{number}"'):
                return self.answer(412, x_ms_error_code="ConditionNotMet")
            _, number, modified = self.write(name, body)
            return self.answer(201, **self.facts(number, modified))
        if not number:
            return self.answer(404, x_ms_error_code="BlobNotFound")
        if self.command == "DELETE":
            del self.objects[name]
            return self.answer(202)
        whole = f"bytes 0-{len(data) - 1}/{len(data)}"
        status = 206 if "x-ms-range" in self.headers else 200
        return self.answer(status, data, Content_Range=whole, **self.facts(number, modified))

    @staticmethod
    def facts(number: int, modified: float) -> dict[str, str]:
        when = formatdate(modified, usegmt=True)
        return {"ETag": f'"{number}"', "Last_Modified": when, "x_ms_blob_type": "BlockBlob"}

    def list(self, query: dict[str, str]) -> None:
        names, token = self.page(query, query.get("marker", ""))
        blobs = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties>"
            f"<Last-Modified>{formatdate(modified, usegmt=True)}</Last-Modified>"
            f"<Etag>{number}</Etag><Content-Length>{len(data)}</Content-Length>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name in names
            for data, number, modified in [self.objects[name]]
        )
        text = (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="bucket">'
            f"<Blobs>{blobs}</Blobs><NextMarker>{token}</NextMarker></EnumerationResults>"
        )
        self.answer(200, text.encode(), Content_Type="application/xml")


@pytest.fixture(params=["s3", "gs", "az"])
def root(request, monkeypatch) -> Iterator[RemotePath]:
    """The address of an empty bucket."""
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.001)
    stores._opened.cache_clear()
    address = located(f"{request.param}://{BUCKET}")
    assert isinstance(address, RemotePath)
    if request.param == "s3":
        monkeypatch.setattr(s3, "KEYS_ON_A_PAGE", PAGE)
        with serving(monkeypatch) as server:
            kinds = {500: "500", 503: "503", None: "drop after"}
            server.fault = lambda _: kinds.get(StandIn.faults.pop(0)) if StandIn.faults else None
            yield address
    else:
        kind = {"gs": Google, "az": Azure}[request.param]
        with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}"
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
            monkeypatch.setenv(
                "AZURE_STORAGE_CONNECTION_STRING",
                f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey=c2VjcmV0;"
                f"BlobEndpoint={url}/account;",
            )
            from fsspec.config import conf

            monkeypatch.setitem(conf, "gs", {"token": "anon"})
            yield address
            server.shutdown()
    StandIn.objects.clear()
    StandIn.faults.clear()
    stores._opened.cache_clear()


@pytest.fixture
def store(root) -> Store:
    return store_of(root)


def test_an_object_is_written_read_and_removed(store, root, tmp_path):
    path = root / "some photos" / "ä+1.jpg"
    assert store.version(path) is None
    assert store.read(path) is None
    written = store.write(path, b"a picture")
    data, version = store.read(path)
    assert (data, version.name, version.size) == (b"a picture", written.name, 9)
    assert store.version(path).stamp == written.stamp == version.stamp
    assert abs(version.modified - time.time()) < 30
    store.fetch(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"a picture"
    store.remove(path)
    store.remove(path)
    assert store.version(path) is None
    with pytest.raises(FileNotFoundError, match="There is no such object"):
        store.fetch(path, tmp_path / "none")


def test_a_write_on_a_condition_is_refused_when_it_does_not_hold(store, root):
    path = root / "record.json"
    first = store.write_if(path, b"1", ABSENT)
    assert store.write_if(path, b"2", ABSENT) is None
    second = store.write_if(path, b"3", first.name)
    assert second.stamp != first.stamp
    assert store.write_if(path, b"4", first.name) is None
    assert store.read(path)[0] == b"3"
    store.remove(path)
    assert store.write_if(path, b"5", second.name) is None


def test_a_listing_comes_page_by_page_with_the_stamps(store, root):
    names = ["a.jpg", "b/c.jpg", "b/d.jpg", "b/e/f.jpg", "b2.jpg"]
    written = {name: store.write(root / name, name.encode()) for name in names}
    everything = list(store.list(root, deep=True))
    assert sorted(path.key for path in everything) == sorted(names)
    assert {path.key: path.stamp for path in everything} == {
        name: version.stamp for name, version in written.items()
    }
    assert {path.key for path in store.list(root / "b", deep=False)} == {"b/c.jpg", "b/d.jpg"}
    assert {path.key for path in store.list(root, deep=False)} == {"a.jpg", "b2.jpg"}
    assert next(store.list(root, deep=True)).key == "a.jpg"


def test_requests_are_tried_again_after_faults(store, root, tmp_path):
    path = root / "a.jpg"
    StandIn.faults[:] = [500, 503, None]
    version = store.write_if(path, b"a picture", ABSENT)
    assert version is not None
    StandIn.faults[:] = [None, 500]
    assert [found.stamp for found in store.list(root, deep=True)] == [version.stamp]
    StandIn.faults[:] = [503, None]
    assert store.read(path)[0] == b"a picture"
    StandIn.faults[:] = [500, 500]
    store.fetch(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"a picture"
    StandIn.faults[:] = [500, None]
    store.remove(path)
    assert store.version(path) is None
    assert StandIn.faults == []


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [(403, PermissionError, "refuses it"), (501, OSError, "status 501")],
)
def test_what_will_not_pass_is_not_tried_again(root, store, status, kind, reason):
    if root.scheme == "s3":
        pytest.skip("moto's server answers for itself")
    StandIn.faults[:] = [status, 0]
    with pytest.raises(kind, match=reason):
        store.write(root / "a.jpg", b"a picture")
    assert StandIn.faults == [0]


def test_an_end_of_tries_is_told_in_words(root, store):
    StandIn.faults[:] = [503] * retries.TRIES
    with pytest.raises(OSError, match=r"The store does not do it: \w+ \(status 503\)"):
        store.write(root / "a.jpg", b"a picture")
    assert StandIn.faults == []
