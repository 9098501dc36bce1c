"""The way to one worker, wherever it runs: messages go to it, and come from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias


class Channel(Protocol):
    """A worker that was started, as far as messages go."""

    @property
    def name(self) -> str:
        """The worker in messages for people: "process 4711"."""

    def send(self, message: Any) -> None:
        """Send a message; nothing happens if the worker has ended."""

    def messages(self) -> Iterator[Any]:
        """Yield the worker's messages until it has ended."""

    @property
    def end(self) -> str:
        """How it ended, as the end of a sentence; waits until it has."""

    def close(self, *, at_once: bool) -> None:
        """End the worker, and wait until it has ended.

        Args:
            at_once: True to end it in the middle of a photo.
        """


Opener: TypeAlias = Callable[[], Channel]
"""Starts a worker."""

# Seconds that an idle worker may take to end. A guess.
GRACE = 5.0
