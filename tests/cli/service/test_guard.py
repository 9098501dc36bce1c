"""Who may talk to the service, and who may not."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from nstbatch.cli.service.guard import is_loopback

from .conftest import Start

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_this_machine_may_come_in_by_its_own_names(start: Start, host: str) -> None:
    with start(paints=False) as parts:
        assert parts.client.get("/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example:8000", "evil.example", "localhost", "127.0.0.1:1"])
def test_other_names_of_this_machine_are_refused(start: Start, host: str) -> None:
    """DNS rebinding: a web site lets its own name lead here."""
    with start(paints=False) as parts:
        answer = parts.client.get("/jobs", headers={"Host": host})
        assert answer.status_code == 403
        assert "localhost only" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:8000", 200), ("https://evil.example", 403), ("null", 403)],
)
def test_pages_of_other_sites_may_not_use_it(start: Start, origin: str, status: int) -> None:
    with start(paints=False) as parts:
        assert parts.client.get("/jobs", headers={"Origin": origin}).status_code == status


def test_a_token_is_needed_if_there_is_one(start: Start) -> None:
    with start(token=TOKEN, paints=False) as parts:
        client = parts.client
        assert client.get("/health").status_code == 200
        for path in ("/", "/jobs", "/styles", "/openapi.json", "/?token=wrong"):
            answer = client.get(path, follow_redirects=False)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        for value in ("", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9\xe8"):
            headers = {"Authorization": value.encode("latin-1")}
            assert client.get("/jobs", headers=headers).status_code == 401
        for value in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
            assert client.get("/jobs", headers={"Authorization": value}).status_code == 200
        # The token, and not the name, says who may come in.
        headers = {"Authorization": f"Bearer {TOKEN}", "Host": "photos.example"}
        assert client.get("/jobs", headers=headers).status_code == 200


def test_a_browser_keeps_the_token_as_a_cookie(start: Start) -> None:
    with start(token=TOKEN, paints=False) as parts:
        client: TestClient = parts.client
        answer = client.get(f"/?token={TOKEN}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/jobs").status_code == 200
        client.cookies.clear()
        assert client.get("/jobs", headers={"Cookie": "nstbatch-token=x"}).status_code == 401


def test_every_answer_keeps_browsers_careful(start: Start) -> None:
    with start(token=TOKEN, paints=False) as parts:
        for path in ("/health", "/jobs", "/nowhere"):
            headers = parts.client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[(host, True) for host in ("127.0.0.1", "127.9.9.9", "localhost", "::1")],
        *[(host, False) for host in ("0.0.0.0", "::", "192.168.1.2", "photos.example", "")],
    ],
)
def test_the_addresses_of_this_machine_alone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
