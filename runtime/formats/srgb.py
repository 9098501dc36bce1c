"""Colours of any space to sRGB samples, through libvips and Little CMS with 16 bits a sample."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pyvips
from numpy.typing import NDArray

from nstbatch.runtime import scratch
from nstbatch.runtime.errors import ImageError

from . import libvips

Samples = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Colours (H, W, 3), and opacity (H, W) or None without transparency; all in [0, 1]."""

PROFILE = "icc-profile-data"

# The interpretations whose samples are those of sRGB, in three channels or one.
_SRGB_ALREADY = {"srgb", "rgb", "rgb16", "b-w", "grey16"}
# Spaces of measured colours, which need no profile.
_DEVICE_INDEPENDENT = {"lab", "labs", "labq", "xyz", "lch", "cmc", "yxy"}

# A profile that changes no colour by more than this many of 255 levels counts as sRGB. Measured: an
# sRGB profile changes none, sRGB's primaries with a plain gamma of 2.2 change some by 9, Display P3
# by 105.
_SAME_COLOUR = 2


def samples(image: libvips.Image) -> Samples:
    """Return the samples of a picture that libvips can read at any place, in sRGB.

    An embedded profile is applied: relative colorimetric, with black point compensation. As in web
    browsers, a profile that is broken or made for another kind of picture is ignored.

    Raises:
        ImageError: Its samples have no defined white.
    """
    if image.interpretation in _DEVICE_INDEPENDENT:
        image = image.colourspace("rgb16")
    if image.format not in ("uchar", "ushort"):
        raise ImageError(f"Samples of the type {image.format} (32-bit) have no defined white.")
    alpha = None
    if image.hasalpha():
        alpha = unit(libvips.levels_of(image[-1]))[..., 0]
        image = image[:-1] if image.bands > 2 else image[0]
    return _colours(image), alpha


def unit(levels: libvips.Levels) -> NDArray[np.float32]:
    """Scale levels to [0, 1]."""
    white = np.float32(np.iinfo(levels.dtype).max)
    return np.divide(levels, white, out=scratch.zeros(levels.shape), dtype=np.float32)


def _colours(image: libvips.Image) -> NDArray[np.float32]:
    is_ink = image.interpretation == "cmyk" and image.bands >= 4
    bands = 4 if is_ink else 3 if image.bands >= 3 else 1
    if image.bands > bands:  # such as an infrared channel
        image = image[:bands]
    converted = _by_profile(image)
    levels = libvips.levels_of(image if converted is None else converted)
    if converted is None and is_ink:  # without a profile, as browsers do
        light = 1 - unit(levels)
        return light[..., :3] * light[..., 3:]
    return np.broadcast_to(unit(levels), (*levels.shape[:2], 3))


def _by_profile(image: libvips.Image) -> libvips.Image | None:
    """The picture in sRGB with 16 bits; None if its profile is missing, unusable or sRGB."""
    profile = libvips.field(image, PROFILE)
    if profile is None or not _is_usable(bytes(profile), image.interpretation, image.bands):
        return None
    if image.format == "uchar":
        return _transformed(image)
    return _deep(image)


def _deep(image: libvips.Image) -> libvips.Image:
    """A picture of 16 bits in sRGB.

    Little CMS computes 8 bits exactly, but 16 bits from a table, which is off by up to 25 of 255
    levels at the border of sRGB. So the table only says how much a colour differs from the nearest
    one of 8 bits, and within such a step it is off by less than a level.
    """
    nearest = (image / 257).rint().cast("uchar")
    exact = _transformed(nearest.copy(interpretation=_of_8_bits(image.interpretation)))
    same = (nearest * 257).cast("ushort").copy(interpretation=image.interpretation)
    difference = _transformed(image).cast("int") - _transformed(same)
    return (exact + difference).cast("ushort")  # a cast clips


def _transformed(image: libvips.Image) -> libvips.Image:
    return image.icc_transform(
        "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=16
    )


@functools.lru_cache(maxsize=16)  # most photos of a batch have the same profile
def _is_usable(profile: bytes, interpretation: str, bands: int) -> bool:
    """True if a profile fits pictures of this kind, and changes their colours."""
    levels = range(0, 256, 15)
    cube = np.array(list(itertools.product(levels, repeat=bands))[:: 17 if bands == 4 else 1])
    probe = libvips.from_levels(cube[None].astype(np.uint8), _of_8_bits(interpretation)).copy()
    libvips.put_blob(probe, PROFILE, profile)
    try:
        after = unit(libvips.levels_of(_transformed(probe)))
    except pyvips.Error:
        return False
    if bands == 4:
        return True
    return bool(np.abs(after - unit(cube[None].astype(np.uint8))).max() * 255 > _SAME_COLOUR)


def _of_8_bits(interpretation: str) -> str:
    return {"rgb16": "srgb", "grey16": "b-w"}.get(interpretation, interpretation)
