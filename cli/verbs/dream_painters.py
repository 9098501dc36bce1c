"""What ``nstbatch dream`` paints with: a plan and a painter each for photos, films and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.cli.options.dream import parse_classes
from nstbatch.cli.text import printable
from nstbatch.runtime.checks import at_least
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.pictures.films import Video, check_encoder, encode
from nstbatch.runtime.systems.dream_options import ClassPictureOptions, DreamOptions, ZoomOptions

from .carry_out import BatchOptions, check_finished, find_photos, painting_of, read_picture

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job, Plan
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.engine.engine import Engine
    from nstbatch.runtime.pictures.images import ImageLike, Picture
    from nstbatch.runtime.systems.deepdream import DeepDream

# Frames a second: a GIF counts the hundredths that a frame stays in 16 bits.
SLOWEST = 0.01

NOISE = Path("noise")
"""What stands for the photo in a film that is dreamed from none."""


@dataclass(frozen=True)
class Network:
    """What dreams, and where."""

    model: str
    device: str
    precision: str
    threads: int | None

    def place(self) -> dict[str, Any]:
        """Where, as the classes of the library take it."""
        return {"device": self.device, "precision": self.precision, "threads": self.threads}


@dataclass(frozen=True)
class Work:
    """What is to be painted, by whom, and what it is computed with."""

    plan: Plan
    painter: Painter
    engine: Engine


@dataclass(frozen=True)
class Film:
    """What is made of frames.

    Raises:
        UsageError: For a kind of film that cannot be made here, or a value that is out of range.
    """

    zoom: ZoomOptions
    video: Video
    fps: float

    def __post_init__(self) -> None:
        check_encoder(self.video)
        at_least("fps", self.fps, SLOWEST)

    @property
    def suffix(self) -> str:
        """Of the output, which is the last frame where no film is made."""
        return ".png" if self.video == "none" else f".{self.video}"

    def folder(self, output: Path) -> Path:
        """Where the frames of an output lie."""
        return output.parent if self.video == "none" else output.with_suffix("")

    def job(self, job: Job) -> Job:
        """The job with the output that says that all is done."""
        from nstbatch.runtime.systems.zoom import frame_path

        if self.video != "none":
            return job
        return replace(job, output=frame_path(job.output.with_suffix(""), self.zoom.frames))


# --- Photos -----------------------------------------------------------------------------------


def dreams_of_photos(
    inputs: Sequence[Path],
    options: DreamOptions,
    guide: Path | None,
    network: Network,
    batch: BatchOptions,
) -> Work:
    """DeepDream on each photo."""
    guide_picture = read_picture(guide, "the guide") if guide else None
    plan = find_photos(inputs, batch, keep=[guide] if guide else [])
    dream = _dreamer(network, options, guide, guide_picture)

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:

        result = dream(job.input, options, guide_image=guide_picture, progress=progress, stop=stop)
        return painting_of(result)

    return Work(plan, paint, dream.engine)


def _dreamer(
    network: Network, options: DreamOptions, guide: Path | None, guide_picture: Picture | None
) -> DeepDream:
    """Load the network, and find out now what would be wrong with every photo."""
    from nstbatch.runtime.systems.deepdream import DeepDream

    dream = DeepDream(network.model, **network.place())
    try:
        dream.check(options, guide_picture)
    except ImageError as error:
        raise UsageError(f"{printable(guide or '')} cannot be the guide: {error}") from error
    return dream


# --- Films ------------------------------------------------------------------------------------


def films(
    inputs: Sequence[Path],
    options: DreamOptions,
    film: Film,
    guide: Path | None,
    network: Network,
    batch: BatchOptions,
) -> Work:
    """An endless zoom into each photo, or into noise where there is none."""
    from nstbatch.cli.jobs.plan import Job, Plan

    guide_picture = read_picture(guide, "the guide") if guide else None
    if inputs:
        plan = find_photos(inputs, batch, keep=[guide] if guide else [], suffix=film.suffix)
    else:
        plan = Plan((Job(NOISE, batch.out / NOISE.with_suffix(film.suffix), of_file=False),))
    plan = replace(plan, jobs=tuple(map(film.job, plan.jobs)))
    dream = _dreamer(network, options, guide, guide_picture)

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        from nstbatch.runtime.systems.zoom import noise_picture

        start = job.input if inputs else noise_picture(options.size, options.seed)
        if batch.overwrite:
            _remove_frames(film.folder(job.output))
        return _film(job, start, dream, options, film, guide_picture, progress, stop)

    return Work(plan, paint, dream.engine)


def _film(
    job: Job,
    start: ImageLike,
    dream: DeepDream,
    options: DreamOptions,
    film: Film,
    guide: Picture | None,
    progress: ProgressCallback,
    stop: Stop,
) -> Painting:
    from nstbatch.cli.jobs.painting import Painting
    from nstbatch.runtime.pictures.images import read
    from nstbatch.runtime.systems.zoom import dream_frames

    result = dream_frames(
        dream,
        start,
        film.folder(job.output),
        film.zoom,
        options,
        guide_image=guide,
        progress=progress,
        stop=stop,
    )
    check_finished(result.reason)
    provider = dream.engine.provider
    return Painting(
        read(result.frames[-1]).pixels,
        None,
        result.losses,
        result.steps,
        provider.device,
        provider.precision,
        encoded=(
            result.frames[-1].read_bytes()
            if film.video == "none"
            else encode(film.video, result.frames, film.fps)
        ),
    )


def _remove_frames(folder: Path) -> None:
    """Remove the frames of an earlier run, and nothing that somebody else has put there."""
    from nstbatch.runtime.systems.zoom import MADE_FROM

    if (folder / MADE_FROM).is_file():
        for path in (*folder.glob("[0-9]" * 6 + ".png"), folder / MADE_FROM):
            path.unlink()


# --- Classes ----------------------------------------------------------------------------------


def pictures_of_classes(
    names: Sequence[str], options: ClassPictureOptions, network: Network, batch: BatchOptions
) -> Work:
    """A picture of each class."""
    from nstbatch.cli.jobs.plan import Job, Plan
    from nstbatch.runtime.systems.class_names import file_stem
    from nstbatch.runtime.systems.class_picture import ClassPicture

    picture = ClassPicture(network.model, **network.place())
    try:
        picture.check(options)
    except ImageError as error:  # no photo is at fault
        raise UsageError(str(error)) from error
    classes = picture.engine.bundle.classes
    indices = dict.fromkeys(map(picture.find, parse_classes(names)))
    jobs = {
        Job(
            Path(classes[index]),
            batch.out / f"{file_stem(index, classes)}{batch.pictures.suffix or '.png'}",
            of_file=False,
        ): index
        for index in indices
    }

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:

        result = picture(jobs[job], options, progress=progress, stop=stop)
        return painting_of(result)

    return Work(Plan(tuple(jobs)), paint, picture.engine)
