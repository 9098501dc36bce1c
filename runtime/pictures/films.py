"""Makes a film of frames: MP4 with PyAV, which is an extra, or GIF with Pillow."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from nstbatch.runtime.checks import one_of
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.installing import install_command

if TYPE_CHECKING:
    from PIL.Image import Image

Video = Literal["mp4", "gif", "none"]
VIDEOS: tuple[Video, ...] = get_args(Video)

# x264's "visually lossless or nearly so" (https://trac.ffmpeg.org/wiki/Encode/H.264). Dreams have
# finer detail than ordinary films, and the default of 23 blurs it.
QUALITY = "18"


def check_encoder(video: str) -> None:
    """Check before the first frame that a film can be made.

    Raises:
        UnknownNameError: There is no such kind of film.
        UsageError: Its encoder is not installed; the message says how to install it.
    """
    one_of("video", video, VIDEOS)
    if video == "mp4" and importlib.util.find_spec("av") is None:
        raise UsageError(
            f"An MP4 needs PyAV, which is not installed: {install_command('video')}. "
            "Or choose --video gif, or --video none for the frames alone."
        )


def encode(video: str, frames: Sequence[Path], fps: float) -> bytes:
    """The film's bytes, "mp4" or "gif", of frames of one size, each shown for 1 / fps seconds."""
    return ENCODERS[video](frames, fps)


def _mp4(frames: Sequence[Path], fps: float) -> bytes:
    import av
    import numpy as np

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as film:
        rate = Fraction(fps).limit_denominator(1001)  # 30000/1001 is NTSC's
        stream = film.add_stream("libx264", rate=rate, options={"crf": QUALITY})
        stream.pix_fmt = "yuv420p"  # the format that every player can show
        for number, pixels in enumerate(map(np.asarray, _opened(frames))):
            # It stores colours at half the resolution of brightness, so both sides must be even.
            height, width = (side // 2 * 2 for side in pixels.shape[:2])
            if number == 0:
                stream.height, stream.width = height, width
            even = av.VideoFrame.from_ndarray(pixels[:height, :width], format="rgb24")
            film.mux(stream.encode(even))
        film.mux(stream.encode())
    return buffer.getvalue()


def _gif(frames: Sequence[Path], fps: float) -> bytes:
    buffer = io.BytesIO()
    first, *rest = _opened(frames)
    # A GIF counts in hundredths of a second, and players treat 0 and 1 as 10.
    hundredths = max(2, round(100 / fps))
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=10 * hundredths, loop=0)
    return buffer.getvalue()


def _opened(frames: Sequence[Path]) -> Iterator[Image]:
    from PIL import Image

    for path in frames:
        with Image.open(path) as image:
            yield image.convert("RGB")


ENCODERS: Mapping[str, Callable[[Sequence[Path], float], bytes]] = {"mp4": _mp4, "gif": _gif}
