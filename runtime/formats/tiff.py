"""Reads, filters and writes directories of tags, as in TIFF files and EXIF records.

Values keep their types and bits; only their byte order may change. The layout is that of TIFF 6.0,
section 2, which EXIF 2.32 (CIPA DC-008) uses as well.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, TypeAlias

import numpy as np

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, IFD = 1, 2, 3, 4, 5, 7, 13

# Bytes of one number of each type, by the type's code; a rational is two numbers of four bytes.
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_RATIONALS = {5, 10}

EXIF_DIRECTORY, GPS_DIRECTORY = 0x8769, 0x8825
"""Tags whose values are the offsets of other directories."""

# Larger values are not useful metadata. A guess; MakerNotes of 100 kB have been seen.
MAX_VALUE_BYTES = 1 << 20
# EXIF nests two directories; without a limit a directory could point to itself.
_MAX_DEPTH = 2
# A guess: TIFF allows 65535, cameras write fewer than a hundred.
_MAX_ENTRIES = 1000
# A guess: raw files have up to eight pictures, of which most are previews.
_MAX_PAGES = 32

# TIFF 6.0, section 8: a bit of NewSubfileType marks a reduced copy. SubIFDs are TIFF/EP's.
_SUBFILE_TYPE, _REDUCED = 254, 1
_SUB_DIRECTORIES = 330


class DirectoryError(ValueError):
    """The bytes are no directory of tags."""


@dataclass(frozen=True)
class Value:
    """The value of a tag: the code of its type, and its numbers as little-endian bytes."""

    kind: int
    data: bytes

    @property
    def count(self) -> int:
        """Number of values of this type."""
        return len(self.data) // (_WIDTHS[self.kind] * (2 if self.kind in _RATIONALS else 1))


Directory: TypeAlias = Mapping[int, "Value | Directory"]
"""Values by their tags; a nested directory is a value as well."""


def text(value: str) -> Value:
    """A text in UTF-8, which all programs write and expect, although EXIF specifies ASCII."""
    return Value(ASCII, value.encode() + b"\0")


def shorts(*values: int) -> Value:
    """Whole numbers below 65536."""
    return Value(SHORT, struct.pack(f"<{len(values)}H", *values))


def longs(*values: int) -> Value:
    """Whole numbers below 2**32."""
    return Value(LONG, struct.pack(f"<{len(values)}I", *values))


# --- Reading ----------------------------------------------------------------------------------


def read_directory(file: BinaryIO) -> Directory:
    """Read the first directory of a TIFF file or an EXIF record, with its EXIF and GPS directories.

    Values that are damaged, or larger than :data:`MAX_VALUE_BYTES`, are left out.

    Args:
        file: Must start with the byte order, so an EXIF record without the mark before it.

    Raises:
        DirectoryError: The file is something else, is cut short, or is a BigTIFF.
    """
    reader, first = _reader(file)
    return reader.directory(first)


def pages(file: BinaryIO) -> Iterator[Directory]:
    """Yield the directories of a TIFF file's pages.

    Ends early at damage, since what comes before it may be usable.
    """
    with contextlib.suppress(DirectoryError):
        reader, place = _reader(file)
        seen: set[int] = set()
        while place and place not in seen and len(seen) < _MAX_PAGES:
            seen.add(place)
            yield reader.directory(place)
            place = reader.next_directory(place)


def children(file: BinaryIO, page: Directory) -> Iterator[Directory]:
    """Yield the directories of the pictures that belong to a page; damaged ones are left out."""
    places = page.get(_SUB_DIRECTORIES)
    if isinstance(places, Value) and places.kind in (LONG, IFD):
        reader, _ = _reader(file)
        for place in np.frombuffer(places.data, "<u4")[:_MAX_PAGES].tolist():
            with contextlib.suppress(DirectoryError):
                yield reader.directory(place)


def main_page(file: BinaryIO) -> int:
    """The number of the first page that is no reduced copy of another; 0 if all are."""
    for index, page in enumerate(pages(file)):
        if not (number(page, _SUBFILE_TYPE) or 0) & _REDUCED:
            return index
    return 0


def number(directory: Directory, tag: int) -> int | None:
    """The first number of a tag, if it is a whole number without a sign."""
    value = directory.get(tag)
    if isinstance(value, Value) and value.kind in (BYTE, SHORT, LONG) and value.data:
        return int.from_bytes(value.data[: _WIDTHS[value.kind]], "little")
    return None


def ratio(directory: Directory, tag: int) -> float | None:
    """The first ratio of a tag; None if it has none, or is divided by zero."""
    value = directory.get(tag)
    if not isinstance(value, Value) or value.kind != RATIONAL or len(value.data) < 8:
        return None
    above, below = struct.unpack_from("<II", value.data)
    return above / below if below else None


def _reader(file: BinaryIO) -> tuple[_Reader, int]:
    """A reader of a file's directories, and the place of the first."""
    header = _at(file, 0, 8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(header[:4])
    if order is None:
        raise DirectoryError("No TIFF header.")
    # Limited to the size of the file, since values may overlap and so claim any amount of memory.
    left = file.seek(0, os.SEEK_END)
    return _Reader(file, order, left), struct.unpack(f"{order}I", header[4:])[0]


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise DirectoryError("A directory is cut short.")
    return data


@dataclass
class _Reader:
    file: BinaryIO
    order: str
    left: int
    """Number of bytes of values that may still be read."""

    def directory(self, offset: int, depth: int = 0) -> Directory:
        (count,) = struct.unpack(f"{self.order}H", _at(self.file, offset, 2))
        if count > _MAX_ENTRIES:
            raise DirectoryError(
                f"A directory has {count} entries; at most {_MAX_ENTRIES} are read."
            )
        table = _at(self.file, offset + 2, 12 * count)
        found: dict[int, Value | Directory] = {}
        for tag, kind, number, place in struct.iter_unpack(f"{self.order}HHI4s", table):
            if tag in found:  # otherwise a thousand pointers to one directory would be followed
                continue
            try:
                if tag not in (EXIF_DIRECTORY, GPS_DIRECTORY):
                    found[tag] = self._value(kind, number, place)
                elif depth < _MAX_DEPTH:
                    found[tag] = self.directory(self._offset(place), depth + 1)
            except DirectoryError:
                continue
        return found

    def next_directory(self, offset: int) -> int:
        """The place of the directory after the one at ``offset``; 0 if it is the last."""
        (count,) = struct.unpack(f"{self.order}H", _at(self.file, offset, 2))
        return self._offset(_at(self.file, offset + 2 + 12 * count, 4))

    def _offset(self, place: bytes) -> int:
        return int.from_bytes(place, "little" if self.order == "<" else "big")

    def _value(self, kind: int, number: int, place: bytes) -> Value:
        if kind not in _WIDTHS:
            raise DirectoryError(f"A value has the unknown type {kind}.")
        width = _WIDTHS[kind]
        size = number * width * (2 if kind in _RATIONALS else 1)
        if size > min(MAX_VALUE_BYTES, self.left):
            raise DirectoryError(f"A value has {size} bytes, which is too many.")
        self.left -= size
        data = place[:size] if size <= 4 else _at(self.file, self._offset(place), size)
        return Value(kind, _swapped(data, width) if self.order == ">" else data)


def _swapped(data: bytes, width: int) -> bytes:
    return np.frombuffer(data, f">u{width}").astype(f"<u{width}").tobytes()


# --- Writing ----------------------------------------------------------------------------------

_HEADER = b"II*\0" + struct.pack("<I", 8)


def record(directory: Directory) -> bytes:
    """A directory as an EXIF record, from the byte order on."""
    return _HEADER + _serialised(directory, len(_HEADER))


def with_tags(file: bytes, tags: Directory) -> bytes:
    """Add tags to the first directory of a little-endian TIFF file, which keeps its own.

    The directory is written anew behind all else, so nothing in the file moves.
    """
    own = read_directory(BytesIO(file))
    end = len(file) + len(file) % 2
    moved = b"II*\0" + struct.pack("<I", end) + file[8:].ljust(end - 8, b"\0")
    return moved + _serialised({**tags, **own}, end)


def _serialised(directory: Directory, offset: int) -> bytes:
    """Bytes of a directory at an offset: its entries, then the values that do not fit in them."""
    after = offset + 2 + 12 * len(directory) + 4
    entries, extra = struct.pack("<H", len(directory)), b""
    for tag in sorted(directory):  # TIFF 6.0: in ascending order
        value = directory[tag]
        place = after + len(extra)
        if isinstance(value, Value):
            outside = value.data if len(value.data) > 4 else b""
            inside = struct.pack("<I", place) if outside else value.data.ljust(4, b"\0")
            entries += struct.pack("<HHI", tag, value.kind, value.count) + inside
        else:
            outside = _serialised(value, place)
            entries += struct.pack("<HHII", tag, LONG, 1, place)
        extra += outside + b"\0" * (len(outside) % 2)  # values begin at even offsets
    return entries + bytes(4) + extra  # no further directory


# --- Picking ----------------------------------------------------------------------------------


def picked(directory: Directory, tags: frozenset[int]) -> dict[int, Value | Directory]:
    """The values of these tags in a directory."""
    return {tag: value for tag, value in directory.items() if tag in tags}


def without(directory: Directory, tags: frozenset[int]) -> dict[int, Value | Directory]:
    """The values of all other tags in a directory."""
    return {tag: value for tag, value in directory.items() if tag not in tags}
