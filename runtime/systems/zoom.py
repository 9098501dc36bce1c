"""An endless zoom: every frame is dreamed on from the one before, scaled up (google/deepdream).

All that a frame comes from is the one before it as it was written, and the seed and the frame's
number. So a run that was killed goes on behind the last frame that is there, and ends with the same
frames as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.checkpoints import digest_of
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.descent.progress import Progress, ProgressCallback
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.files import write_atomically
from nstbatch.runtime.objectives.spectrum import Spectrum
from nstbatch.runtime.pictures.images import ImageLike, as_picture, read, write
from nstbatch.runtime.pictures.sizes import from_nchw

from .deepdream import DeepDream
from .dream_options import FILM_ITERATIONS, DreamOptions, ZoomOptions

# By how much stronger than the first noise of a class picture the clouds of a film are. A guess: a
# deviation of a tenth or two of the range.
CLOUD_CONTRAST = np.float32(60)


@dataclass(frozen=True)
class ZoomResult:
    """The frames of a zoom, and how they came about."""

    frames: tuple[Path, ...]
    """Those that are there, in order, with those that were there before."""
    losses: Mapping[str, float]
    """Of the last frame that this run made; none if it made none."""
    steps: int
    """Taken by this run."""
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
    """Dream frame after frame, from the last one that is there, into ``000001.png`` and so on.

    Args:
        dream: What dreams.
        start: What the first frame is dreamed from.
        folder: For the frames; it is made if need be.
        zoom: How many frames, and how they grow; the defaults if None.
        options: How each is dreamed; the defaults if None, with fewer steps than for a photo.
        guide_image: See :meth:`DeepDream.__call__`.
        progress: Called after every step, with the frame as its stage.
        stop: Asked before every step whether to end here.

    Raises:
        ImageError: A frame that is there cannot be read, or is of another dream; or one of those
            that :meth:`DeepDream.__call__` raises.
        OSError: The folder cannot be made.
    """
    started = time.perf_counter()
    zoom, options = zoom or ZoomOptions(), options or DreamOptions(iterations=FILM_ITERATIONS)
    paths = [frame_path(folder, number) for number in range(1, zoom.frames + 1)]
    there = _frames_there(paths)
    picture = as_picture(start).pixels
    guided_by = None if guide_image is None else as_picture(guide_image).pixels
    made_from = digest_of(dream.engine.bundle.sha256, options, zoom.zoom, picture, guided_by)
    if there:
        _check_same_dream(folder, made_from)
        picture = read(paths[there - 1]).pixels
    losses: Mapping[str, float] = {}
    reason, steps = StopReason.FINISHED, 0
    for number in range(there + 1, zoom.frames + 1):
        result = dream(
            picture if number == 1 else zoomed(picture, zoom.zoom),
            replace(options, seed=options.seed + number - 1),
            guide_image=guide_image,
            progress=_of_frame(progress, number, zoom.frames),
            stop=stop,
        )
        steps, losses, reason = steps + result.steps, result.losses, result.reason
        if reason is not StopReason.FINISHED:
            break
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / MADE_FROM, made_from.encode())
        write(paths[number - 1], result.image)
        picture = read(paths[number - 1]).pixels
    seconds = time.perf_counter() - started
    return ZoomResult(tuple(paths[: _frames_there(paths)]), losses, steps, seconds, reason)


MADE_FROM = ".made-from"
"""Lies beside the frames: the hash of what they are dreamed with."""


def frame_path(folder: Path, number: int) -> Path:
    """Where a frame lies; they are numbered from 1 on."""
    return folder / f"{number:06}.png"


def zoomed(pixels: Array, factor: float) -> Array:
    """(H, W, 3) scaled up about its centre and cut to its size, bicubically, clipped to [0, 1]."""
    height, width, _ = pixels.shape
    # Pixels are counted by their centres, so that of the picture lies half a pixel before H/2.
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, 0, factor)
    moved = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(np.clip(moved, 0, 1), dtype=np.float32)


def noise_picture(size: int, seed: int) -> Array:
    """(size, size, 3) to dream from without a photo: clouds, whose spectrum is a photograph's.

    White noise would still be seen behind a dream after many frames.
    """
    spectrum = Spectrum(size, size)
    return from_nchw(spectrum.picture(CLOUD_CONTRAST * spectrum.first_coefficients(seed)))


def _check_same_dream(folder: Path, made_from: str) -> None:
    """Raise an ImageError where a film would go on from the frames of another one."""
    try:
        before = (folder / MADE_FROM).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        before = ""
    if before != made_from:
        raise ImageError(
            f"The frames in {folder} are of another dream: other settings, or another photo. "
            "Remove them, or put the new ones elsewhere."
        )


def _frames_there(paths: list[Path]) -> int:
    """How many there are before the first that is missing."""
    return next((index for index, path in enumerate(paths) if not path.is_file()), len(paths))


def _of_frame(
    progress: ProgressCallback | None, number: int, frames: int
) -> ProgressCallback | None:
    """A frame's own report, which counts all frames."""
    if progress is None:
        return None
    report = progress

    def of_frame(frame: Progress) -> None:
        before = number - 1
        report(
            replace(
                frame,
                stage=f"frame {number}/{frames}",
                share=(before + frame.share) / frames,
                step=before * frame.steps + frame.step,
                steps=frames * frame.steps,
            )
        )

    return of_frame
