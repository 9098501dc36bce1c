"""Raw files of cameras: recognised by their content, and developed by LibRaw (rawpy, an extra)."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from . import tiff
from .limits import check_size

# First bytes of raw files that are no TIFF, and of some that are, with their offset: Fujifilm RAF,
# Panasonic RW2, Olympus ORF, Minolta MRW, Sigma X3F, Canon CRW, CR3 and CR2, Phase One IIQ.
# LibRaw's identify() looks for the same.
_MARKS = (
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIU\0"),
    (0, b"IIRO"),
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"\0MRM"),
    (0, b"FOVb"),
    (6, b"HEAPCCDR"),
    (4, b"ftypcrx "),
    (8, b"CR\x02"),
    (8, b"IIIIwaR"),
    (8, b"MMMMRaw"),
)

# TIFF/EP and DNG 1.7: PhotometricInterpretation of a mosaic of colour filters, and of its samples
# after interpolation; DNGVersion, which every DNG has.
_PHOTOMETRIC, _SENSOR = 262, {32803, 34892}
_DNG_VERSION = 50706


def is_raw(head: bytes, file: BinaryIO) -> bool:
    """True for a raw file: most are TIFF files whose first picture is a thumbnail.

    Args:
        head: The first bytes of the file.
        file: The file, open for reading.
    """
    if any(head.startswith(mark, offset) for offset, mark in _MARKS):
        return True
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return False
    return any(
        _is_of_a_sensor(picture)
        for page in tiff.pages(file)
        for picture in (page, *tiff.children(file, page))
    )


def _is_of_a_sensor(directory: tiff.Directory) -> bool:
    return _DNG_VERSION in directory or tiff.number(directory, _PHOTOMETRIC) in _SENSOR


def develop(file: BinaryIO) -> NDArray[np.uint16]:
    """Develop a raw file to upright sRGB, (H, W, 3), with the camera's white balance.

    Raises:
        ImportError: rawpy is not installed.
        ImageError: It has too many pixels.
        rawpy.LibRawError: It is damaged, or of a camera that LibRaw does not know.
    """
    import rawpy

    raw: Any
    with rawpy.imread(file) as raw:
        check_size(raw.sizes.width, raw.sizes.height)
        developed: NDArray[np.uint16] = raw.postprocess(
            use_camera_wb=True,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=(2.4, 12.92),  # sRGB's; LibRaw's default is that of video (BT.709)
            output_bps=16,
        )
    return developed
