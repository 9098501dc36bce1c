"""IPTC records (IIM 4.2): captions, keywords and credits, as agencies write them.

A record is a list of data sets: the mark 0x1C, the numbers of record and data set, a length of two
bytes, and the data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MARK = 0x1C
_HEADER = 5
_EXTENDED = 0x8000  # from here on the length itself has a length; such large data is left out

# Kept by default, as (record, data set): the character set; from the application record the title,
# keywords, dates and times, writers and their titles, headline, credit, source, copyright, caption
# and its writer. Not kept are places (90 to 101, 26 and 27), contacts, and instructions.
_TELLING = {(1, 90), (2, 0)}
_TELLING |= {
    (2, number) for number in (5, 25, 55, 60, 62, 63, 80, 85, 105, 110, 115, 116, 120, 122)
}


def telling(records: bytes) -> bytes:
    """The data sets that describe the picture and its maker; empty if there are none."""
    kept = [whole for key, whole in _data_sets(records) if key in _TELLING]
    says_nothing = all(whole[1:3] in (b"\x01\x5a", b"\x02\x00") for whole in kept)
    return b"" if says_nothing else b"".join(kept)


def everything(records: bytes) -> bytes:
    """All data sets that are not damaged."""
    return b"".join(whole for _, whole in _data_sets(records))


def in_jpeg(records: bytes) -> bytes:
    """Records as JPEG holds them: the block 0x0404 of Photoshop's, in an APP13 segment."""
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records
    return b"Photoshop 3.0\0" + block + b"\0" * (len(records) % 2)


def _data_sets(records: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield (record, data set) and all bytes of each data set, until the first damaged one."""
    place = 0
    while place + _HEADER <= len(records) and records[place] == _MARK:
        record, number, size = struct.unpack_from(">BBH", records, place + 1)
        end = place + _HEADER + size
        if size >= _EXTENDED or end > len(records):
            return
        yield (record, number), records[place:end]
        place = end
