"""JPEG files that lack only their end marker: the picture is complete, and the last bytes are not.

Downloads and recovered memory cards have many of them. The marker names are those of ITU-T T.81,
table B.1.
"""

from __future__ import annotations

from collections.abc import Iterator

_END = b"\xff\xd9"

# Bytes that a decoder reads as samples only if the file's own do not suffice. With these, none of
# 960 pictures that lack 3 to 42 bytes passes for whole.
_FILLINGS = (bytes(range(1, 33)), bytes(range(250, 218, -1)), b"\xaa" * 32)

_START_OF_SCAN = 0xDA
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
# Markers without a segment: RST0 to RST7, SOI, TEM, and the zero after a byte that is no marker.
_ALONE = {*range(0xD0, 0xD9), 0x01, 0x00}


def completed(data: bytes) -> list[bytes]:
    """Versions of a JPEG file with an end marker, which show the same picture if it is whole.

    They differ between the file's own samples and the marker. There are none for a file that has a
    marker, or lacks whole scans.
    """
    own = data.rstrip(b"\0")
    if own.endswith(_END) or not has_all_scans(own):
        return []
    if own.endswith(b"\xff"):  # of a marker or of samples, where a zero follows it
        own += b"\0"
    return [own + filling + _END for filling in _FILLINGS]


def has_all_scans(data: bytes) -> bool:
    """True if a JPEG's scans bring every coefficient of every component to full precision.

    A progressive JPEG that was cut between two scans would decode without a warning, but blurred.
    Other JPEGs have all of a component in one scan, and the decoder counts their rows.
    """
    refined: set[tuple[int, int]] = set()  # (component, index of a coefficient)
    components: set[int] = set()
    for marker, segment in _segments(data):
        if marker in _PROGRESSIVE:
            components = set(segment[6::3])
        elif marker == _START_OF_SCAN and components:
            count = segment[0]
            start, end, precision = segment[1 + 2 * count : 4 + 2 * count]
            if precision & 15 == 0:  # no bits are left for a later scan
                of_scan = segment[1 : 1 + 2 * count : 2]
                refined |= {(name, index) for name in of_scan for index in range(start, end + 1)}
    return refined >= {(name, index) for name in components for index in range(64)}


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the code and the content of every segment; samples are skipped."""
    place = data.find(b"\xff")
    while 0 <= place < len(data) - 3:
        marker = data[place + 1]
        size = 0
        if marker not in _ALONE and marker != 0xFF:
            size = int.from_bytes(data[place + 2 : place + 4], "big")
            yield marker, data[place + 4 : place + 2 + size]
        place = data.find(b"\xff", place + max(2, 2 + size) - (marker == 0xFF))
