"""The pixels of all steps of a run, as whole pictures and in tiles."""

from __future__ import annotations

import math

import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.needs.work import TWICE_FORWARD, pixels_of_steps
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer

LAYERS = ("fire2/concat",)
SIZES = [((30, 40), 5), ((300, 400), 10)]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load("squeezenet1_1")


def test_a_whole_picture_counts_its_pixels(bundle: Bundle) -> None:
    assert pixels_of_steps(SIZES, None, bundle, LAYERS, "max") == 5 * 30 * 40 + 10 * 300 * 400
    assert pixels_of_steps(SIZES, 400, bundle, LAYERS, "max") == 5 * 30 * 40 + 10 * 300 * 400


def test_tiles_count_their_overlap_and_the_second_pass_forward(bundle: Bundle) -> None:
    size = (2000, 3000)
    found = [
        pixels_of_steps([(size, 10)], side, bundle, LAYERS, "max") / (10 * math.prod(size))
        for side in (1024, 512, 256, 64)
    ]
    assert TWICE_FORWARD < found[0] < found[1] < found[2] < found[3] < 10


def test_a_layer_that_sees_everything_has_no_tiles(bundle: Bundle) -> None:
    assert bundle.layer("pool10").receptive_field is None
    whole = pixels_of_steps(SIZES, None, bundle, ["pool10"], "max")
    assert pixels_of_steps(SIZES, 128, bundle, ["pool10"], "max") == whole


def test_large_sizes_of_a_style_transfer_cost_little() -> None:
    transfer, options = StyleTransfer("squeezenet1_1", device="cpu"), StyleTransferOptions()
    small, large = (transfer.work(options, (side, side)) for side in (1024, 8192))
    assert small < large < 10 * small  # as many steps at full size would cost 64 times as much
    transfer.engine.tile_size = 512
    assert large < transfer.work(options, (8192, 8192)) < 4 * large
