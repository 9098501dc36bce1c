"""Checkpoints on disk: the state of a run in the middle of an image, from which it can resume.

On the processor, in fp32, a resumed run gives bit for bit the result of an uninterrupted one: a
step depends on nothing but the images and the optimiser's state.
"""

from __future__ import annotations

import hashlib
import logging
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nstbatch.runtime import scratch
from nstbatch.runtime.files import temporary_name, write_atomically

from .pyramid import Checkpoint

log = logging.getLogger(__name__)

SECONDS = 60.0
"""Seconds of work that an interrupted run may lose, if writing is quick. A guess."""

TOLERATED = 3.0
"""Longest time of one write in seconds, 5 % of the run; slower ones are written less often. The
history of L-BFGS at 1024 pixels is half a gigabyte."""

_RUN, _PLACE, _SEEN, _IMAGES, _STATE = "run", "place", "seen", "images", "state/"
_BEGUN = "begun"


class CheckpointFile:
    """The file with the newest checkpoint of one run; removed when the run is finished."""

    def __init__(
        self,
        path: Path,
        *identity: object,
        every: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use a file, whether or not it exists.

        Args:
            path: The file; its folder exists.
            identity: Everything that tells one run from another: pictures, sizes, options; see
                :func:`digest_of`.
            every: Seconds between checkpoints, if writing one takes at most :data:`TOLERATED`.
            clock: Returns the time in seconds.
        """
        self._path = path
        self._run = digest_of(*identity)
        self._every = every
        self._wait = every
        self._clock = clock
        self._latest = clock()
        self._sweep()

    def resume(self) -> Checkpoint | None:
        """Read the checkpoint; None if it is missing, damaged or belongs to another run."""
        try:
            # Opened here, since numpy does not close a file that it cannot parse.
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                if arrays[_RUN].item() != self._run:
                    return None
                level, steps, taken = arrays[_PLACE].tolist()
                state = {
                    name.removeprefix(_STATE): scratch.copied(arrays[name])
                    for name in arrays.files
                    if name.startswith(_STATE)
                }
                seen = list(map(tuple, arrays[_SEEN].tolist()))
                images, begun = scratch.copied(arrays[_IMAGES]), scratch.copied(arrays[_BEGUN])
                return Checkpoint(level, steps, images, state, taken, seen, begun)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.debug("The checkpoint %s cannot be used: %s", self._path, error)
            return None

    def keep(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """Write a checkpoint if the last one is old enough; an OSError if writing fails."""
        now = self._clock()
        if now - self._latest < self._wait:
            return
        self._latest = now
        now_at = checkpoint()
        arrays: dict[str, Any] = {_STATE + name: values for name, values in now_at.state.items()}
        arrays |= {_RUN: self._run, _IMAGES: now_at.images, _BEGUN: now_at.begun}
        arrays |= {_PLACE: [now_at.level, now_at.steps, now_at.taken], _SEEN: list(now_at.seen)}
        write_atomically(self._path, lambda file: np.savez(file, **arrays), self._path.stem)
        self._latest = self._clock()
        self._wait = self._every * max(1.0, (self._latest - now) / TOLERATED)

    def discard(self) -> None:
        """Remove the file: the run is finished."""
        self._path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove the unfinished file of a process that was killed."""
        self._path.with_name(temporary_name(self._path.stem)).unlink(missing_ok=True)


def digest_of(*parts: object) -> str:
    """Return the SHA-256, in hexadecimal, of everything that tells one run from another.

    Args:
        parts: Arrays count by their values, everything else by its ``repr``.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(repr(part.shape).encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
