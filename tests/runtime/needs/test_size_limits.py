"""The smallest pictures that layers accept."""

import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import ImageError, UnknownNameError
from nstbatch.runtime.needs.size_limits import SizeLimits


@pytest.fixture
def limits() -> SizeLimits:
    return SizeLimits(Bundle.load("alexnet"))


def test_the_smallest_side_is_at_least_the_stride(limits):
    assert limits.smallest_side("relu5", "avg") == 31
    assert SizeLimits(Bundle.load("vgg16")).smallest_side("relu5_1", "max") == 16
    assert SizeLimits(Bundle.load("squeezenet1_1")).smallest_side("pool10", "avg") == 17
    with pytest.raises(UnknownNameError, match=r"relu6.*relu5"):
        limits.smallest_side("relu6", "avg")


def test_the_layer_with_the_largest_need_is_named(limits):
    layers = ["relu1", "relu5", "relu2"]
    assert limits.largest_need(layers, "avg") == (31, "relu5")
    assert limits.largest_need(["relu1"], "avg")[1] == "relu1"


def test_a_picture_that_is_too_small_is_refused_with_its_size_and_the_layer(limits):
    limits.check_side("picture", (31, 40), ["relu1", "relu5"], "avg")
    limits.check_side("picture", (40, 31, 3), ["relu5"], "avg")
    with pytest.raises(ImageError, match=r"^The style is 40x30 pixels; relu5 needs at least 31 on"):
        limits.check_side("style", (30, 40, 3), ["relu1", "relu5"], "avg")


def test_the_photo_is_refused_before_the_picture_that_it_becomes(limits):
    limits.check_picture((31, 40), (31, 31), ["relu5"], "avg")
    with pytest.raises(ImageError, match=r"^The picture is 40x30 pixels"):
        limits.check_picture((30, 40), (20, 30), ["relu5"], "avg")
    with pytest.raises(ImageError, match=r"^The picture at the size asked for is 40x30 pixels"):
        limits.check_picture((60, 80, 3), (30, 40), ["relu5"], "avg")
