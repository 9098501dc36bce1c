from __future__ import annotations

import contextlib
import struct
import time
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nstbatch.runtime.formats import tiff
from nstbatch.runtime.formats.tiff import DirectoryError, Value, read_directory

# Values of every type, each a whole number of items, and none so large that it is left out.
values = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]).flatmap(
    lambda kind: st.binary(min_size=1, max_size=5).map(
        lambda data: Value(kind, data * (8 if kind in (5, 10, 12) else 4))
    )
)
POINTERS = {tiff.EXIF_DIRECTORY, tiff.GPS_DIRECTORY}
tags = st.integers(1, 0xFFFF).filter(lambda tag: tag not in POINTERS)
flat = st.dictionaries(tags, values, max_size=8)
directories = st.builds(
    lambda outer, inner: {**outer, **inner},
    flat,
    st.dictionaries(st.sampled_from(sorted(POINTERS)), flat),
)


@given(directory=directories)
def test_what_is_written_is_read_back(directory: tiff.Directory) -> None:
    assert read_directory(BytesIO(tiff.record(directory))) == directory


@given(directory=directories)
def test_tags_are_added_to_a_file_that_keeps_its_own(directory: tiff.Directory) -> None:
    # Lower tags say how the samples are stored, and Pillow warns of nonsense in known ones.
    directory = {tag: value for tag, value in directory.items() if tag > 0xB000}
    buffer = BytesIO()
    Image.effect_noise((9, 5), 60).save(buffer, "TIFF", compression="tiff_lzw")
    file = tiff.with_tags(buffer.getvalue(), directory)
    own = read_directory(buffer)
    assert read_directory(BytesIO(file)) == {**directory, **own}
    with Image.open(BytesIO(file)) as image, Image.open(buffer) as before:
        assert image.tobytes() == before.tobytes()


def test_the_main_page_is_the_first_that_is_no_reduced_copy() -> None:
    def directory(kind: int, following: int) -> bytes:
        return struct.pack("<HHHIII", 1, 254, 4, 1, kind, following)

    for kinds, page in (([0, 1], 0), ([1, 0], 1), ([1, 1, 4], 2), ([1, 1], 0), ([1], 0)):
        ends = [8 + 18 * (index + 1) for index in range(len(kinds))]
        ends[-1] = 8  # back to the first: the chain has no end
        file = b"II*\0" + struct.pack("<I", 8)
        file += b"".join(map(directory, kinds, ends))
        assert tiff.main_page(BytesIO(file)) == page
    assert tiff.main_page(BytesIO(b"II+\0" + bytes(40))) == 0


def test_both_orders_of_bytes_say_the_same() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(tiff.EXIF_DIRECTORY)[0x829A] = 1 / 250  # exposure time, a rational
    exif.get_ifd(tiff.GPS_DIRECTORY)[2] = (48.0, 51.0, 29.5)
    records = []
    for exif.endian in ("<", ">"):
        records.append(exif.tobytes().removeprefix(b"Exif\0\0"))
    little, big = (read_directory(BytesIO(record)) for record in records)
    assert records[0][:2], records[1][:2] == (b"II", b"MM")
    assert little == big
    assert little[0x010F] == tiff.text("Maker")


def test_pillow_reads_what_is_written() -> None:
    exif = Image.Exif()
    exif.load(
        tiff.record({0x010F: tiff.text("Maker"), tiff.EXIF_DIRECTORY: {0xA002: tiff.longs(70_000)}})
    )
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(tiff.EXIF_DIRECTORY) == {0xA002: 70_000}


@pytest.mark.parametrize("data", [b"", b"II*\0", b"no", b"II+\0" + bytes(60), b"II*\0\x08\0\0\0"])
def test_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(DirectoryError):
        read_directory(BytesIO(data))


def test_a_directory_that_points_to_itself_ends() -> None:
    pointer = struct.pack("<HHII", tiff.EXIF_DIRECTORY, 4, 1, 8)
    record = b"II*\0" + struct.pack("<IH", 8, 1) + pointer + bytes(4)
    read = read_directory(BytesIO(record))
    assert list(read) == [tiff.EXIF_DIRECTORY]


def test_many_pointers_are_one() -> None:
    pointer = struct.pack("<HHII", tiff.EXIF_DIRECTORY, 4, 1, 8)
    record = b"II*\0" + struct.pack("<IH", 8, 999) + pointer * 999 + bytes(4)
    start = time.perf_counter()
    read_directory(BytesIO(record))
    assert time.perf_counter() - start < 1


def test_huge_values_and_tables_are_left_out() -> None:
    entry = struct.pack("<HHII", 0x010F, 2, 0xFFFFFFFF, 8)
    record = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    assert read_directory(BytesIO(record)) == {}
    with pytest.raises(DirectoryError, match="60000 entries"):
        read_directory(BytesIO(b"II*\0" + struct.pack("<IH", 8, 60_000) + bytes(720_000)))


def test_values_that_overlap_take_no_more_than_the_file_is_large() -> None:
    entries = b"".join(struct.pack("<HHII", 1000 + n, 7, 50_000, 8) for n in range(900))
    record = b"II*\0" + struct.pack("<I", 50_008) + bytes(50_000) + struct.pack("<H", 900) + entries
    read = read_directory(BytesIO(record + bytes(4)))
    assert 0 < sum(len(value.data) for value in read.values()) <= len(record) + 4


@given(
    directory=directories,
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1),
)
def test_damage_is_a_directory_or_refused(
    directory: tiff.Directory, edits: list[tuple[float, int]]
) -> None:
    data = bytearray(tiff.record(directory))
    for position, value in edits:
        data[int(position * len(data))] = value
    with contextlib.suppress(DirectoryError):
        again = read_directory(BytesIO(bytes(data)))
        assert read_directory(BytesIO(tiff.record(again))) == again
