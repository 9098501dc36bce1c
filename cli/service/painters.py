"""The threads that paint the jobs of the service, each with the batch of the library.

A job is a batch of one photo, in a folder of its own: it has a ledger and a checkpoint, so that one
that was interrupted goes on in the middle of its picture.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.cli.batch.faults import reason_of
from nstbatch.cli.jobs.painting import Status
from nstbatch.cli.library.batch import Batch, PictureRun
from nstbatch.cli.output.ledger import NAME
from nstbatch.cli.output.ledger_lines import PictureLine, read_lines
from nstbatch.runtime.errors import NstbatchError
from nstbatch.runtime.pictures.frame import without_frame
from nstbatch.runtime.pictures.images import Picture, as_picture

from .job import End, Job, State
from .job_options import JobOptions, job_options
from .job_queue import JobQueue
from .limits import Limits, RefusedError
from .style_folder import StyleFolder

if TYPE_CHECKING:
    from nstbatch.cli.batch.batch import Summary
    from nstbatch.cli.jobs.painting import Outcome
    from nstbatch.runtime.descent.progress import Progress
    from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
    from nstbatch.runtime.systems.style_transfer import StyleTransfer
    from nstbatch.runtime.systems.system import Result

log = logging.getLogger(__name__)

PAINTED = "painted"
"""The output folder of a job, in its own folder."""


class Painters:
    """Threads that paint with one loaded network."""

    def __init__(
        self,
        queue: JobQueue,
        transfer: StyleTransfer,
        styles: StyleFolder,
        limits: Limits,
        together: int = 1,
    ) -> None:
        """Start no thread yet.

        Args:
            queue: The jobs.
            transfer: The network.
            styles: The styles that jobs name.
            limits: The limits of the service.
            together: Largest number of photos to step as one batch. Twice as many are worked on.
        """
        self._queue, self._transfer, self._styles = queue, transfer, styles
        self._limits, self._together = limits, together
        self._stopped = threading.Event()
        self.fault: str | None = None
        """The last fault that concerns more than one photo, such as a full disk, if no job has
        succeeded since."""
        self._threads = [
            threading.Thread(target=self._work, name=f"painter-{number}", daemon=True)
            for number in range(2 * together)
        ]

    def __enter__(self) -> Painters:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the jobs under way before their next step, and end the threads."""
        self.stop()
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Ask the threads to end; may be called from any thread."""
        self._stopped.set()
        self._queue.close()

    def check(self, options: StyleTransferOptions) -> None:
        """Raise a UsageError for options that name a layer that the network lacks."""
        self._transfer.objective(options)

    @property
    def is_stopped(self) -> bool:
        """True once the threads were asked to end."""
        return self._stopped.is_set()

    def _work(self) -> None:
        while (job := self._queue.next()) is not None:
            try:
                end = self._painted(job)
            except RefusedError as error:  # its style is gone by now
                end = End(State.FAILED, error.reason)
            except Exception as error:  # the other jobs may be fine
                log.debug("The traceback of a job:", exc_info=error)
                end = End(State.FAILED, reason_of(error))
            is_cut_short = end is not None and end.state is State.FAILED and self._stopped.is_set()
            if end is None or is_cut_short:
                self._queue.put_back(job)
            else:
                self._queue.finish(job, end)

    def _painted(self, job: Job) -> End | None:
        """Paint a job; None if it was stopped."""
        options = job_options(job.order.options, self._limits)
        style = self._style(job)
        painting = _style_picture(style, options)

        def paint(photo: Path, run: PictureRun) -> Result:
            return self._transfer(photo, painting, options.painting, **run.arguments)

        batch = Batch(
            job.photo,
            job.folder / PAINTED,
            paint,
            self._transfer,
            options.painting,
            sources={"style": style},
            pictures=options.pictures,
            together=self._together,
        )
        outcomes: list[Outcome] = []
        summary = batch.run(
            progress=lambda photo, progress: self._note(job, progress),
            finished=outcomes.append,
            stop=lambda: self._stopped.is_set() or job.removed.is_set(),
        )
        return self._end(job, summary, outcomes)

    def _note(self, job: Job, progress: Progress) -> None:
        job.progress = progress

    def _end(self, job: Job, summary: Summary, outcomes: list[Outcome]) -> End | None:
        for outcome in outcomes:
            if outcome.status is Status.FAILED:
                return End(State.FAILED, outcome.reason)
            self.fault = None
            return _done(job)
        if summary.fault:
            self.fault = summary.fault
            return End(State.FAILED, summary.fault)
        return None

    def _style(self, job: Job) -> Path:
        if job.order.style_file is not None:
            return job.folder / job.order.style_file
        return self._styles.path(job.order.style or "")


def _style_picture(path: Path, options: JobOptions) -> Picture:
    picture = as_picture(path, options.painting.style_reading_size)
    return without_frame(picture)[0] if options.trims_style else picture


def _done(job: Job) -> End:
    """Return the end of a job whose picture is there, from its ledger.

    Raises:
        NstbatchError: The ledger does not have it.
    """
    data = (job.folder / PAINTED / NAME).read_bytes()
    lines = [line for line in read_lines(data, details=True) if isinstance(line, PictureLine)]
    for line in reversed(lines):
        if line.done:
            return End(
                State.DONE,
                picture=f"{PAINTED}/{line.output}",
                seconds=line.seconds,
                steps=line.steps,
                width=line.width,
                height=line.height,
                losses=dict(line.losses),
            )
    raise NstbatchError("The picture is there, and the ledger of its folder lacks it.")
