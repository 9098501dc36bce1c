"""Short runs of the verbs whose graphs differ most from a style transfer's, on a GPU.

They are those that needed rewritings of their own: docs/gpu.md. **Not run on a GPU yet.**
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.pictures.synthetic import photo_like
from nstbatch.runtime.systems.class_picture import ClassPicture
from nstbatch.runtime.systems.deepdream import DeepDream
from nstbatch.runtime.systems.dream_options import ClassPictureOptions, DreamOptions
from nstbatch.runtime.systems.system import Result
from nstbatch.runtime.systems.texture import Texture
from nstbatch.runtime.systems.texture_options import TextureOptions

On = Mapping[str, Any]
"""The device, precision and threads of a system."""

# The only built-in network with classes.
CLASSIFIER = "squeezenet1_1"


def tileable_texture(model: str, size: int, steps: int, on: On) -> Result:
    """A texture of the synthetic photo, from two layers that see little: sizes may be small."""
    options = TextureOptions(
        width=size,
        height=size,
        scales=1,
        iterations=steps,
        tileable=True,
        up_to=Bundle.load(model).style_layers[1],
    )
    return Texture(model, **on)(_photo(2 * size), options)


def guided_dream(model: str, size: int, steps: int, on: On) -> Result:
    """A dream of one octave, guided by another photo."""
    options = DreamOptions(size=size, octaves=1, iterations=steps)
    return DeepDream(model, **on)(_photo(size), options, guide_image=_photo(size, seed=1))


def class_picture(model: str, size: int, steps: int, on: On) -> Result:
    """A picture of a class; always by :data:`CLASSIFIER`."""
    options = ClassPictureOptions(size=size, iterations=steps)
    return ClassPicture(CLASSIFIER, **on)("tabby", options)


RUNS: Mapping[str, Callable[[str, int, int, On], Result]] = {
    "tileable-texture": tileable_texture,
    "guided-dream": guided_dream,
    "class-picture": class_picture,
}


def _photo(side: int, seed: int = 0) -> Array:
    return photo_like(np.random.default_rng(seed), side, side).transpose(1, 2, 0)
