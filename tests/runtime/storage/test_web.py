"""Files from a web server: with a password or a signature, which is written and printed nowhere."""

import base64
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.main import run
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures.images import read
from nstbatch.runtime.storage import retries
from nstbatch.runtime.storage.addresses import located

SMALL = ("--size", "48", "--iterations", "2", "--scales", "1")
SIGNATURE, PASSWORD = "5ec2e7-signature", "pass%2F%2Fword%21"
LOGIN = base64.b64encode(b"user:pass//word!").decode()


def picture() -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serves one picture: signed, with a password, and after some faults."""

    faults = 0

    def do_GET(self):
        place = self.path.partition("?")[0]
        if place == "/signed.jpg" and f"sig={SIGNATURE}" not in self.path:
            return self.send_error(403)
        if place == "/private.jpg" and self.headers["Authorization"] != f"Basic {LOGIN}":
            return self.send_error(401)
        if place == "/missing.jpg":
            return self.send_error(404)
        if place == "/broken.jpg" or (place == "/slow.jpg" and Handler.faults):
            Handler.faults -= 1
            return self.send_error(503)
        data = picture()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        half = place == "/cut.jpg" and Handler.faults > 0
        Handler.faults -= half
        self.wfile.write(data[: len(data) // 2] if half else data)
        return None

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.001)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{found.server_port}"
        found.shutdown()


@pytest.mark.parametrize("name", ["plain.jpg", "slow.jpg", "cut.jpg"])
def test_a_picture_is_read_whole_also_after_faults(server, name):
    Handler.faults = 3
    assert read(located(f"http://{server}/{name}")).pixels.shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.jpg", "There is no such object"),
        ("signed.jpg?sig=wrong-secret", r"refuses it, or has not got credentials \(status 403\)"),
        ("broken.jpg?sig=wrong-secret", r"does not do it: ClientResponseError \(status 503\)"),
    ],
)
def test_an_error_is_a_sentence_without_the_query(server, name, reason):
    with pytest.raises(ImageError, match=reason) as raised:
        read(located(f"http://{server}/{name}"))
    error: BaseException | None = raised.value
    while error is not None:  # a traceback shows them all
        assert "wrong-secret" not in f"{error}{error!r}"
        error = error.__cause__ or error.__context__


def test_nobody_is_told_the_password_or_the_signature(server, tmp_path, capfd):
    out = tmp_path / "out"
    words = ["stylize", f"http://user:{PASSWORD}@{server}/private.jpg"]
    words += ["--from-file", str(tmp_path / "list"), *SMALL]
    words += ["-s", f"http://{server}/signed.jpg?sig={SIGNATURE}&u=http://x", "--device", "cpu"]
    words += ["--model", "squeezenet1_1", "-o", str(out), "--report", "--verbose", "--json"]
    lines = (f"http://{server}/signed.jpg?sig={SIGNATURE}", f"http://{server}/missing.jpg?sig=x5x")
    (tmp_path / "list").write_text("\n".join(lines))
    assert run(words) == 1
    said = "".join(capfd.readouterr())
    assert f"http://{server}/private.jpg" in said
    written = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    names = {"private.jpg", "signed.jpg", "nstbatch.jsonl", "nstbatch.toml", "report.html"}
    assert written.keys() == names
    everything = said.encode() + b"".join(written.values())
    for secret in (SIGNATURE, "x5x", "pass//word", "pass%2F%2Fword", LOGIN):
        assert secret.encode() not in everything
    assert run(words[:2] + words[4:]) == 0  # the photo that is there needs no other name
    assert run(["retry", str(out)]) == 1
    said = "".join(capfd.readouterr())
    assert SIGNATURE not in said


def test_copies_are_gone_afterwards(server):
    from nstbatch.runtime.storage.local_copies import LOCK, local_copy, scratch_folder

    with local_copy(located(f"http://{server}/plain.jpg")) as file:
        assert file.read_bytes() == picture()
        assert {path.name for path in scratch_folder().iterdir()} == {LOCK, file.name}
    assert {path.name for path in scratch_folder().iterdir()} == {LOCK}


def test_copies_of_a_killed_process_are_removed(tmp_path, monkeypatch):
    from nstbatch.runtime.storage import local_copies

    left = Path(tmp_path, f"{local_copies.PREFIX}x")
    left.mkdir()
    (left / local_copies.LOCK).touch()
    (left / "photo.jpg").write_bytes(b"a photo")
    monkeypatch.setattr(local_copies.tempfile, "gettempdir", lambda: str(tmp_path))
    local_copies._made.cache_clear()
    try:
        assert local_copies.scratch_folder().parent == tmp_path
        assert not left.exists()
    finally:
        local_copies._made.cache_clear()
