from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.systems.reconstruction import ReconstructedLayer, ReconstructionResult
from nstbatch.runtime.systems.reconstruction_sheet import reconstruction_sheet, stretched


def noise(seed=0):
    return np.random.default_rng(seed).random((24, 36, 3), dtype=np.float32)


def result(*layers: tuple[str, float]) -> ReconstructionResult:
    found = tuple(
        ReconstructedLayer(name, weight, noise(seed), 0.1, {"total": 1.0}, 5)
        for seed, (name, weight) in enumerate(layers, 1)
    )
    return ReconstructionResult(noise(), found, 5, 1.0, "cpu", "fp32", StopReason.FINISHED)


def places(sheet, picture):
    """Top left corners of a picture on a sheet, found by its first row."""
    height, width, _ = picture.shape
    return [
        (top, left)
        for top in range(sheet.shape[0] - height)
        for left in range(sheet.shape[1] - width)
        if np.allclose(sheet[top, left : left + 3], picture[0, :3], atol=1e-6)
    ]


def test_the_original_comes_first_and_rows_are_short():
    layers = [(f"relu{index}", 5.0) for index in range(6)]
    found = result(*layers)
    sheet = reconstruction_sheet(found, "a title")
    ((top, left),) = places(sheet, found.original)
    ((second_top, second_left),) = places(sheet, stretched(found.layers[0].image, found.original))
    ((last_top, last_left),) = places(sheet, stretched(found.layers[-1].image, found.original))
    assert second_top == top
    assert second_left > left
    assert last_top > top  # six layers and the original take two rows
    assert last_left > left


def test_a_sweep_has_a_row_for_every_weight():
    found = result(("conv1", 0.5), ("conv1", 50.0), ("relu1", 0.5), ("relu1", 50.0))
    one, two = (reconstruction_sheet(r, "") for r in (result(("conv1", 0.5)), found))
    assert two.shape[0] > 1.8 * one.shape[0]


@given(
    low=st.floats(0, 0.4),
    high=st.floats(0.6, 1),
    gain=st.floats(0.05, 1),
    offset=st.floats(-0.2, 0.2),
)
def test_lost_contrast_is_given_back(low, high, gain, offset):
    original = low + (high - low) * noise()
    faded = 0.5 + offset + gain * (original - 0.5)
    np.testing.assert_allclose(stretched(faded, original), original, atol=1e-3)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_plain_picture_stays_finite(level):
    plain = np.full((4, 5, 3), level, np.float32)
    assert np.isfinite(stretched(plain, noise())).all()
    assert np.isfinite(stretched(noise(), plain)).all()
