"""Snapshots: pictures on the way to a result, in a folder beside it.

``photo.jpg.snapshots/000001.jpg`` and so on, evenly over the steps of all sizes. A hidden file in
the folder marks them as results, as it does with the frames of a film, so that no later run takes
them for photos.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.files import temporary_name, write_atomically

from .known_results import FRAMES_FROM

if TYPE_CHECKING:
    from nstbatch.runtime.arrays import Array
    from nstbatch.runtime.descent.progress import Progress

SUFFIX = ".snapshots"

_SNAPSHOT = re.compile(r"\d{6}\.\w+")


class Snapshots:
    """The snapshots of one picture, which this process paints."""

    def __init__(
        self, output: Path, count: int, encode: Callable[[Array], bytes], token: str
    ) -> None:
        """Remove those of an earlier painting, if none are wanted now.

        Args:
            output: The picture.
            count: Number of snapshots; 0 for none.
            encode: Makes the file of a picture (H, W, 3).
            token: See :func:`nstbatch.runtime.files.write_atomically`.
        """
        self._folder = output.with_name(output.name + SUFFIX)
        self._suffix = output.suffix
        self._count = count
        self._encode = encode
        self._token = token
        self._taken = 0
        self._step: int | None = None
        if not count:
            self._remove_from(1)

    def __call__(self, progress: Progress) -> None:
        """Take the snapshots that are due at a step.

        Raises:
            ImageError: A folder of this name is there already, and not ours.
            OSError: A file cannot be written.
        """
        count = min(self._count, progress.steps - 1)
        if count < 1 or progress.picture is None:
            return
        # They divide the steps into equal parts; the last part ends with the picture itself.
        due = min(count, progress.step * (count + 1) // progress.steps)
        if self._step is None or progress.step < self._step:
            self._begin(due, f"{count} of {progress.steps} steps")
        self._step = progress.step
        if due > self._taken:
            data = self._encode(progress.picture())
            # Several at once if a size has ended early.
            for number in range(self._taken + 1, due + 1):
                write_atomically(self._path(number), data, self._token)
            self._taken = due

    def _begin(self, due: int, series: str) -> None:
        """Begin with the first step, or go on from a checkpoint: those before it are there."""
        marker = self._folder / FRAMES_FROM
        is_same = marker.is_file() and marker.read_bytes() == series.encode()
        self._remove_from(due + 1 if is_same else 1)
        self._folder.mkdir(parents=True, exist_ok=True)
        # Of a process that was killed.
        (self._folder / temporary_name(self._token)).unlink(missing_ok=True)
        if not marker.is_file() and any(self._folder.iterdir()):
            raise ImageError(
                f"{printable(self._folder)} is there already, and was not made by an earlier run. "
                "Choose another output folder with --out, or leave out --snapshots."
            )
        write_atomically(marker, series.encode(), self._token)
        self._taken = due

    def _remove_from(self, number: int) -> None:
        """Remove the snapshots from a number on, and with all of them their folder.

        A folder without the marker is not ours.
        """
        marker = self._folder / FRAMES_FROM
        if not marker.is_file():
            return
        for path in self._folder.iterdir():
            if _SNAPSHOT.fullmatch(path.name) and int(path.stem) >= number:
                path.unlink()
        if number == 1:
            marker.unlink()
            with suppress(OSError):  # other files lie there
                self._folder.rmdir()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}{self._suffix}"
