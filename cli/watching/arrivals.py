"""The arrival of photos in a folder that is watched: complete, and each version of a file once.

A program that copies, downloads or exports a photo writes it piece by piece under its final name.
So a file has arrived when its size and time have stayed the same for a while and it can be decoded.
One that cannot be decoded gets more time, since its writer may only have paused; then it counts as
arrived too, and its painter says what is wrong with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nstbatch.runtime.errors import ImageError

SETTLING = 2.0
"""Seconds for which a file must stay the same. A guess; FAT's clock has two."""

PATIENCE = 60.0
"""Seconds for which a file that cannot be decoded must stay the same. A guess."""

Version: TypeAlias = tuple[int, int]
"""Size of a file in bytes, and the time of its last change in nanoseconds."""


@dataclass
class _Seen:
    """A version of a file that is being waited for.

    Attributes:
        version: The version.
        since: When it was first seen, in seconds.
        look: When to try to decode it, in seconds.
    """

    version: Version
    since: float
    look: float


class Arrivals:
    """The files that are being waited for, and those that have been dealt with."""

    def __init__(
        self,
        is_whole: Callable[[Path], bool],
        *,
        settling: float = SETTLING,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wait for nothing yet.

        Args:
            is_whole: Decodes a file, and returns whether that was possible.
            settling: See :data:`SETTLING`.
            patience: See :data:`PATIENCE`.
            clock: Returns the time in seconds.
        """
        self._is_whole, self._clock = is_whole, clock
        self._settling, self._patience = settling, patience
        self._seen: dict[Path, _Seen] = {}
        self._dealt_with: dict[Path, Version] = {}

    @property
    def is_waiting(self) -> bool:
        """True if a file is being waited for."""
        return bool(self._seen)

    def is_new(self, path: Path) -> bool:
        """Return True for a file that has not been dealt with, or has changed since."""
        return self._dealt_with.get(path) != version(path)

    def ready(self, paths: Iterable[Path]) -> set[Path]:
        """Return those of these files that have arrived.

        Args:
            paths: All new files; others are no longer waited for.
        """
        now, ready = self._clock(), set()
        before, self._seen = self._seen, {}
        for path in paths:
            current = version(path)
            if current is None:  # it was moved away
                continue
            seen = before.get(path)
            if seen is None or seen.version != current:
                seen = _Seen(current, now, now + self._settling)
            self._seen[path] = seen
            if now >= seen.look and self._has_arrived(path, seen, now):
                ready.add(path)
        return ready

    def _has_arrived(self, path: Path, seen: _Seen, now: float) -> bool:
        waited = now - seen.since
        if waited >= self._patience or self._is_whole(path):
            return version(path) == seen.version
        # Decoding takes time, so the pauses between two tries become longer.
        seen.look = now + min(waited, self._patience - waited)
        return False

    def deal_with(self, path: Path) -> None:
        """Note that a file is dealt with, in the version that was last seen."""
        seen = self._seen.pop(path, None)
        current = version(path) if seen is None else seen.version
        if current is not None:
            self._dealt_with[path] = current


def is_whole(path: Path) -> bool:
    """Return True if a picture can be decoded."""
    from nstbatch.runtime.pictures.images import check_whole

    try:
        check_whole(path)
    except ImageError:
        return False
    return True


def version(path: Path) -> Version | None:
    """Return the version of a file; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
