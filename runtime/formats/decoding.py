"""Decodes a picture file to upright sRGB samples; every failure becomes an ImageError.

libvips decodes the formats that it has. Pillow decodes BMP and TIFF of 12 bits, and with plug-ins
HEIC and JPEG XL; LibRaw develops raw files. From then on all go the same way, through :mod:`.srgb`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pyvips
from PIL import Image

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.installing import install_command

from . import jpeg_end, jxl_size, libvips, raw, srgb, tiff
from .content import Content, Kind
from .from_pillow import from_pillow, muted
from .limits import check_size, too_large
from .srgb import Samples

log = logging.getLogger(__name__)

_LOADERS: dict[Kind, str] = {
    "JPEG": "jpegload",
    "PNG": "pngload",
    "WEBP": "webpload",
    "TIFF": "tiffload",
    "AVIF": "heifload",
    "GIF": "gifload",
}

# A file with missing rows is refused, where libvips would fill them with grey.
_STRICT = {"fail_on": "error"}

# Without an extra: of the others, the message names it.
_KNOWN = (*_LOADERS, "BMP")

# The extra that brings the decoder of a format -> the formats' names for people.
EXTRAS: dict[Kind, tuple[str, str]] = {
    "HEIC": ("heic", "an HEIC picture"),
    "JXL": ("jxl", "a JPEG XL picture"),
    "RAW": ("raw", "a raw file of a camera"),
}

# Least short side of a reduced picture: what is lost of its last pixel changes the proportions by
# less than 1/64. A guess.
_SHORTEST = 64

_BITS = 258  # TIFF 6.0: BitsPerSample

# What libjpeg can leave out while it decodes, by its discrete cosine transform.
_JPEG_FRACTIONS = (8, 4, 2)


def decode(content: Content, at_least: int | None = None) -> Samples:
    """Decode the first picture of a file, upright and in sRGB.

    Args:
        content: The file.
        at_least: Accept a reduced picture, with no side below this many pixels.

    Raises:
        ImageError: The file is no picture, is damaged or cut short, or has no or too many pixels;
            or it needs a package that is not installed.
    """
    with image_errors(content):
        kind = content.kind
        if kind in _LOADERS and not _is_of_12_bits(content):
            return srgb.samples(_by_libvips(content, kind, at_least))
        if kind in _OTHERS:
            return srgb.samples(_reduced(_OTHERS[kind](content), at_least))
        raise not_recognised()


def not_recognised() -> ImageError:
    """The error for a file whose content is of no known format."""
    known = ", ".join(_KNOWN)
    return ImageError(
        f"Not recognised as a picture ({known}): it is something else or badly damaged."
    )


def decode_image(image: Image.Image) -> Samples:
    """Return the samples of a PIL image, upright and in sRGB, as precise as Pillow holds them.

    Raises:
        ImageError: Its file is damaged or closed, or it has no pixels, or a mode without a white.
    """
    with image_errors(), muted():
        if not math.prod(image.size):
            raise ImageError("The picture has no pixels.")
        return srgb.samples(from_pillow(image))


def open_header(content: Content) -> libvips.Image | None:
    """The header of a picture as libvips reads it; None for those that it does not read."""
    if content.kind not in _LOADERS or _is_of_12_bits(content):
        return None
    options = {"page": _page_of_tiff(content)} if content.kind == "TIFF" else {}
    image = libvips.load(content, _LOADERS[content.kind], **_STRICT, **options)
    check_size(image.width, image.height)
    return image


def _is_of_12_bits(content: Content) -> bool:
    """True for TIFF files as microscopes write them, whose samples libvips does not unpack."""
    if content.kind != "TIFF":
        return False
    with content.open() as file:
        return tiff.number(next(tiff.pages(file), {}), _BITS) == 12


def _page_of_tiff(content: Content) -> int:
    """The page to read: some scanners put a thumbnail before the picture."""
    with content.open() as file:
        return tiff.main_page(file)


@contextmanager
def image_errors(content: Content | None = None) -> Iterator[None]:
    """Turn every exception of a decoder into an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except ImportError as error:
        raise _not_installed(content, error) from error
    except Image.DecompressionBombError as error:
        raise too_large("far more") from error
    except MemoryError as error:
        raise ImageError("There is not enough memory to decode the picture.") from error
    except Exception as error:  # on a damaged file a decoder can raise anything
        if isinstance(error, OSError) and error.errno:  # of the file and not of a decoder
            raise
        # Decoders' own texts are for programmers, and libvips mixes those of several threads.
        log.debug("Decoding failed: %r", error)
        raise ImageError(
            "The picture cannot be decoded: it is damaged, cut short (truncated) or of a rare kind."
        ) from error


def _not_installed(content: Content | None, error: ImportError) -> ImageError:
    kind = content.kind if content else None
    if kind not in EXTRAS:
        return ImageError(f"A package that decodes pictures does not load: {error}.")
    extra, name = EXTRAS[kind]
    return ImageError(f"This is {name}, which needs another package: {install_command(extra)}")


# --- libvips ----------------------------------------------------------------------------------


def _by_libvips(content: Content, kind: Kind, at_least: int | None) -> libvips.Image:
    content = libvips.unmapped(content, _LOADERS[kind])  # once, for header and picture
    image = open_header(content)
    if kind == "WEBP":  # its decoder scales better than it streams
        scale = 1 / _factor(image, at_least)
        return libvips.load(content, "webpload", scale=scale, **_STRICT).copy_memory().autorot()
    if kind != "JPEG":
        whole = _reduced(image, at_least).copy_memory().autorot()
        return _without_opaque_alpha(whole) if kind == "GIF" else whole
    factor = _factor(image, at_least)
    shrink = next((fraction for fraction in _JPEG_FRACTIONS if fraction <= factor), 1)
    try:
        return _jpeg(content, shrink)
    except pyvips.Error:
        versions = [_jpeg(Content(data=v), shrink) for v in jpeg_end.completed(content.read())]
        if not versions or any((other != versions[0]).max() for other in versions[1:]):
            raise
        return versions[0]


def _without_opaque_alpha(image: libvips.Image) -> libvips.Image:
    """A picture without the opacity that libvips gives to every animation."""
    return image[:-1] if image.hasalpha() and image[-1].min() == 255 else image


def _jpeg(content: Content, shrink: int) -> libvips.Image:
    image = libvips.load(content, "jpegload", shrink=shrink, **_STRICT)
    return image.copy_memory().autorot()


def _factor(image: libvips.Image, at_least: int | None) -> int:
    """The whole number by which both sides can be divided, with ``at_least`` pixels left."""
    if at_least is None:
        return 1
    return max(1, min(int(image.width), int(image.height)) // max(at_least, _SHORTEST))


def _reduced(image: libvips.Image, at_least: int | None) -> libvips.Image:
    """A picture reduced by a whole number: each pixel is the mean of a square, by its opacity."""
    factor = _factor(image, at_least)
    if factor == 1 or image.format not in ("uchar", "ushort"):
        return image
    if not image.hasalpha():
        return image.shrink(factor, factor)
    small = image.premultiply().shrink(factor, factor).unpremultiply()
    return small.rint().cast(image.format)


# --- Pillow and LibRaw ------------------------------------------------------------------------


def _by_pillow(content: Content, kind: Kind) -> libvips.Image:
    with muted(), content.open() as file, Image.open(file, formats=[kind]) as image:
        check_size(*image.size)
        return from_pillow(image)


def _heic(content: Content) -> libvips.Image:
    import pillow_heif

    with content.open() as file:
        container = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
        check_size(*container.size)
        levels = np.asarray(container)
        image = libvips.from_levels(
            levels.reshape(*levels.shape[:2], -1),
            "b-w" if levels.ndim == 2 else "srgb" if levels.dtype == np.uint8 else "rgb16",
        )
        if profile := container.info.get("icc_profile"):
            libvips.put_blob(image, srgb.PROFILE, profile)
        return image


def _jxl(content: Content) -> libvips.Image:
    import pillow_jxl  # noqa: F401  registers its decoder

    check_size(*jxl_size.size(content.read()))
    with muted(), content.open() as file, Image.open(file, formats=["JXL"]) as image:
        # The decoder turns it by JPEG XL's own field, unless there is a JPEG inside.
        return from_pillow(image, is_upright=not getattr(image, "jpeg", False))


def _raw(content: Content) -> libvips.Image:
    with content.open() as file:
        return libvips.from_levels(raw.develop(file), "rgb16")


_OTHERS: dict[Kind, Callable[[Content], libvips.Image]] = {
    "BMP": partial(_by_pillow, kind="BMP"),
    "TIFF": partial(_by_pillow, kind="TIFF"),  # of 12 bits
    "HEIC": _heic,
    "JXL": _jxl,
    "RAW": _raw,
}
