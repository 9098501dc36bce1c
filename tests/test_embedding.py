"""The service of docs/embedding.md, as its users meet it; the page's other examples just run."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

import nstbatch

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "embedding.md"
WAIT = 60


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TestClient, dict[str, Any]]]:
    monkeypatch.chdir(ROOT)
    (code,) = (
        block
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
        if "FastAPI" in block
    )
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(code, str(PAGE), "exec"), names)
    with TestClient(names["app"]) as client:
        yield client, names


def fetched(client: TestClient, name: str) -> Any:
    until = time.monotonic() + WAIT
    while (answer := client.get(f"/pictures/{name}")).status_code == 202:
        assert time.monotonic() < until
        time.sleep(0.05)
    return answer


def test_the_service_paints_in_the_background(service: tuple[TestClient, dict[str, Any]]) -> None:
    client, _ = service
    photo = (ROOT / "examples/photos/coffee.jpg").read_bytes()
    accepted = [client.post("/pictures", files={"photo": photo}) for _ in range(2)]
    broken = client.post("/pictures", files={"photo": photo[:1000]})
    assert {answer.status_code for answer in (*accepted, broken)} == {202}
    for answer in accepted:
        found = fetched(client, answer.json()["name"])
        assert found.headers["content-type"] == "image/png"
        assert max(Image.open(io.BytesIO(found.content)).size) == 64
    refused = fetched(client, broken.json()["name"])
    assert refused.status_code == 422
    assert refused.json()["detail"]


def test_the_service_has_limits(service: tuple[TestClient, dict[str, Any]]) -> None:
    client, names = service
    names["LARGEST_UPLOAD"] = 100
    assert client.post("/pictures", files={"photo": b"x" * 101}).status_code == 413
    assert client.get("/pictures/none").status_code == 404
    names["queue"].full = lambda: True
    assert client.post("/pictures", files={"photo": b"x"}).status_code == 503


def test_the_service_ends_in_the_middle_of_a_picture(
    service: tuple[TestClient, dict[str, Any]],
) -> None:
    client, names = service
    names["OPTIONS"] = nstbatch.StyleTransferOptions(size=64, iterations=100_000)
    photo = (ROOT / "examples/photos/coffee.jpg").read_bytes()
    answer = client.post("/pictures", files={"photo": photo})
    assert client.get(f"/pictures/{answer.json()['name']}").status_code == 202
