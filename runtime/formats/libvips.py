"""libvips, set up for files from strangers.

libvips runs in this process and is told to hold nothing back: no cache of operations, which would
keep pictures alive, and no loader that it calls untrusted itself.
"""

from __future__ import annotations

import atexit
import logging
import os
from typing import Any, TypeAlias

import numpy as np
import pyvips
from numpy.typing import NDArray

from .content import Content

Image: TypeAlias = Any
"""A ``pyvips.Image``; pyvips has no types, since it asks libvips for its operations."""

Levels: TypeAlias = NDArray[np.unsignedinteger]
"""Samples (H, W, C) as a file holds them, of 8 or 16 bits."""

# Decoders use one thread; only colour conversion and reductions use more, and gain little from more
# than these. A user's own VIPS_CONCURRENCY wins.
_MOST_THREADS = 4

# Loaders that map the file into memory. If such a file shrinks or its network fails, the system
# ends the process, so these get a copy.
_MAPPING = {"jpegload", "webpload", "gifload"}

FORMATS: dict[np.dtype[Any], str] = {
    np.dtype(np.uint8): "uchar",
    np.dtype(np.uint16): "ushort",
    np.dtype(np.float32): "float",
}
"""The kinds of samples that pass between numpy and libvips, and libvips' names for them."""

_DTYPES = {name: dtype for dtype, name in FORMATS.items()}

pyvips.cache_set_max(0)
pyvips.block_untrusted_set(True)
if "VIPS_CONCURRENCY" not in os.environ:
    pyvips.concurrency_set(min(_MOST_THREADS, pyvips.concurrency_get()))
# libvips and GLib warn of what libvips raises as well, and of each strip of a damaged file.
logging.getLogger("pyvips").setLevel(logging.CRITICAL + 1)


def _keep_glib_from_printing() -> None:
    """Send messages of GLib's libraries to pyvips' logger too, and no longer to standard error."""
    flags = pyvips.GLogLevelFlags
    levels = flags.LEVEL_WARNING | flags.LEVEL_CRITICAL | flags.FLAG_FATAL | flags.FLAG_RECURSION
    for domain in (b"GLib", b"GLib-GObject", b"GModule"):
        number = pyvips.glib_lib.g_log_set_handler(
            domain, levels, pyvips._log_handler_cb, pyvips.ffi.NULL
        )
        # As pyvips does with its own, since the logger is gone before GLib.
        atexit.register(pyvips.glib_lib.g_log_remove_handler, domain, number)


_keep_glib_from_printing()


def unmapped(content: Content, loader: str) -> Content:
    """The content, in memory if this loader would map its file."""
    return Content(data=content.read()) if loader in _MAPPING and content.path else content


def load(content: Content, loader: str, **options: object) -> Image:
    """Open a picture with one loader, from top to bottom; only its header is read yet."""
    content = unmapped(content, loader)
    if content.path is None:
        return pyvips.Operation.call(
            f"{loader}_buffer", content.data, access="sequential", **options
        )
    # As bytes, since the name may be no UTF-8.
    source = pyvips.Source.new_from_file(os.fsencode(content.path))
    return pyvips.Operation.call(f"{loader}_source", source, access="sequential", **options)


def from_levels(levels: Levels, interpretation: str) -> Image:
    """A picture of samples (H, W, C)."""
    height, width, bands = levels.shape
    image = pyvips.Image.new_from_memory(
        np.ascontiguousarray(levels), width, height, bands, FORMATS[levels.dtype]
    )
    return image.copy(interpretation=interpretation)


def levels_of(image: Image) -> Levels:
    """Compute a picture's samples (H, W, C)."""
    levels: Levels = np.frombuffer(image.write_to_memory(), _DTYPES[image.format])
    return levels.reshape(image.height, image.width, image.bands)


def saved(image: Image, saver: str, *, keep: set[str], **options: object) -> bytes:
    """The bytes of a picture's file, with the kinds of records to keep: "exif", "icc" and so on."""
    kinds = "|".join(sorted(keep)) or "none"
    data: bytes = pyvips.Operation.call(f"{saver}_buffer", image, keep=kinds, **options)
    return data


def field(image: Image, name: str) -> Any:
    """A field of a picture's header; None if there is none."""
    return image.get(name) if image.get_typeof(name) else None


def put_blob(image: Image, name: str, data: bytes) -> None:
    """Set a field that holds bytes."""
    image.set_type(pyvips.GValue.blob_type, name, data)
