"""Uploads: any pieces, any fault, and nothing in memory that grows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from many_uploads import BOUNDARY, content_type, form
from starlette.requests import Request

from nstbatch.cli.service import uploads
from nstbatch.cli.service.limits import RefusedError
from nstbatch.cli.service.uploads import Form, receive

END = f"--{BOUNDARY}--\r\n".encode()
FIELDS = {"size": "64", "style": "größer", "empty": ""}
FILES = {"photo": bytes(range(256)) * 40 + b"\r\n--", "style": b""}


def read(data: bytes, folder: Path, cuts: Sequence[int] = ()) -> Form:
    read_form = Form(BOUNDARY.encode(), folder, ("photo", "style"))
    before = 0
    for cut in [*cuts, len(data)]:
        read_form.write(data[before:cut])
        before = cut
    read_form.close()
    return read_form


@pytest.mark.parametrize("seed", range(5))
def test_a_form_comes_in_any_pieces(tmp_path: Path, seed: int) -> None:
    data = form(FIELDS, FILES)
    cuts = sorted(random.Random(seed).sample(range(len(data)), 60))
    found = read(data, tmp_path, cuts)
    assert found.is_complete
    assert found.fields == {name: [value] for name, value in FIELDS.items()}
    assert found.files == {"photo": "photo.jpg", "style": "style.jpg"}
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES


def test_a_form_without_its_end_is_not_complete(tmp_path: Path) -> None:
    data = form(FIELDS, FILES)
    for end in (10, len(data) // 2, len(data) - 5):
        folder = tmp_path / str(end)
        folder.mkdir()
        assert not read(data[:end], folder).is_complete


def test_a_file_field_left_empty_in_a_browser_is_no_file(tmp_path: Path) -> None:
    data = form({}, {"photo": b"x", "style": b""}).replace(b'"style.jpg"', b'""')
    found = read(data, tmp_path)
    assert (found.files, found.fields) == ({"photo": "photo.jpg"}, {})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (form({f"f{n}": "" for n in range(101)}, {}), "more than 100 parts"),
        (form({"size": "1" * 9000}, {}), "too long"),
        (form({}, {"mask": b""}), "Only photo and style"),
        (form({}, {"photo": b""})[: -len(END)] + form({}, {"photo": b""}), "two files"),
    ],
)
def test_wrong_parts_are_refused(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(RefusedError) as raised:
        read(data, tmp_path)
    assert said in raised.value.reason


def receive_from(messages: list[dict[str, Any]], folder: Path, **headers: str) -> Form:
    async def next_message() -> dict[str, Any]:
        if not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    given = {"content-type": content_type(), **headers}
    scope = {
        "type": "http",
        "headers": [(name.replace("_", "-").encode(), v.encode()) for name, v in given.items()],
    }
    request = Request(scope, next_message)
    received = receive(request, folder, ("photo", "style"), 50_000)
    # In a thread of its own: this one may have a loop, which tests in a browser leave running.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, received).result()


def piece(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def test_a_large_body_is_refused_by_its_head(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as raised:
        receive_from([], tmp_path, content_length="50001")
    assert raised.value.status == 413


def test_a_large_body_without_a_length_is_refused_on_the_way(tmp_path: Path) -> None:
    start = form({}, {"photo": b""})[: -len(END)]
    messages = [piece(start), *(piece(bytes(10_000)) for _ in range(9))]
    with pytest.raises(RefusedError) as raised:
        receive_from(messages, tmp_path)
    assert raised.value.status == 413
    assert len(messages) == 4  # it did not read on
    assert (tmp_path / "photo").stat().st_size < 50_000


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([piece(b"no form at all"), piece(b"", more=False)], 400),
        ([piece(form(FIELDS, FILES)[:500], more=False)], 400),
        ([piece(form(FIELDS, FILES)[:500]), {"type": "http.disconnect"}], 400),
        ([piece(b"", more=False)], 400),
        ([piece(form(FIELDS, FILES)[:500])], 408),
    ],
)
def test_what_does_not_arrive_whole_is_refused(
    tmp_path: Path, messages: list[dict[str, Any]], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SILENCE", 0.2)
    with pytest.raises(RefusedError) as raised:
        receive_from(list(messages), tmp_path)
    assert raised.value.status == status
    assert raised.value.reason.endswith(".")
