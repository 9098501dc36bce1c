"""Runs the service until Ctrl-C or SIGTERM."""

from __future__ import annotations

import logging
import secrets
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from nstbatch.cli.batch.interrupt import Interrupt
from nstbatch.cli.exit_codes import DONE, FAILED
from nstbatch.runtime.errors import UsageError

from .app import Service, make_app
from .guard import is_loopback
from .job_queue import JobQueue
from .limits import Limits
from .painters import Painters
from .style_folder import StyleFolder

if TYPE_CHECKING:
    from nstbatch.runtime.systems.style_transfer import StyleTransfer

# Seconds between two looks at signals, and seconds that answers under way may take at the end:
# the process should end within one.
PATIENCE, GRACE = 0.1, 0.5

# Connections at a time, half of the files that a process may usually have open; each upload has a
# file too. More get 503.
CONNECTIONS = 512

# Loggers that warn of what clients send: clients get an answer, and nobody here is concerned.
NOISY = ("uvicorn", "python_multipart")

# A token of fewer characters can be guessed; other characters would need quotes in a header.
SHORTEST_TOKEN = 16
TOKEN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True)
class Place:
    """Where the service listens, and who may come in.

    Attributes:
        host: Name or address of a network interface of this machine.
        port: The port; 0 for any free one.
        token: The token that clients must have; None for none.
    """

    host: str
    port: int
    token: str | None = None

    def __post_init__(self) -> None:
        """Raise a UsageError for a token that is too short, or has other characters."""
        token = self.token
        if token is not None and (len(token) < SHORTEST_TOKEN or set(token) - TOKEN_CHARACTERS):
            raise UsageError(
                f"The token needs at least {SHORTEST_TOKEN} characters, of letters, digits and "
                "-._~."
            )

    @property
    def effective_token(self) -> str | None:
        """The token; a new one if none was given and other machines reach the service."""
        if self.token is None and not is_loopback(self.host):
            return secrets.token_urlsafe(32)
        return self.token

    def listen(self) -> socket.socket:
        """Return a socket that listens; a UsageError if the place cannot be had."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=2048)
        except OSError as error:
            raise UsageError(
                f"Port {self.port} of {self.host} cannot be used: {error.strerror}. "
                "Choose another with --port or --host."
            ) from error


def serve(
    place: Place,
    folder: Path,
    transfer: StyleTransfer,
    styles: StyleFolder,
    limits: Limits,
    *,
    together: int = 1,
    quiet: bool = False,
) -> int:
    """Serve until a signal, and return the exit code.

    Args:
        place: Where to listen.
        folder: The folder of the jobs.
        transfer: The network.
        styles: The styles that are offered by name.
        limits: What a client may ask.
        together: See :class:`.painters.Painters`.
        quiet: True to print no address, unless it has a new token.

    Raises:
        UsageError: The port or the folder cannot be used.
    """
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    token = place.effective_token
    transfer.engine.share(together)
    with place.listen() as listener, JobQueue(folder, limits) as queue:
        painters = Painters(queue, transfer, styles, limits, together)
        app = make_app(Service(queue, painters, styles, limits, token))
        server = HttpServer(app, listener)

        def terminate() -> None:
            painters.stop()
            transfer.engine.terminate()

        with Interrupt(terminate) as interrupt, painters:
            server.start()
            if token != place.token or not quiet:
                _say(place.host, listener, token if token != place.token else None)
            while server.is_alive() and not interrupt():
                server.wait(PATIENCE)
            server.stop()
        return DONE if interrupt() else FAILED


def _say(host: str, listener: socket.socket, token: str | None) -> None:
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}/"
    key = f"?token={token}" if token else ""
    print(f"the service is at {address}{key}", file=sys.stderr, flush=True)


class HttpServer:
    """Uvicorn in a thread, since the main thread takes signals."""

    def __init__(self, app: object, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,  # an address may hold the token
            server_header=False,
            limit_concurrency=CONNECTIONS,
            proxy_headers=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="http", daemon=True
        )

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return False once it has ended."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, for so long at most."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """End it: first those answers that are nearly complete, then all."""
        self._server.should_exit = True
        self._thread.join(GRACE)
        self._server.force_exit = True
        self._thread.join()
