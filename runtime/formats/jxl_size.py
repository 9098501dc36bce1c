"""The size of a JPEG XL picture from its header.

The plug-in of Pillow decodes a picture as soon as it opens the file, and so before anybody could
refuse one that is too large. The layout is that of ISO/IEC 18181-1, annex D.2 (SizeHeader), and
18181-2 (boxes).
"""

from __future__ import annotations

_STREAM = b"\xff\x0a"
_BOXES = (b"jxlc", b"jxlp")  # a whole stream, and a part of one after four bytes

# Width over height by the code in the header; 0 means that the width follows.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_BITS_OF_LARGE = (9, 13, 18, 30)


def size(data: bytes) -> tuple[int, int]:
    """The (width, height) that a JPEG XL file declares, as it is stored.

    Raises:
        ValueError: There is no header.
    """
    start = 0 if data.startswith(_STREAM) else _start_in_boxes(data)
    if not data.startswith(_STREAM, start):
        raise ValueError("No stream of JPEG XL.")
    bits = _Bits(data[start + 2 : start + 14])
    is_small = bits.take(1) == 1
    height = bits.side(is_small)
    ratio = bits.take(3)
    if ratio == 0:
        return bits.side(is_small), height
    above, below = _RATIOS[ratio]
    return height * above // below, height


class _Bits:
    """Bits of a header, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value

    def side(self, is_small: bool) -> int:
        if is_small:
            return 8 * (self.take(5) + 1)
        return self.take(_BITS_OF_LARGE[self.take(2)]) + 1


def _start_in_boxes(data: bytes) -> int:
    """Where the stream starts, if all boxes have a length that is possible."""
    place, start = 0, None
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        header = 8
        if length == 1:  # a longer number follows
            length, header = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        elif length == 0:  # it reaches to the end
            length = len(data) - place
        if not header <= length <= len(data) - place:
            raise ValueError("A box is damaged, or cut short.")
        if kind in _BOXES and start is None:
            start = place + header + (4 if kind == b"jxlp" else 0)
        place += length
    if start is None:
        raise ValueError("No stream of JPEG XL.")
    return start
