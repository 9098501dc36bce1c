"""JPEG files without their end marker, or without more."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.formats.content import Content
from nstbatch.runtime.formats.decoding import decode
from nstbatch.runtime.formats.jpeg_end import has_all_scans

LEVELS = np.random.default_rng(0).integers(0, 256, (48, 72, 3), np.uint8)


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(LEVELS).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def pixels(data: bytes, at_least: int | None = None) -> NDArray[np.float32]:
    return decode(Content(data=data), at_least)[0]


KINDS = {
    "baseline": jpeg(),
    "grey": jpeg("L"),
    "inks": jpeg("CMYK"),
    "4:4:4": jpeg(subsampling="4:4:4"),
    "progressive": jpeg(progressive=True),
    "progressive grey": jpeg("L", progressive=True),
    "restarts": jpeg(restart_marker_rows=1),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_is_whole(kind: str, lost: int) -> None:
    np.testing.assert_array_equal(pixels(KINDS[kind][:-lost]), pixels(KINDS[kind]))


def test_zeros_in_place_of_the_end_are_no_damage() -> None:
    np.testing.assert_array_equal(
        pixels(KINDS["baseline"][:-2] + bytes(600)), pixels(KINDS["baseline"])
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", [4, 8, 40, 400])
def test_a_jpeg_that_lacks_rows_is_cut_short(kind: str, lost: int) -> None:
    with pytest.raises(ImageError, match="cut short"):
        pixels(KINDS[kind][:-lost])


def test_a_jpeg_that_lacks_a_whole_scan_is_cut_short() -> None:
    """Its decoder warns of nothing, and the picture would be blurred."""
    data = KINDS["progressive"]
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert has_all_scans(data)
    for start in scans[1:]:
        assert not has_all_scans(data[:start])
        with pytest.raises(ImageError, match="cut short"):
            pixels(data[:start])
