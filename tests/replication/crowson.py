"""style-transfer-pytorch's method (Crowson) on the bundle's VGG16, with its own full settings.

Written from the formulas of its style_transfer.py at 015afe1 (MIT), to compare pictures with:
scaled errors of Gram matrices and of relu4_2, weights as published, Adam, and an exponential mean
of the iterates, with which each size begins and ends. Its steps are those of our graphs, whose
losses and gradients tests/runtime/objectives/test_scaled_terms.py compares with PyTorch's.

python tests/replication/crowson.py PHOTO STYLE SIZE RESULT

One thing differs from the original: it takes VGG19 where this takes VGG16.
"""

import sys
from dataclasses import replace

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.adam import Adam
from nstbatch.runtime.descent.averaged import Averaged
from nstbatch.runtime.descent.loop import PIXEL_BOUNDS, Steppable
from nstbatch.runtime.descent.optimizers import State
from nstbatch.runtime.descent.pyramid import Level, coarse_to_fine, plan_levels
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.objectives.terms import (
    CONTENT_TARGET,
    Objective,
    scaled_content,
    scaled_style,
    total_variation,
)
from nstbatch.runtime.pictures.images import read, write
from nstbatch.runtime.pictures.sizes import (
    fit_long_side,
    from_nchw,
    resize,
    to_nchw,
)

CONTENT_WEIGHT, TV_WEIGHT = 0.015, 2.0
STYLE_WEIGHTS = {"relu1_1": 256, "relu2_1": 64, "relu3_1": 16, "relu4_1": 4, "relu5_1": 1}
SMALLEST, FIRST_STEPS, STEPS = 128, 1000, 500
DECAY = 0.99


def crowson(engine: Engine, photo: Array, painting: Array, size: int) -> Array:
    """Paint a photo (H, W, 3) with a long side of ``size`` pixels; return (H, W, 3)."""
    objective, optimizer, levels = published(engine), Averaged(Adam(), DECAY), sizes(photo, size)

    def open_descent(level: Level, images: Array, state: State, begun: Array) -> Steppable:
        wanted = targets(engine, objective, level, photo, painting)
        network = {"pooling": "max", "padding": "replicate", "bounds": PIXEL_BOUNDS}
        return engine.descent(objective, wanted, images, optimizer, state, **network)

    first = levels[0].fit(photo)
    silent = (lambda *report: None, lambda: False)
    return from_nchw(coarse_to_fine(levels, first, optimizer, open_descent, *silent).images)


def published(engine: Engine) -> Objective:
    """The published weights, for losses that are not relative.

    Our Gram matrices are divided by the number of channels as well, and so is their loss.
    """
    objective = CONTENT_WEIGHT * scaled_content("relu4_2")
    for layer, weight in STYLE_WEIGHTS.items():
        channels = engine.bundle.layer(layer).channels
        objective += weight * channels / sum(STYLE_WEIGHTS.values()) * scaled_style(layer)
    objective += TV_WEIGHT * total_variation()
    return Objective(
        tuple((weight, replace(term, relative=False)) for weight, term in objective.weighted)
    )


def sizes(photo: Array, size: int) -> list[Level]:
    """The published sizes: down to 128 pixels, each 1.41 times the one before."""
    height, width, _ = photo.shape
    scales = 1 + int(2 * np.log2(size / SMALLEST))
    levels = plan_levels(height, width, size=size, scales=scales, steps=scales, smallest=1)
    steps = [FIRST_STEPS, *[STEPS] * (scales - 1)]
    return [replace(level, steps=taken) for level, taken in zip(levels, steps, strict=True)]


def targets(
    engine: Engine, objective: Objective, level: Level, photo: Array, painting: Array
) -> dict[str, Array]:
    """The targets of a size; the painting has the same long side."""
    height, width, _ = painting.shape
    small = resize(painting, fit_long_side(height, width, max(level.height, level.width)))
    content = tuple(term for term in objective.terms if term.target == CONTENT_TARGET)
    style = tuple(term for term in objective.terms if term.target not in (None, CONTENT_TARGET))
    return {
        **engine.targets(content, level.fit(photo), "max", padding="replicate"),
        **engine.targets(style, to_nchw(small), "max", padding="replicate"),
    }


if __name__ == "__main__":
    photo_file, style_file, long_side, result = sys.argv[1:]
    pictures = (read(file).pixels for file in (photo_file, style_file))
    write(result, crowson(Engine("vgg16"), *pictures, int(long_side)))
