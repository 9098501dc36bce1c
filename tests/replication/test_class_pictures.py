"""Pictures of ten classes with the default settings, and how the network classifies them."""

import numpy as np
import pytest

from nstbatch.runtime.pictures.images import read, write
from nstbatch.runtime.pictures.sizes import resize
from nstbatch.runtime.systems.class_picture import ClassPicture

CLASSES = (
    *("goldfish", "flamingo", "daisy", "volcano", "castle"),
    *("banana", "monarch", "strawberry", "school bus", "zebra"),
)


@pytest.fixture(scope="module")
def picture() -> ClassPicture:
    return ClassPicture("squeezenet1_1", device="cpu")


@pytest.mark.replication
@pytest.mark.parametrize("name", CLASSES)
def test_the_network_knows_its_picture_after_a_resize(picture, name, tmp_path):
    """Resize the written file by 0.9 and back: the result must not depend on single pixels."""
    write(tmp_path / "picture.png", picture(name).image)
    seen = read(tmp_path / "picture.png").pixels
    height, width, _ = seen.shape
    smaller = resize(seen, (round(0.9 * height), round(0.9 * width)))
    probabilities = picture.probabilities(resize(smaller, (height, width)))
    assert np.isclose(probabilities.sum(), 1)
    assert probabilities[picture.find(name)] >= 0.9
