"""Many uploads to a service at the same time, good and bad; tests of several folders use it."""

from __future__ import annotations

import http.client
import io
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BOUNDARY = "a-boundary"
STYLE = "waves"
PHOTOS = 8
"""Number of different photos."""

# What each kind of upload must be answered with; None for no answer, as the client has gone.
EXPECTED: Mapping[str, int | None] = {
    "photo": 202,
    "photo with its style": 202,
    "too large": 413,
    "no picture": 415,
    "torn picture": 422,
    "torn form": 400,
    "cut off": None,
    "wrong option": 422,
}

OPTIONS = {"size": "32", "iterations": "1", "scales": "1"}


@dataclass(frozen=True)
class Answered:
    """An upload and its answer.

    Attributes:
        kind: One of :data:`EXPECTED`.
        status: The status code; None for no answer.
        reason: The sentence of a refusal.
        job: The job of an accepted upload.
        refused: How often the queue was full before.
    """

    kind: str
    status: int | None
    reason: str | None
    job: str | None
    refused: int


@cache
def jpeg(seed: int, side: int = 48) -> bytes:
    """A photo of noise, each seed another one."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def form(fields: Mapping[str, str], files: Mapping[str, bytes]) -> bytes:
    """The body of a form."""
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    for name, data in files.items():
        parts.append(f'{head}"{name}"; filename="{name}.jpg"\r\n\r\n'.encode() + data + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def body(kind: str, seed: int, largest: int, side: int) -> bytes:
    """The body of an upload of a kind."""
    photo = jpeg(seed % PHOTOS, side)
    if kind == "too large":
        photo += bytes(largest)
    elif kind == "no picture":
        photo = b"Dear diary, today I pretended to be a picture.\n" * 100
    elif kind == "torn picture":
        photo = photo[: len(photo) // 2]
    fields = OPTIONS | ({"sise": "32"} if kind == "wrong option" else {})
    if kind == "photo with its style":
        return form(fields, {"photo": photo, "style": jpeg((seed + 1) % PHOTOS, side)})
    whole = form(fields | {"style": STYLE}, {"photo": photo})
    return whole[: len(whole) * 2 // 3] if kind == "torn form" else whole


def send(port: int, kind: str, seed: int, largest: int, side: int, patience: float) -> Answered:
    """Send an upload; if the queue is full again and again, for at most ``patience`` seconds."""
    data = body(kind, seed, largest, side)
    if kind == "cut off":
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(head(port, len(data)) + data[: len(data) // 2])
        return Answered(kind, None, None, None, 0)
    end, refused = time.monotonic() + patience, 0
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/jobs", data, {"Content-Type": content_type()})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        if answer.status != 429 or time.monotonic() > end:
            return Answered(kind, answer.status, said.get("detail"), said.get("id"), refused)
        refused += 1
        time.sleep(float(answer.headers["Retry-After"]) * random.uniform(0.5, 1.5))


def head(port: int, length: int) -> bytes:
    """The head of a request with a body of so many bytes."""
    return (
        f"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type()}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def content_type() -> str:
    return f"multipart/form-data; boundary={BOUNDARY}"


def send_all(
    port: int, kinds: Sequence[str], *, largest: int, side: int = 48, patience: float = 60.0
) -> list[Answered]:
    """Send uploads of these kinds, all at the same time, of photos of a side in pixels."""
    task = partial(_send_one, port, largest, side, patience)
    with ThreadPoolExecutor(len(kinds)) as pool:
        return list(pool.map(task, enumerate(kinds)))


def _send_one(
    port: int, largest: int, side: int, patience: float, numbered: tuple[int, str]
) -> Answered:
    seed, kind = numbered
    return send(port, kind, seed, largest, side, patience)


def get(port: int, path: str) -> Any:
    """The JSON at a path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def wait_for_ends(port: int, jobs: Sequence[str], seconds: float) -> dict[str, Any]:
    """Wait until jobs have ended, and return their last views."""
    end = time.monotonic() + seconds
    views = {job: get(port, f"/jobs/{job}") for job in jobs}
    while waiting := [job for job, view in views.items() if view["state"] not in ENDS]:
        assert time.monotonic() < end, f"{len(waiting)} jobs have not ended"
        time.sleep(0.2)
        views |= {job: get(port, f"/jobs/{job}") for job in waiting[:20]}
    return views


ENDS = ("done", "failed")


COMMAND = (sys.executable, "-m", "nstbatch", "serve", "--port", "0", "--model", "squeezenet1_1")
COMMAND += ("--device", "cpu")


@contextmanager
def service(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A service as a process, and its port."""
    process = subprocess.Popen(
        (*COMMAND, *words), cwd=folder, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("the service is at http://"), said + process.stderr.read()
        yield process, int(said.split("/")[2].rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
