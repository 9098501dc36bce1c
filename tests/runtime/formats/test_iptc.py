from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, IptcImagePlugin

from nstbatch.runtime.formats import iptc
from nstbatch.runtime.formats.metadata import Metadata
from nstbatch.runtime.pictures import images

LEVELS = np.zeros((8, 8, 3), np.float32)


def data_set(record: int, number: int, data: bytes) -> bytes:
    return bytes([0x1C, record, number]) + len(data).to_bytes(2, "big") + data


UTF_8 = data_set(1, 90, b"\x1b%G")
TITLE = data_set(2, 5, "Zoë".encode())
WORDS = data_set(2, 25, b"cat") + data_set(2, 25, b"tabby")
CITY = data_set(2, 90, b"Paris")
PHONE = data_set(2, 118, b"+33 1")
ALL = UTF_8 + data_set(2, 0, b"\0\4") + TITLE + WORDS + CITY + PHONE


def test_what_describes_the_picture_is_kept_without_places_and_contacts() -> None:
    assert iptc.telling(ALL) == UTF_8 + data_set(2, 0, b"\0\4") + TITLE + WORDS
    assert iptc.everything(ALL) == ALL


def test_a_character_set_alone_is_nothing() -> None:
    assert iptc.telling(UTF_8 + CITY) == b""
    assert iptc.telling(b"") == b""


@pytest.mark.parametrize(
    "rest", [b"\x1c", b"\x1c\x02\x05\0\x09short", b"junk", b"\x1c\x02\x05\x80\x04"]
)
def test_damage_ends_the_list(rest: bytes) -> None:
    assert iptc.everything(TITLE + rest) == TITLE


@given(st.binary(max_size=60))
def test_any_bytes_give_a_part_of_them(data: bytes) -> None:
    assert data.startswith(iptc.everything(data))
    assert len(iptc.telling(data)) <= len(data)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("records", [ALL, ALL + data_set(2, 120, b"even")], ids=["odd", "even"])
def test_another_reader_finds_them(suffix: str, records: bytes) -> None:
    data = images.encode(suffix, LEVELS, metadata=Metadata(iptc=records))
    with Image.open(io.BytesIO(data)) as image:
        found = IptcImagePlugin.getiptcinfo(image)
    assert found is not None
    assert found[(2, 5)] == "Zoë".encode()
    assert found[(2, 25)] == [b"cat", b"tabby"]
    assert found[(2, 90)] == b"Paris"
