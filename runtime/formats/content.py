"""The content of a picture file, and the format that its first bytes name.

The content decides and never the suffix, so every decoder gets the files that it is made for.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

from . import raw

Kind = Literal["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "HEIC", "JXL", "RAW"]

_STARTS: dict[bytes, Kind] = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"\xff\x0a": "JXL",  # the bare stream of ISO/IEC 18181-1
    b"\0\0\0\x0cJXL \r\n\x87\n": "JXL",  # the container of ISO/IEC 18181-2
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}

# ISO/IEC 23008-12: brands of files whose pictures are coded in AV1, or in HEVC and others.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

# Enough for the start of every format, and for the list of brands.
_HEAD = 256


@dataclass(frozen=True)
class Content:
    """A whole picture file, on disk or in memory."""

    path: Path | None = None
    data: bytes = b""

    def open(self) -> BinaryIO:
        """Open it for reading, at its beginning."""
        return io.BytesIO(self.data) if self.path is None else self.path.open("rb")

    def read(self) -> bytes:
        """All of its bytes."""
        return self.data if self.path is None else self.path.read_bytes()

    @cached_property
    def kind(self) -> Kind | None:
        """Its format; None if it is no picture that this project knows."""
        with self.open() as file:
            head = file.read(_HEAD)
            if raw.is_raw(head, file):
                return "RAW"
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return "WEBP"
        if head[4:8] == b"ftyp":
            return _by_brands(head)
        return next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)


def _by_brands(head: bytes) -> Kind | None:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, size, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & _HEIC_BRANDS else None
