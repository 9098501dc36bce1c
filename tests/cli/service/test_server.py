"""The whole program: its address, its signals, and a kill in the middle of a picture."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import many_uploads
import pytest

from nstbatch.cli.service.server import Place
from nstbatch.runtime.errors import UsageError


def upload(port: int, iterations: int) -> str:
    fields = {"size": "48", "scales": "1", "iterations": str(iterations)}
    files = {"photo": many_uploads.jpeg(0), "style": many_uploads.jpeg(1)}
    data = many_uploads.form(fields, files)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(many_uploads.head(port, len(data)) + data)
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 202"), answer
    return answer.partition("location: /jobs/")[2].partition("\r\n")[0]


def test_a_killed_service_goes_on_and_a_signal_ends_it(tmp_path: Path) -> None:
    with many_uploads.service(tmp_path) as (process, port):
        jobs = [upload(port, 400), upload(port, 2)]
        while many_uploads.get(port, f"/jobs/{jobs[0]}")["progress"] is None:
            time.sleep(0.05)
        process.kill()
    with many_uploads.service(tmp_path) as (process, port):
        views = many_uploads.wait_for_ends(port, jobs, 60)
        assert [view["result"]["steps"] for view in views.values()] == [400, 2]
        upload(port, 2000)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 10
    assert sorted(path.name for path in (tmp_path / "jobs").glob(".*")) == [".service.lock"]


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    place = Place("0.0.0.0", 0)
    first, second = place.effective_token, place.effective_token
    assert first is not None
    assert len(first) >= 32
    assert first != second
    assert Place("127.0.0.1", 0).effective_token is None
    assert Place("0.0.0.0", 0, "a" * 16).effective_token == "a" * 16
    for token in ("", "short", "a" * 15, "a" * 20 + ";", "ä" * 20, "a b" * 9):
        with pytest.raises(UsageError, match="at least 16"):
            Place("127.0.0.1", 0, token)


def test_a_port_in_use_is_refused_with_a_sentence() -> None:
    with Place("127.0.0.1", 0).listen() as taken:
        place = Place("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(UsageError, match=r"cannot be used.*--port"):
            place.listen()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a sitecustomize for this process's children")
def test_a_missing_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('no', name='uvicorn')\n")
    run = subprocess.run(
        many_uploads.COMMAND,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "uvicorn" in run.stderr
    assert "nstbatch[serve]" in run.stderr
