"""A service in this process: its parts, a client, and one on a port of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import many_uploads
import pytest
from fastapi.testclient import TestClient

import nstbatch
from nstbatch.cli.service.app import Service, make_app
from nstbatch.cli.service.job_queue import JobQueue
from nstbatch.cli.service.limits import Limits
from nstbatch.cli.service.painters import Painters
from nstbatch.cli.service.server import HttpServer, Place
from nstbatch.cli.service.style_folder import StyleFolder

LIMITS = Limits(upload=200_000, side=64, steps=100_000, waiting=8, kept=50)
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="session")
def transfer() -> nstbatch.StyleTransfer:
    return nstbatch.StyleTransfer("squeezenet1_1", device="cpu", threads=1)


@pytest.fixture
def styles(tmp_path: Path) -> StyleFolder:
    folder = tmp_path / "styles"
    folder.mkdir()
    (folder / f"{many_uploads.STYLE}.jpg").write_bytes(many_uploads.jpeg(99))
    return StyleFolder(folder)


@dataclass(frozen=True)
class Parts:
    """A service under test."""

    queue: JobQueue
    painters: Painters
    client: TestClient
    port: int = 0

    @property
    def left_over(self) -> list[Path]:
        """What unfinished uploads have left."""
        return list((self.queue.folder / ".incoming").iterdir())


Start = Callable[..., AbstractContextManager[Parts]]


@pytest.fixture
def start(
    tmp_path: Path, transfer: nstbatch.StyleTransfer, styles: StyleFolder
) -> Callable[..., AbstractContextManager[Parts]]:
    """A function that starts a service within a ``with`` block."""

    @contextmanager
    def starting(
        limits: Limits = LIMITS,
        *,
        token: str | None = None,
        paints: bool = True,
        listens: bool = False,
        together: int = 1,
    ) -> Iterator[Parts]:
        with JobQueue(tmp_path / "jobs", limits) as queue:
            painters = Painters(queue, transfer, styles, limits, together)
            app = make_app(Service(queue, painters, styles, limits, token))
            listener = Place("127.0.0.1", 0).listen()
            port = listener.getsockname()[1]
            server = HttpServer(app, listener)
            if listens:
                server.start()
            if paints:
                painters.__enter__()
            try:
                yield Parts(queue, painters, TestClient(app, base_url=ADDRESS), port)
            finally:
                if listens:
                    server.stop()
                listener.close()
                painters.stop()
                if paints:
                    painters.__exit__(None, None, None)

    return starting
