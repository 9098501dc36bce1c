"""Checkpoints on disk: a run in the middle of an image, kept and gone on from.

On the processor, in fp32, a run that goes on from a checkpoint ends bit for bit where it would have
ended without the break: images and the optimiser's state are all that a step depends on.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nstbatch.runtime.files import temporary_name, write_atomically

from .pyramid import Checkpoint

log = logging.getLogger(__name__)

SECONDS = 60.0
"""How much work a broken run may lose, where writing costs nothing. A guess."""

TOLERATED = 3.0
"""Seconds that one may take, 5 % of the time; slower ones are written the more seldom. The history
of L-BFGS at 1024 pixels is half a gigabyte."""

_RUN, _PLACE, _SEEN, _IMAGES, _STATE = "run", "place", "seen", "images", "state/"


class CheckpointFile:
    """Keeps the newest checkpoint of one run in a file, which is gone when the run is finished."""

    def __init__(
        self,
        path: Path,
        *identity: object,
        every: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on from what the file holds, if it is of the same run.

        Args:
            path: Its folder exists.
            identity: What makes a run another one: pictures, sizes, options; see
                :func:`digest_of`.
            every: Seconds from one checkpoint to the next, if writing one takes no longer than
                :data:`TOLERATED`.
            clock: Tells the seconds.
        """
        self._path = path
        self._run = digest_of(*identity)
        self._every = every
        self._wait = every
        self._clock = clock
        self._latest = clock()
        self._sweep()

    def resume(self) -> Checkpoint | None:
        """The checkpoint in the file; None if there is none, or it is damaged or another run's."""
        try:
            # Its bytes, since numpy leaves a file open that it cannot make sense of.
            with np.load(io.BytesIO(self._path.read_bytes()), allow_pickle=False) as arrays:
                if arrays[_RUN].item() != self._run:
                    return None
                level, steps, taken = arrays[_PLACE].tolist()
                state = {
                    name.removeprefix(_STATE): arrays[name]
                    for name in arrays.files
                    if name.startswith(_STATE)
                }
                seen = list(map(tuple, arrays[_SEEN].tolist()))
                return Checkpoint(level, steps, arrays[_IMAGES], state, taken, seen)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.debug("The checkpoint %s cannot be used: %s", self._path, error)
            return None

    def keep(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """Write a checkpoint, if the last one is old enough; an OSError if that fails."""
        now = self._clock()
        if now - self._latest < self._wait:
            return
        self._latest = now
        now_at = checkpoint()
        arrays: dict[str, Any] = {_STATE + name: values for name, values in now_at.state.items()}
        arrays |= {_RUN: self._run, _IMAGES: now_at.images}
        arrays |= {_PLACE: [now_at.level, now_at.steps, now_at.taken], _SEEN: list(now_at.seen)}
        file = io.BytesIO()
        np.savez(file, **arrays)
        write_atomically(self._path, file.getvalue(), self._path.stem)
        self._latest = self._clock()
        self._wait = self._every * max(1.0, (self._latest - now) / TOLERATED)

    def discard(self) -> None:
        """Remove the file: the run is finished."""
        self._path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what a process that was killed was writing."""
        self._path.with_name(temporary_name(self._path.stem)).unlink(missing_ok=True)


def digest_of(*parts: object) -> str:
    """SHA-256, in hexadecimal, of what makes a run another one.

    Args:
        parts: Arrays count by their values, everything else by its ``repr``.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(repr(part.shape).encode())
            digest.update(part.tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
