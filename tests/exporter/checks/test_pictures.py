import numpy as np
import pytest
import torch
from torch import nn

from nstbatch.exporter.checks.margins import CLEAR, rounding_errors
from nstbatch.exporter.checks.pictures import (
    PATCH,
    PICTURES,
    RETOUCHES,
    clear_picture,
    flat_areas,
    photo_like,
)


@pytest.mark.parametrize("draw", PICTURES.values(), ids=list(PICTURES))
def test_pictures_are_pictures(draw):
    picture = draw(np.random.default_rng(0), 20, 31)
    assert picture.shape == (3, 20, 31)
    assert picture.dtype == np.float32
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert np.array_equal(picture, draw(np.random.default_rng(0), 20, 31))
    assert not np.array_equal(picture, draw(np.random.default_rng(1), 20, 31))


def test_flat_areas_are_flat():
    for seed in range(5):
        picture = flat_areas(np.random.default_rng(seed), 97, 131)
        still = (np.diff(picture, axis=1) == 0).all(0).mean()
        assert still > 0.85
        assert len(np.unique(picture[0])) > 3


# --- Without close decisions ------------------------------------------------------------------


class Threshold(nn.Module):
    """A network that decides if pixels are above one half."""

    def forward(self, image):
        return torch.relu(image[:, :1] - 0.5)


class Drawn:
    """A function that draws prepared pictures in order, then repeats the last one."""

    def __init__(self, *pictures):
        self.pictures = pictures
        self.count = 0

    def __call__(self, rng, height, width):
        self.count += 1
        return self.pictures[min(self.count, len(self.pictures)) - 1]


@pytest.fixture
def errors():
    return [torch.full((1, 1, 1), 1e-7)]


def grey(value, **pixels):
    picture = np.full((3, 64, 96), value, np.float32)
    for place, pixel in pixels.items():
        row, column = map(int, place[1:].split("_"))
        picture[:, row, column] = pixel
    return picture


def clear(draw, errors):
    return clear_picture(Threshold(), draw, (64, 96), np.random.default_rng(0), errors)


def test_a_clear_picture_is_taken_as_it_is(errors):
    draw = Drawn(grey(0.25))
    image, margin = clear(draw, errors)
    assert np.array_equal(image[0].numpy(), grey(0.25))
    assert margin.is_clear
    assert draw.count == 1


def test_the_place_of_a_close_decision_is_retouched(errors):
    nearly = np.float32(0.5) + np.float32(1.2e-7)
    draw = Drawn(grey(0.25, p40_3=nearly, p10_80=nearly), grey(0.75), grey(1.0))
    image, margin = clear(draw, errors)
    assert margin.is_clear
    expected = grey(0.25)
    expected[:, 10 - PATCH if PATCH < 10 else 0 : 10 + PATCH, 80 - PATCH : 80 + PATCH] = 0.75
    expected[:, 40 - PATCH : 40 + PATCH, : 3 + PATCH] = 1.0
    assert np.array_equal(image[0].numpy(), expected)


def test_the_clearest_is_taken_where_none_is_clear(errors):
    close, closer = (np.float32(0.5) + np.float32(gap) for gap in (3e-7, 1.2e-7))
    draw = Drawn(grey(closer), grey(close), grey(closer))
    image, margin = clear(draw, errors)
    assert not margin.is_clear
    assert 1 < margin.size < CLEAR
    assert draw.count == 2 + RETOUCHES
    assert (image > 0.5).all()


def test_a_network_of_real_size_gets_a_clear_picture():
    torch.manual_seed(0)
    modules = [nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)]
    network = nn.Sequential(*modules, nn.ReLU(), nn.MaxPool2d(2)).eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    errors = rounding_errors(network, torch.from_numpy(photo_like(rng, 97, 131))[None])
    for draw in PICTURES.values():
        _, margin = clear_picture(network, draw, (97, 131), rng, errors)
        assert margin.is_clear
