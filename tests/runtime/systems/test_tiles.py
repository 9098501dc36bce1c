"""Pictures in tiles end where whole ones end, in every system that has tiles."""

import numpy as np
import pytest

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.class_picture import ClassPicture
from nstbatch.runtime.systems.deepdream import DeepDream
from nstbatch.runtime.systems.dream_options import ClassPictureOptions, DreamOptions
from nstbatch.runtime.systems.reconstruction import Reconstruction
from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer
from nstbatch.runtime.systems.texture import Texture
from nstbatch.runtime.systems.texture_options import TextureOptions


def picture(height, width, seed=0):
    """(H, W, 3), like a photo."""
    image = photo_like(np.random.default_rng(seed), height, width)
    return np.ascontiguousarray(image.transpose(1, 2, 0))


PHOTO, PAINTING = picture(130, 190), picture(120, 110, seed=1)


def painted(place):
    options = StyleTransferOptions(size=190, iterations=3, scales=1, optimizer="adam")
    return StyleTransfer("squeezenet1_1", **place)(PHOTO, PAINTING, options).image


def tileable_texture(place):
    options = TextureOptions(
        width=190, height=130, iterations=3, scales=1, tileable=True, optimizer="adam"
    )
    return Texture("squeezenet1_1", **place)(PHOTO, options).image


def reconstructed(place):
    options = ReconstructionOptions(size=190, layers=("fire4/concat",), iterations=3)
    (layer,) = Reconstruction("squeezenet1_1", **place)(PHOTO, options).layers
    return layer.image


def dreamed(place):
    options = DreamOptions(size=190, octaves=1, iterations=3, channels="strongest:4")
    result = DeepDream("squeezenet1_1", **place)(PHOTO, options)
    assert len(result.channels) == 4
    return result.image


@pytest.mark.parametrize("made", [painted, tileable_texture, reconstructed, dreamed])
def test_the_picture_is_that_of_the_whole(made):
    tiled, whole = (made({"device": "cpu", "threads": 1, "tile_size": side}) for side in (64, None))
    np.testing.assert_allclose(tiled, whole, atol=1 / 255)
    assert np.abs(tiled - whole).mean() < 0.05 / 255


def test_a_class_sees_the_whole_picture():
    picture = ClassPicture("squeezenet1_1", device="cpu", threads=1, tile_size=32)
    with pytest.raises(UsageError, match="sees the whole picture"):
        picture("banana", ClassPictureOptions(size=224, iterations=1))
