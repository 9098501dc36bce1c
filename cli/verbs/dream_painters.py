"""The plans and painters of ``nstbatch dream``: for photos, films and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstbatch.cli.batch.painted import check_finished, painting_of
from nstbatch.cli.jobs.effort import Effort, effort_of_photos
from nstbatch.cli.text import printable
from nstbatch.runtime.checks import OWN, at_least
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.pictures.films import Video, check_encoder, encode
from nstbatch.runtime.storage.addresses import RemotePath
from nstbatch.runtime.systems.dream_options import (
    GUIDE_SIZE,
    ClassPictureOptions,
    DreamOptions,
    ZoomOptions,
)

from .carry_out import Work
from .prepare import BatchOptions, chosen, find_photos, read_picture

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.cli.options.computing import ComputingInTiles
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.pictures.images import ImageLike, Picture
    from nstbatch.runtime.systems.deepdream import DeepDream

# Frames per second. A GIF stores the duration of a frame in hundredths of a second, in 16 bits.
SLOWEST = 0.01

NOISE = Path("noise")
"""Stands for the photo in a film that starts from noise."""


@dataclass(frozen=True)
class Film:
    """A film: its frames, its format and its speed.

    Raises:
        UsageError: The format cannot be made here, or a value is out of range.
    """

    zoom: ZoomOptions
    video: Video
    fps: float

    def __post_init__(self) -> None:
        check_encoder(self.video)
        at_least("fps", self.fps, SLOWEST)

    @property
    def suffix(self) -> str:
        """Suffix of the output; without a film, the output is the last frame."""
        return ".png" if self.video == "none" else f".{self.video}"

    def folder(self, output: Path) -> Path:
        """Return the folder of an output's frames."""
        return output.parent if self.video == "none" else output.with_suffix("")

    def job(self, job: Job) -> Job:
        """Return the job with the output that is written last."""
        from nstbatch.runtime.systems.zoom import frame_path

        if self.video != "none":
            return job
        return replace(job, output=frame_path(job.output.with_suffix(""), self.zoom.frames))


# --- Photos -----------------------------------------------------------------------------------


def dreams_of_photos(
    inputs: Sequence[Path] | None,
    options: DreamOptions,
    guide: Path | None,
    computing: ComputingInTiles,
    batch: BatchOptions,
) -> Work:
    """Return the work for DeepDream on each photo."""
    guide_picture = read_picture(guide, "the guide", GUIDE_SIZE) if guide else None
    plan = find_photos(inputs, batch, keep=[guide] if guide else [])
    dream = _dreamer(computing, options, guide, guide_picture)

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:

        result = dream(job.file, options, guide_image=guide_picture, progress=progress, stop=stop)
        return replace(painting_of(result), **_chosen(options, result.channels))

    effort = _effort(dream, options, options.iterations * options.octaves)
    return Work(plan, paint, [dream.engine], {"guide": guide}, effort, budget=computing.budget())


def _effort(dream: DeepDream, options: DreamOptions, steps: int) -> Effort:
    memory = partial(dream.peak_memory, options)
    return effort_of_photos(options.size, options.max_size, steps, memory)


def _dreamer(
    computing: ComputingInTiles,
    options: DreamOptions,
    guide: Path | None,
    guide_picture: Picture | None,
) -> DeepDream:
    """Load the network, and check the options before the first photo."""
    from nstbatch.runtime.systems.deepdream import DeepDream

    dream = DeepDream(computing.model, **computing.place)
    try:
        dream.check(options, guide_picture)
    except ImageError as error:
        raise UsageError(f"{printable(guide or '')} cannot be the guide: {error}") from error
    return dream


# --- Films ------------------------------------------------------------------------------------


def films(
    inputs: Sequence[Path] | None,
    options: DreamOptions,
    film: Film,
    guide: Path | None,
    computing: ComputingInTiles,
    batch: BatchOptions,
) -> Work:
    """Return the work for an endless zoom into each photo, or into noise if there is none."""
    from nstbatch.cli.jobs.plan import Job, Plan, Source

    if isinstance(batch.out, RemotePath):
        raise UsageError(
            f"A zoom keeps its frames: give --out a folder on a disk, not {printable(batch.out)}."
        )
    has_photos = bool(inputs or batch.inputs.from_file)
    if not has_photos and options.size == OWN:
        raise UsageError(f"--size {OWN} needs a photo; give a film from noise a number of pixels.")
    guide_picture = read_picture(guide, "the guide", GUIDE_SIZE) if guide else None
    if has_photos:
        plan = find_photos(inputs, batch, keep=[guide] if guide else [], suffix=film.suffix)
    else:
        output = batch.out / NOISE.with_suffix(film.suffix)
        plan = chosen(Plan((Job(NOISE, output, source=Source.NOTHING),)), batch)
    plan = replace(plan, jobs=tuple(map(film.job, plan.jobs)))
    dream = _dreamer(computing, options, guide, guide_picture)

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        from nstbatch.runtime.systems.zoom import noise_picture

        start = job.file if has_photos else noise_picture(int(options.size), options.seed)
        if batch.overwrite:
            _remove_frames(film.folder(job.output))
        return _film(job, start, dream, options, film, guide_picture, progress, stop)

    effort = _effort(dream, options, options.iterations * options.octaves * film.zoom.frames)
    return Work(plan, paint, [dream.engine], {"guide": guide}, effort, budget=computing.budget())


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
        **_chosen(options, result.channels),
    )


def _chosen(options: DreamOptions, channels: Sequence[int] | None) -> dict[str, Any]:
    """Return the fields of a painting that tell the channels that its photo chose."""
    from nstbatch.cli.jobs.painting import CHANNELS

    if options.strongest is None or channels is None:
        return {}
    numbers = list(channels)
    return {
        "details": {CHANNELS: numbers},
        "settings": {CHANNELS: [",".join(map(str, numbers))]},
    }


def _remove_frames(folder: Path) -> None:
    """Remove the frames of an earlier run, and no other files."""
    from nstbatch.runtime.systems.zoom import MADE_FROM

    if (folder / MADE_FROM).is_file():
        for path in (*folder.glob("[0-9]" * 6 + ".png"), folder / MADE_FROM):
            path.unlink()


# --- Classes ----------------------------------------------------------------------------------


def pictures_of_classes(
    names: Sequence[str],
    options: ClassPictureOptions,
    computing: ComputingInTiles,
    batch: BatchOptions,
) -> Work:
    """Return the work for a picture of each class."""
    from nstbatch.cli.jobs.plan import Job, Plan, Source, check_alone
    from nstbatch.runtime.systems.class_names import file_stem
    from nstbatch.runtime.systems.class_picture import ClassPicture

    picture = ClassPicture(computing.model, **computing.place)
    try:
        picture.check(options)
    except ImageError as error:  # there is no photo, so an option is wrong
        raise UsageError(str(error)) from error
    alone = batch.alone
    suffix = alone.file.suffix if alone else batch.pictures.suffix or ".png"
    if options.transparency:
        _check_transparency(suffix)
    classes = picture.engine.bundle.classes
    numbers = dict.fromkeys(map(picture.find, names))
    if alone is not None:
        check_alone(alone.file, len(numbers))
    jobs = {
        Job(
            Path(classes[index]),
            alone.file if alone else batch.out / f"{file_stem(index, classes)}{suffix}",
            source=Source.NOTHING,
            settings={
                "inputs": [],
                "class": [classes[index]],
                **(alone.settings if alone else {}),
            },
        ): index
        for index in numbers
    }

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:

        result = picture(jobs[job], options, progress=progress, stop=stop)
        return painting_of(result)

    return Work(chosen(Plan(tuple(jobs)), batch), paint, [picture.engine])


def _check_transparency(suffix: str) -> None:
    """Raise a UsageError if the format of a suffix has no transparency."""
    from nstbatch.runtime.formats.encoding import FORMATS

    if not FORMATS[suffix.lower()].keeps_alpha:
        raise UsageError(
            f"{FORMATS[suffix.lower()].name} has no transparency: leave --transparency out, or "
            "choose --format png."
        )
