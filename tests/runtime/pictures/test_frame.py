"""Frames of scans are found, and pictures that run to their edge are left whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nstbatch.runtime.pictures.frame import Frame, find_frame
from nstbatch.runtime.pictures.images import read

EXAMPLES = Path(__file__).parents[3] / "examples"


def painting(height: int = 120, width: int = 160) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.random((height, width, 3), dtype=np.float32)


def framed(top: int, right: int, bottom: int, left: int, colour: float = 0) -> np.ndarray:
    edges = ((top, bottom), (left, right), (0, 0))
    return np.pad(painting(), edges, constant_values=np.float32(colour))


@pytest.mark.parametrize("colour", [0, 0.5, 1])
@pytest.mark.parametrize("widths", [(8, 8, 8, 8), (5, 0, 9, 0), (1, 2, 3, 4)])
def test_a_frame_is_cut_off_with_the_pixels_that_are_mixed_with_it(widths, colour):
    pixels = framed(*widths, colour)
    frame = find_frame(pixels)
    assert frame == Frame(*(width + 2 if width else 0 for width in widths))
    cut = [2 if width else 0 for width in widths]
    expected = painting()[cut[0] : 120 - cut[2], cut[3] : 160 - cut[1]]
    np.testing.assert_array_equal(frame.cut_off(pixels), expected)


def test_a_noisy_frame_at_a_slant_is_a_frame():
    pixels = framed(8, 8, 8, 8)
    for column in range(pixels.shape[1]):
        pixels[8 : 8 + column // 60, column] = 0
    noise = np.random.default_rng(1).random(pixels.shape, dtype=np.float32)
    pixels = np.where(pixels == 0, noise * 10 / 255, pixels)
    assert find_frame(pixels).top == 8 + 2 + 2


def test_what_belongs_to_the_picture_is_no_frame():
    whole = painting()
    assert not find_frame(whole)
    drawing = np.ones((120, 160, 3), np.float32)  # a line across paper
    drawing[np.arange(20, 100), np.arange(30, 110)] = 0
    assert not find_frame(drawing)
    night = painting()  # a black sky above hills
    for column in range(160):
        night[: 5 + column % 20, column] = 0
    assert not find_frame(night)
    assert not find_frame(np.zeros((120, 160, 3), np.float32))
    assert not find_frame(framed(60, 60, 60, 60))  # a small picture on a large page
    assert not find_frame(np.ones((1, 1, 3), np.float32))


@pytest.mark.parametrize("photo", sorted((EXAMPLES / "photos").glob("*.jpg")), ids=lambda p: p.stem)
def test_photos_have_no_frame(photo):
    assert not find_frame(read(photo).pixels)


def test_a_frame_in_words():
    assert Frame(5, 0, 9, 0).shares(200, 90) == "2.5% at the top, 4.5% at the bottom"
    assert Frame(0, 9, 0, 18).shares(200, 90) == "10.0% at the right, 20.0% at the left"
