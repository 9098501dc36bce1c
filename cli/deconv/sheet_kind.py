"""A kind of sheets that ``nstbatch deconv`` draws: filters, training epochs, or two networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nstbatch.cli.jobs.effort import Effort
    from nstbatch.cli.jobs.painting import Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.engine.engine import Engine

Say = Callable[[str], None]
"""Prints a line for people."""


class SheetKind(Protocol):
    """Sheets of one kind: their jobs, and the painter of the jobs."""

    @property
    def engines(self) -> MutableSequence[Engine]:
        """The networks; those of training epochs are added as they are opened."""

    @property
    def unreadable(self) -> Mapping[Path, str]:
        """The images that could not be read so far, and why."""

    @property
    def effort(self) -> Effort | None:
        """The work for the sheets, if it is known."""

    def check(self) -> None:
        """Raise a UsageError for a fault of all sheets."""

    def search(self, progress: Callable[[int], None], stop: Stop) -> None:
        """Look at the images, if that is needed to know which sheets there will be.

        Args:
            progress: Called with the number of images that are done.
            stop: Asked between batches of images whether to give up: a KeyboardInterrupt.
        """

    def jobs(self) -> Sequence[Job]:
        """Return the sheets, as far as they are known."""

    def paint(self, job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        """Draw one sheet."""

    def finish(self, stop: Stop) -> Sequence[Path]:
        """Draw what belongs to several sheets, and return the new files."""


def of_images(
    progress: ProgressCallback, stage: str, images: int, size: int
) -> Callable[[int], None]:
    """Return a function that reports the number of images done as the progress of a job.

    Args:
        progress: Told of each batch of images.
        stage: A word for the pass.
        images: Number of images in the pass.
        size: Side of the images, in pixels.
    """
    from nstbatch.runtime.descent.progress import Progress

    def report(done: int) -> None:
        progress(
            Progress(
                scale=1,
                scales=1,
                step=done,
                steps=images,
                share=done / images,
                height=size,
                width=size,
                losses={},
                stage=stage,
            )
        )

    return report
