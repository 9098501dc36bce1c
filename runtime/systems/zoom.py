"""An endless zoom: every frame is a dream of the previous one, scaled up (google/deepdream).

A frame depends only on the file of the previous one, the seed and the frame's number. So a run that
was killed continues after the last frame on disk, and gives the same frames as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.checks import options_or_default
from nstbatch.runtime.descent.checkpoints import digest_of
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.descent.progress import ProgressCallback, part_of_run
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.objectives.spectrum import Spectrum
from nstbatch.runtime.pictures.images import ImageLike, Picture, as_picture, read, write
from nstbatch.runtime.pictures.sizes import from_nchw

from .deepdream import DeepDream
from .dream_options import FILM_ITERATIONS, GUIDE_SIZE, DreamOptions, ZoomOptions

# Contrast of the clouds of a film, relative to the first noise of a class picture. A guess: a
# deviation of a tenth or two of the range.
CLOUD_CONTRAST = np.float32(60)


@dataclass(frozen=True)
class ZoomResult:
    """The frames of a zoom, and how they were made."""

    frames: tuple[Path, ...]
    """All frames on disk, in order, including those of earlier runs."""
    losses: Mapping[str, float]
    """Losses of the last frame of this run; empty if it made none."""
    channels: tuple[int, ...] | None
    """Channels that were amplified, see :class:`.deepdream.DreamResult`; the start chooses them for
    all frames."""
    steps: int
    """Steps taken by this run."""
    seconds: float
    reason: StopReason


def dream_frames(
    dream: DeepDream,
    start: ImageLike,
    folder: Path,
    zoom: ZoomOptions | None = None,
    options: DreamOptions | None = None,
    *,
    guide_image: ImageLike | None = None,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] | None = None,
) -> ZoomResult:
    """Dream frame after frame, starting after the last one on disk: ``000001.png`` and so on.

    Args:
        dream: The DeepDream that makes the frames.
        start: Picture that the first frame is a dream of.
        folder: Folder of the frames; made if missing.
        zoom: Number and growth of the frames; the defaults if None.
        options: Options of each frame; the defaults if None, with fewer steps than for a photo.
        guide_image: See :meth:`DeepDream.__call__`.
        progress: Called after every step; its stage is the frame.
        stop: Called before every step; True ends the run.

    Raises:
        ImageError: A frame on disk cannot be read or is of another dream; or see
            :meth:`DeepDream.__call__`.
        OSError: The folder cannot be made.
    """
    started = time.perf_counter()
    zoom = options_or_default(zoom, ZoomOptions)
    options = options_or_default(options or DreamOptions(iterations=FILM_ITERATIONS), DreamOptions)
    paths = [frame_path(folder, number) for number in range(1, zoom.frames + 1)]
    there = _frames_there(paths)
    picture = as_picture(start, options.size).pixels
    guided_by = None if guide_image is None else as_picture(guide_image, GUIDE_SIZE).pixels
    made_from = digest_of(dream.engine.bundle.sha256, options, zoom.zoom, picture, guided_by)
    channels = dream.channels(Picture(picture), options)
    options = replace(options, channels=channels)
    if there:
        picture = _frame_of(paths[there - 1], made_from)
    losses: Mapping[str, float] = {}
    reason, steps = StopReason.FINISHED, 0
    for number in range(there + 1, zoom.frames + 1):
        stage = f"frame {number}/{zoom.frames}"
        result = dream(
            picture if number == 1 else zoomed(picture, zoom.zoom),
            replace(options, seed=options.seed + number - 1),
            guide_image=guide_image,
            progress=part_of_run(progress, number - 1, zoom.frames, stage),
            stop=stop,
        )
        steps, losses, reason = steps + result.steps, result.losses, result.reason
        if reason is not StopReason.FINISHED:
            break
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / MADE_FROM, made_from.encode())
        write(paths[number - 1], result.image)
        picture = read(paths[number - 1]).pixels
    seconds, made = time.perf_counter() - started, tuple(paths[: _frames_there(paths)])
    return ZoomResult(made, losses, channels, steps, seconds, reason)


MADE_FROM = ".made-from"
"""File beside the frames: the hash of everything that they depend on."""


def frame_path(folder: Path, number: int) -> Path:
    """Return the path of a frame; they are numbered from 1."""
    return folder / f"{number:06}.png"


def zoomed(pixels: Array, factor: float) -> Array:
    """Scale (H, W, 3) up about its centre, bicubically, and crop it to its size, in [0, 1]."""
    height, width, _ = pixels.shape
    # Coordinates are those of pixel centres, so the picture's centre lies half a pixel before H/2.
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, 0, factor)
    moved = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(np.clip(moved, 0, 1), dtype=np.float32)


def noise_picture(size: int, seed: int) -> Array:
    """Make a start without a photo, (size, size, 3): clouds with the spectrum of a photograph.

    White noise would still be visible behind a dream after many frames.
    """
    spectrum = Spectrum(size, size)
    return from_nchw(spectrum.picture(CLOUD_CONTRAST * spectrum.first_coefficients(seed)))


def _frame_of(path: Path, made_from: str) -> Array:
    """Read a frame to go on from; an ImageError if it belongs to another film."""
    folder = path.parent
    try:
        before = (folder / MADE_FROM).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        before = ""
    if before != made_from:
        raise ImageError(
            f"The frames in {folder} are of another dream: other settings, or another photo. "
            "Remove them, or put the new ones elsewhere."
        )
    return read(path).pixels


def _frames_there(paths: list[Path]) -> int:
    """Return the number of frames before the first missing one."""
    return next((index for index, path in enumerate(paths) if not path.is_file()), len(paths))
