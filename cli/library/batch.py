"""A batch for Python programs: photos in, a folder of pictures out, nothing done twice.

It has the same ledger, claims, checkpoints and report as the command line, so it may be killed at
any moment: run again, it goes on, if need be in the middle of a picture::

    transfer = nstbatch.StyleTransfer("vgg16")
    options = nstbatch.StyleTransferOptions(size=512)

    def paint(photo: Path, run: nstbatch.PictureRun) -> nstbatch.Result:
        return transfer(photo, "monet.jpg", options, **run.arguments)

    batch = nstbatch.Batch(
        "holiday/", "painted/", paint, transfer, options, sources={"style": "monet.jpg"}
    )
    summary = batch.run()
    summary.counts, batch.write_report()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from nstbatch.cli.batch import batch as batches
from nstbatch.cli.batch.faults import resilient
from nstbatch.cli.batch.painted import painting_of
from nstbatch.cli.jobs.globs import Globs
from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.jobs.naming import Naming
from nstbatch.cli.jobs.parameters import as_json
from nstbatch.cli.jobs.plan import make_plan
from nstbatch.cli.jobs.search import Search
from nstbatch.cli.output.fingerprint import Origin, origin_of
from nstbatch.cli.output.known_results import KnownResults
from nstbatch.cli.output.output_folder import NetworkRecord, OutputFolder
from nstbatch.cli.output.picture_writer import PictureWriter
from nstbatch.cli.output.survey import Photos, refuse_outdated, survey
from nstbatch.runtime.formats.picture_options import PictureOptions
from nstbatch.runtime.storage.addresses import located

if TYPE_CHECKING:
    from nstbatch.cli.batch.batch import Summary
    from nstbatch.cli.jobs.painting import Outcome, Painting, Stop
    from nstbatch.cli.jobs.parameters import Setting
    from nstbatch.cli.jobs.plan import Job, Plan
    from nstbatch.cli.output.survey import Entry
    from nstbatch.runtime.descent.progress import Progress, ProgressCallback
    from nstbatch.runtime.engine.opened import Opened
    from nstbatch.runtime.systems.system import Result


class RunArguments(TypedDict):
    """The arguments that a system takes beside its pictures and options."""

    progress: ProgressCallback
    stop: Stop
    checkpoint: Path | None


@dataclass(frozen=True)
class PictureRun:
    """One picture of a batch under way.

    Attributes:
        progress: To be called after every step.
        stop: To be called before every step; True ends the run.
        checkpoint: A file to keep the run in, to go on after a kill.
    """

    progress: ProgressCallback
    stop: Stop
    checkpoint: Path | None

    @property
    def arguments(self) -> RunArguments:
        """The three by name, for the systems that take a checkpoint."""
        return {"progress": self.progress, "stop": self.stop, "checkpoint": self.checkpoint}


Paint: TypeAlias = "Callable[[Path, PictureRun], Result]"
"""Makes the picture of a photo."""


class Batch:
    """Photos, the folder of their pictures, and the function that paints one."""

    def __init__(
        self,
        photos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        out: str | os.PathLike[str],
        paint: Paint,
        network: Opened,
        options: object,
        *,
        sources: Mapping[str, str | os.PathLike[str]] | None = None,
        recursive: bool = False,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        pictures: PictureOptions | None = None,
        overwrite: bool = False,
        together: int = 1,
    ) -> None:
        """Describe a batch; nothing is read or written yet.

        Args:
            photos: Files and folders of photos.
            out: The folder for the pictures. Those of a folder have its tree.
            paint: Makes the picture of a photo. Its errors are failures of that photo.
            network: The system that paints, such as a
                :class:`nstbatch.runtime.systems.style_transfer.StyleTransfer`.
            options: Its options, a dataclass. Pictures that were made with others are outdated.
            sources: Further pictures that every picture is made from, such as the style, by names
                of your choice. Their bytes count.
            recursive: True to look into subfolders.
            include: Patterns, as in .gitignore files, of photos to take from folders; none for all.
            exclude: Patterns of photos to leave out.
            pictures: How pictures are written: format, quality, names, metadata.
            overwrite: True to paint again what is there, also files of other programs.
            together: Largest number of pictures to step as one batch; see
                :meth:`nstbatch.runtime.engine.engine.Engine.share`. Twice as many are worked on.

        Raises:
            UsageError: A pattern is wrong, or ``together`` is no whole number above 0.
        """
        inputs = [photos] if isinstance(photos, str | os.PathLike) else list(photos)
        self.out = located(out)
        self._search = Search(
            [located(each) for each in inputs],
            recursive=recursive,
            globs=Globs(list(include), list(exclude)),
            is_result=KnownResults(),
        )
        self._paint, self._network = paint, network
        self._pictures = pictures or PictureOptions()
        self._sources = {name: located(path) for name, path in (sources or {}).items()}
        self._settings = _settings(options)
        self._overwrite, self._together = overwrite, together
        self._photos = Photos()

    def plan(self) -> dict[Path, str]:
        """Return the state of every picture, by its path: a sentence for people.

        Raises:
            UsageError: A photo or folder does not exist, or two photos would become one picture.
        """
        entries = self._entries(self._plan(), self._folder(), self._origin())
        return {entry.job.output: entry.standing.value for entry in entries}

    def run(
        self,
        *,
        progress: Callable[[Path, Progress], None] | None = None,
        finished: Callable[[Outcome], None] | None = None,
        stop: Stop = lambda: False,
        fail_fast: bool = False,
    ) -> Summary:
        """Paint what is not there yet; a bad photo does not stop the others.

        Args:
            progress: Called with the photo after every step; from one thread at a time.
            finished: Called with the outcome of each photo, likewise.
            stop: Called between steps; True ends the batch, to be continued later.
            fail_fast: True to stop at the first failure.

        Returns:
            The numbers of pictures done, skipped, failed and left; why it stopped, if it did.

        Raises:
            UsageError: See :meth:`plan`; pictures are there that were made otherwise, and
                ``overwrite`` is False; or nothing can be written.
        """
        plan, folder, origin = self._plan(), self._folder(), self._origin()
        engine = self._network.engine
        engine.share(self._together)
        with folder:
            batch = batches.Batch(
                self._entries(plan, folder, origin),
                resilient(self._painter, engine),
                folder,
                origin,
                self._photos,
                plan.unreadable,
                begin=partial(folder.begin, self._invocation, origin, self._record),
                at_once=2 * self._together,
            )
            refuse_outdated(batch.entries)
            told = _Told(progress, finished)
            return batches.run(batch, told, fail_fast=fail_fast, stop=stop)

    def write_report(self) -> Path:
        """Write the page of the batch, and return its path: pictures before and after, losses."""
        from nstbatch.cli.report.page import write_page

        return write_page(self.out)

    @property
    def _invocation(self) -> Invocation:
        named = {name: os.fspath(path) for name, path in self._sources.items()}
        return Invocation(settings={**self._settings, **named})

    @property
    def _record(self) -> NetworkRecord:
        return NetworkRecord.of([self._network.engine.bundle])

    def _plan(self) -> Plan:
        template = self._pictures.name
        return make_plan(
            self._search,
            self.out,
            keep=list(self._sources.values()),
            suffix=self._pictures.suffix,
            naming=None if template is None else Naming(template, {}),
        )

    def _folder(self) -> OutputFolder:
        return OutputFolder(self.out, PictureWriter(self._pictures))

    def _origin(self) -> Origin:
        return origin_of(self._invocation, self._sources, self._record.sha256)

    def _entries(self, plan: Plan, folder: OutputFolder, origin: Origin) -> list[Entry]:
        return survey(
            plan, self.out, folder.ledger, origin, self._photos, overwrite=self._overwrite
        )

    def _painter(self, job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        run = PictureRun(progress, stop, job.checkpoint)
        return painting_of(self._paint(job.file, run))


@dataclass(frozen=True)
class _Told:
    """Tells the callbacks of a batch how it goes."""

    progress: Callable[[Path, Progress], None] | None
    finish: Callable[[Outcome], None] | None

    def started(self, job: Job) -> None:
        """Called before a job begins."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """Called after every step of a job."""
        if self.progress is not None:
            self.progress(job.file, progress)

    def finished(self, outcome: Outcome) -> None:
        """Called with the outcome of a job."""
        if self.finish is not None:
            self.finish(outcome)


def _settings(options: Any) -> dict[str, Setting]:
    """Return the values of options by their names, and their class, as the ledger keeps them."""
    values = {each.name: as_json(getattr(options, each.name)) for each in fields(options)}
    return {"options": type(options).__name__, **values}
