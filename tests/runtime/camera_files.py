"""Files as phones and cameras write them, for tests: HEIC, JPEG XL and DNG."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# sRGB's primaries under D65 (IEC 61966-2-1): from XYZ to linear light, as DNG's ColorMatrix1 is.
_TO_LINEAR = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SIGNED = 1, 2, 3, 4, 5, 10
_SIZES = {_BYTE: "B", _ASCII: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I", _SIGNED: "i"}


def heic(levels: NDArray[np.uint8], **options: object) -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(levels)).save(buffer, quality=90, **options)
    return buffer.getvalue()


def jxl(levels: NDArray[np.uint8], **options: object) -> bytes:
    import pillow_jxl  # noqa: F401  registers its encoder

    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JXL", lossless=True, **options)
    return buffer.getvalue()


def dng(levels: NDArray[np.uint8], orientation: int = 1) -> bytes:
    """A DNG of sensor data (RGGB), behind a green thumbnail of 30x20 in the first directory."""
    height, width, _ = levels.shape
    linear = np.rint((levels / 255.0) ** 2.2 * 65535).astype("<u2")
    sensor = linear[..., 1].copy()
    sensor[::2, ::2], sensor[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    thumbnail = np.full((20, 30, 3), (0, 255, 0), np.uint8).tobytes()
    start = 8 + len(thumbnail) + sensor.nbytes
    first = {
        254: (_LONG, [1]),  # a reduced copy
        256: (_LONG, [30]),
        257: (_LONG, [20]),
        258: (_SHORT, [8, 8, 8]),
        259: (_SHORT, [1]),
        262: (_SHORT, [2]),
        271: (_ASCII, list(b"Maker\0")),
        272: (_ASCII, list(b"Model 7\0")),
        273: (_LONG, [8]),
        274: (_SHORT, [orientation]),
        277: (_SHORT, [3]),
        278: (_LONG, [20]),
        279: (_LONG, [len(thumbnail)]),
        330: (_LONG, [0]),  # set below
        50706: (_BYTE, [1, 4, 0, 0]),
        50708: (_ASCII, list(b"Maker Model 7\0")),
        50721: (_SIGNED, [part for v in _TO_LINEAR for part in (round(v * 10_000), 10_000)]),
        50728: (_RATIONAL, [1, 1, 1, 1, 1, 1]),
        50778: (_SHORT, [21]),  # D65
    }
    child = {
        254: (_LONG, [0]),
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [16]),
        259: (_SHORT, [1]),
        262: (_SHORT, [32803]),
        273: (_LONG, [8 + len(thumbnail)]),
        277: (_SHORT, [1]),
        278: (_LONG, [height]),
        279: (_LONG, [sensor.nbytes]),
        33421: (_SHORT, [2, 2]),
        33422: (_BYTE, [0, 1, 1, 2]),
        50714: (_SHORT, [0]),
        50717: (_LONG, [65535]),
    }
    first[330] = (_LONG, [start + len(_directory(first, start))])
    directories = _directory(first, start)
    directories += _directory(child, start + len(directories))
    header = b"II*\0" + struct.pack("<I", start)
    return header + thumbnail + sensor.tobytes() + directories


def _directory(tags: dict[int, tuple[int, list[int]]], offset: int) -> bytes:
    after = offset + 2 + 12 * len(tags) + 4
    table, extra = struct.pack("<H", len(tags)), b""
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"<{len(values)}{_SIZES[kind]}", *values)
        count = len(values) // (2 if kind in (_RATIONAL, _SIGNED) else 1)
        place = struct.pack("<I", after + len(extra)) if len(data) > 4 else data.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, kind, count) + place
        extra += data + b"\0" * (len(data) % 2) if len(data) > 4 else b""
    return table + bytes(4) + extra
