"""Samples and profiles of written files, read back by OpenCV and Little CMS."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, ImageCms

from nstbatch.runtime.formats.encoding import FORMATS, encode, srgb_profile
from nstbatch.runtime.formats.metadata import Metadata
from nstbatch.runtime.pictures import images

DEEP_SUFFIXES = (".png", ".tif")
samples = hnp.arrays(
    np.uint16,
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4])),
    elements=st.integers(0, 65535),
)


def encoded(levels: NDArray[np.unsignedinteger], suffix: str, **metadata: object) -> bytes:
    """Write levels (H, W, 3 | 4) of 8 or 16 bits to a file."""
    values = levels.astype(np.float32) / np.iinfo(levels.dtype).max
    alpha = values[..., 3] if values.shape[2] == 4 else None
    return encode(values[..., :3], alpha, FORMATS[suffix], Metadata(**metadata), None)


def by_opencv(data: bytes) -> NDArray[np.unsignedinteger]:
    """The levels that OpenCV reads, red first."""
    levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return levels[..., [2, 1, 0, 3][: levels.shape[2]]]


@pytest.mark.parametrize("suffix", DEEP_SUFFIXES)
@given(levels=samples)
def test_16_bits_are_exact_for_another_reader(suffix: str, levels: NDArray[np.uint16]) -> None:
    read = by_opencv(encoded(levels, suffix, bits=16))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, levels)


@pytest.mark.parametrize("suffix", DEEP_SUFFIXES)
@given(levels=samples)
def test_16_bits_are_exact_for_our_own(suffix: str, levels: NDArray[np.uint16]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        path.write_bytes(encoded(levels, suffix, bits=16))
        picture = images.read(path)
    visible = levels[..., 3] > 0 if levels.shape[2] == 4 else slice(None)
    read = np.rint(picture.pixels[visible] * 65535)
    np.testing.assert_array_equal(read, levels[visible][..., :3])


@pytest.mark.parametrize("suffix", DEEP_SUFFIXES)
@given(levels=samples.map(lambda levels: (levels >> 8).astype(np.uint8)))
def test_8_bits_are_exact_for_another_reader(suffix: str, levels: NDArray[np.uint8]) -> None:
    if suffix == ".tif":  # OpenCV multiplies a TIFF's 8-bit colours by the opacity
        levels = levels[..., :3]
    read = by_opencv(encoded(levels, suffix))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, levels)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_formats_without_16_bits_take_8(suffix: str) -> None:
    levels = np.full((8, 8, 3), 40_000, np.uint16)
    read = by_opencv(encoded(levels, suffix, bits=16))
    assert read.dtype == np.uint8
    np.testing.assert_allclose(read, 40_000 / 257, atol=3)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_with_everything_is_the_same_every_time(suffix: str) -> None:
    levels = np.arange(96, dtype=np.uint8).reshape(4, 8, 3)
    everything = {"profiled": True, "recipe": "{}", "bits": 16}
    assert encoded(levels, suffix, **everything) == encoded(levels, suffix, **everything)


@pytest.mark.parametrize(("suffix", "finer"), [(".jpg", 60), (".webp", 60), (".avif", 60)])
def test_quality_makes_files_larger(suffix: str, finer: int) -> None:
    pixels = np.random.default_rng(0).random((40, 40, 3), dtype=np.float32)
    small, large, usual = (
        len(encode(pixels, None, FORMATS[suffix], Metadata(), quality))
        for quality in (20, finer, None)
    )
    assert small < large < usual


# --- The profile ------------------------------------------------------------------------------


def test_the_profile_is_that_of_srgb_for_another_colour_engine() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    assert "sRGB" in ImageCms.getProfileName(profile)
    assert profile.profile.creation_date.year == 1999
    levels = np.arange(0, 256, dtype=np.uint8)
    cube = Image.fromarray(np.stack([levels, levels[::-1], np.roll(levels, 99)], axis=-1)[None])
    same = ImageCms.profileToProfile(cube, profile, ImageCms.createProfile("sRGB"))
    np.testing.assert_allclose(np.asarray(same, int), np.asarray(cube, int), atol=1)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_profile_is_in_the_file_when_asked_for(suffix: str) -> None:
    levels = np.full((8, 8, 3), 100, np.uint8)
    for profiled in (True, False):
        with Image.open(io.BytesIO(encoded(levels, suffix, profiled=profiled))) as image:
            assert (image.info.get("icc_profile") == srgb_profile()) == profiled


def test_our_own_profile_costs_no_bits(tmp_path: Path) -> None:
    """The reader recognises it and converts nothing; a conversion would cut 16 bits to 8."""
    levels = np.full((4, 4, 3), 12_345, np.uint16)
    (tmp_path / "a.png").write_bytes(encoded(levels, ".png", bits=16, profiled=True))
    pixels = images.read(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(np.rint(pixels * 65535), levels)
