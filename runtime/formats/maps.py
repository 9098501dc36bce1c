"""Maps that go with a picture, such as normals and heights: numbers, whose colours nobody converts.

PNG and TIFF hold 8 and 16 bits, TIFF also floats (libvips); EXR holds half floats and floats, with
names for its channels (OpenEXR, an extra).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.installing import install_command

from . import libvips
from .content import Content

_LOADERS = {".png": "pngload", ".tif": "tiffload", ".tiff": "tiffload"}

SUFFIXES = (*_LOADERS, ".exr")
"""The suffixes, in lower case, of the files that :func:`read_map` accepts."""


@dataclass(frozen=True, eq=False)
class Map:
    """A map, and how its file was stored.

    Attributes:
        samples: (H, W, C) float32, in the file's own units; integers of 8 and 16 bits are exact.
        encode: Returns the bytes of a file of the same kind with other samples of this shape.
    """

    samples: NDArray[np.float32]
    encode: Callable[[NDArray[np.float32]], bytes]


def read_map(path: Path) -> Map:
    """Read a map.

    Raises:
        ImageError: It cannot be read, is of another format, or needs an extra; says why.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ImageError(f"A map is one of {', '.join(SUFFIXES)}, not {path.suffix!r}.")
    if not path.is_file():
        raise ImageError("There is no such file.")
    return _read_exr(path) if suffix == ".exr" else _read_by_libvips(path, _LOADERS[suffix])


def _read_by_libvips(path: Path, loader: str) -> Map:
    try:
        image = libvips.load(Content(path=path), loader)
        if image.format not in libvips.FORMATS.values():
            raise ImageError(f"Its samples are of the kind {image.format!r}, which is not copied.")
        levels = libvips.levels_of(image)
    except pyvips.Error as error:
        raise ImageError("It cannot be read: it is damaged, or of another format.") from error
    interpretation = image.interpretation

    def encode(samples: NDArray[np.float32]) -> bytes:
        stored = libvips.from_levels(_as_stored(samples, levels.dtype), interpretation)
        if loader == "pngload":
            return libvips.saved(stored, "pngsave", keep=set())
        return libvips.saved(stored, "tiffsave", keep=set(), compression="deflate")

    return Map(levels.astype(np.float32), encode)


def _read_exr(path: Path) -> Map:
    try:
        import OpenEXR
    except ImportError as error:
        raise ImageError(f"EXR needs the extra exr: {install_command('exr')}") from error
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            header = dict(file.header())
            channels = {name: channel.pixels.copy() for name, channel in file.channels().items()}
    except Exception as error:  # OpenEXR raises RuntimeError, ValueError and others
        raise ImageError("It cannot be read: it is damaged, or of another format.") from error
    if len({pixels.shape for pixels in channels.values()}) != 1:
        raise ImageError("Its channels have different sizes, which is not copied.")

    def encode(samples: NDArray[np.float32]) -> bytes:
        planes = {
            name: np.ascontiguousarray(_as_stored(samples[..., index], pixels.dtype))
            for index, (name, pixels) in enumerate(channels.items())
        }
        return _encoded_exr(OpenEXR, header, planes)

    planes = np.stack([pixels.astype(np.float32) for pixels in channels.values()], axis=2)
    return Map(planes, encode)


def _encoded_exr(library: Any, header: dict[str, Any], planes: dict[str, Any]) -> bytes:
    """The bytes of an EXR file; the library writes to names alone."""
    kept = {name: header[name] for name in ("compression", "type") if name in header}
    with tempfile.TemporaryDirectory(prefix="nstbatch-") as folder:
        path = Path(folder) / "map.exr"
        with library.File(kept, planes) as file:
            file.write(str(path))
        return path.read_bytes()


def _as_stored(samples: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return np.clip(np.rint(samples), limits.min, limits.max).astype(dtype)
    return samples.astype(dtype)
