"""Short runs of every verb, which together open every kind of graph that a device has to run.

A run takes a function that makes its system on the device: ``on(StyleTransfer, "vgg16")``; and
the side of its picture in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.deconvnet.deconvnet_options import RULES
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.filling.filling import Filling
from nstbatch.runtime.filling.filling_options import FillingOptions
from nstbatch.runtime.graphs.specialise import specialise
from nstbatch.runtime.pictures.synthetic import photo_like
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.paintings import Style
from nstbatch.runtime.style.regions import Masks
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.class_picture import ClassPicture
from nstbatch.runtime.systems.deepdream import DeepDream
from nstbatch.runtime.systems.dream_options import PRIORS, ClassPictureOptions, DreamOptions
from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle
from nstbatch.runtime.systems.reconstruction import Reconstruction
from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer
from nstbatch.runtime.systems.texture import Texture
from nstbatch.runtime.systems.texture_options import TextureOptions

On = Callable[..., Any]
Run = Callable[[On, int], None]

# Side of the pictures, in pixels. One side is shorter if the verb lets it be.
SIDE = 80
PICTURES = 4

MODELS = ("alexnet", "squeezenet1_1", "vgg16")

BATCH = "batch of four"

# The choices of each verb that shape its graphs.
STYLES = (("adam", "avg", "mse"), ("lbfgs", "max", "scaled-mse"))
STYLE_LOSSES = ("moments", "wasserstein", "sliced")
REGIONS = ("gram", "moments", "wasserstein", "shifted-gram")
POOLINGS = ("avg", "max")
TEXTURES = (("gram", False), ("gram", True), ("sliced", False), ("shifted-gram", True))
FILLINGS = (False, True)
RECONSTRUCTIONS = (("adam", 2.0), ("lbfgs", 1.5))

# Layers with small receptive fields, so that a small exemplar is enough.
TEXTURE_LAYERS = {"vgg16": "relu3_1", "alexnet": "relu2", "squeezenet1_1": "fire3/concat"}
RECONSTRUCTED = {"vgg16": "relu3_1", "alexnet": "pool5", "squeezenet1_1": "pool10"}
PROJECTED = {"vgg16": "pool5", "alexnet": "pool5", "squeezenet1_1": "fire9/concat"}


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return photo_like(np.random.default_rng(seed), height, width).transpose(1, 2, 0)


def pair(side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A photo and a painting."""
    return photo(side * 4 // 5, side), photo(side * 4 // 5, side, seed=1)


def stylize(on: On, model: str, optimizer: str, pooling: str, error: str, side: int = SIDE) -> None:
    options = StyleTransferOptions(
        size=side, scales=1, iterations=1, optimizer=optimizer, pooling=pooling, error=error
    )
    on(StyleTransfer, model)(*pair(side), options)


def style_loss(on: On, loss: str, side: int = SIDE) -> None:
    options = StyleTransferOptions(size=side, scales=1, iterations=1, style_loss=loss)
    on(StyleTransfer, "squeezenet1_1")(*pair(side), options)


def crowson(on: On, side: int = SIDE) -> None:
    """Steps with a mean of iterates, by a network whose first convolution sees copied edges."""
    options = StyleTransferOptions.preset("crowson", size=side, scales=1, iterations=1)
    on(StyleTransfer, "vgg16")(*pair(side), options)


def regions(on: On, loss: str, side: int = SIDE) -> None:
    """Two regions, each with a style of its own."""
    side = side * 2 if loss == "shifted-gram" else side  # it needs larger pictures
    content, painting = pair(side)
    mask = np.zeros(content.shape, np.float32)
    mask[: side // 2] = 1
    options = StyleTransferOptions(size=side, scales=1, iterations=1, style_loss=loss)
    system = on(StyleTransfer, "squeezenet1_1")
    system(content, Style(painting, mask=mask), options, masks=Masks(mask, mask))


def batch_of_four(on: On, model: str, side: int = SIDE) -> None:
    """Four photos in four threads, whose steps are taken together."""
    system = on(StyleTransfer, model)
    system.engine.share(PICTURES)
    photos = [photo(side, side, seed) for seed in range(PICTURES)]
    painting = photo(side, side, seed=PICTURES)
    options = StyleTransferOptions(size=side, scales=1, iterations=3)
    with ThreadPoolExecutor(PICTURES) as threads:
        list(threads.map(lambda one: system(one, painting, options), photos))


def nearest_neighbours(on: On, model: str, pooling: str, side: int = SIDE) -> None:
    options = NearestNeighborOptions(size=side, scales=1, iterations=1, pooling=pooling)
    on(NearestNeighborStyle, model)(*pair(side), options)


def texture(on: On, model: str, loss: str, tileable: bool, side: int = SIDE) -> None:
    side = side * 8 // 5 if loss == "shifted-gram" else side  # it needs larger textures
    options = TextureOptions(
        width=side * 6 // 5,
        height=side,
        scales=1,
        iterations=1,
        tileable=tileable,
        pooling="max",
        up_to=TEXTURE_LAYERS[model],
        style_loss=loss,
        spectrum_weight=0.0 if loss == "gram" else 0.1,
    )
    on(Texture, model)(photo(2 * side, 2 * side), options)


def fill(on: On, model: str, tiles: bool, side: int = SIDE) -> None:
    """A hole filled, or the seams of a tile."""
    picture, options = photo(side * 6 // 5, side * 6 // 5), FillingOptions(iterations=1)
    mask = np.zeros(picture.shape[:2], np.float32)
    mask[side // 2 : side * 3 // 4, side // 2 : side * 3 // 4] = 1
    filling = on(Filling, model)
    if tiles:
        filling.tiled(picture, options)
    else:
        filling(picture, mask, options)


def reconstruct(on: On, model: str, optimizer: str, tv_beta: float, side: int = SIDE) -> None:
    options = ReconstructionOptions(
        layers=(RECONSTRUCTED[model],),
        size=side,
        iterations=4,
        optimizer=optimizer,
        tv_weights=(0.05,),
        tv_beta=tv_beta,
        alpha_weight=1.0,
        jitter=4 if optimizer == "adam" else 0,
    )
    on(Reconstruction, model)(photo(side, side), options)


def dream(on: On, model: str, guided: bool, side: int = SIDE) -> None:
    options = DreamOptions(size=side, octaves=1, iterations=1, jitter=4)
    guide = photo(side, side, seed=1) if guided else None
    on(DeepDream, model)(photo(side, side), options, guide_image=guide)


def class_picture(on: On, prior: str, side: int = SIDE) -> None:
    options = ClassPictureOptions(size=side, iterations=1, prior=prior, crops=2, transparency=True)
    on(ClassPicture)("tabby", options)


def project(on: On, model: str, rule: str, side: int = SIDE) -> None:
    engine = on(Engine, model)
    layer = PROJECTED[model]
    images = photo(side, side * 9 // 10).transpose(2, 0, 1)[None]
    forward = specialise(engine.bundle.read_graph("forward", "max"), {"image": images.shape}).graph
    sizes = {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in (*forward.output, *forward.value_info)
    }
    assert sizes[layer][1] == engine.bundle.layer(layer).channels
    engine.project(rule, layer, np.ones(sizes[layer], np.float32), np.ascontiguousarray(images))


def runs() -> Iterator[tuple[str, Run]]:
    """Every run with its name, such as ``("dream vgg16 guided", ...)``."""
    for model in MODELS:
        for style in STYLES:
            yield f"stylize {model} {' '.join(style)}", _run(stylize, model, *style)
        for pooling in POOLINGS:
            yield f"neighbours {model} {pooling}", _run(nearest_neighbours, model, pooling)
        for loss, tileable in TEXTURES:
            name = "tileable texture" if tileable else "texture"
            yield f"{name} {model} {loss}", _run(texture, model, loss, tileable)
        for tiles in FILLINGS:
            yield f"fill {model}{' tile' * tiles}", _run(fill, model, tiles)
        for optimizer, beta in RECONSTRUCTIONS:
            name = f"reconstruct {model} {optimizer}"
            yield name, _run(reconstruct, model, optimizer, beta)
        for guided in (False, True):
            yield f"{'guided ' * guided}dream {model}", _run(dream, model, guided)
        for rule in ("gradient", *RULES):
            yield f"project {model} {rule}", _run(project, model, rule)
    for loss in STYLE_LOSSES:
        yield f"style loss {loss}", _run(style_loss, loss)
    for loss in REGIONS:
        yield f"regions {loss}", _run(regions, loss)
    yield "preset crowson", _run(crowson)
    yield BATCH, _run(batch_of_four, "squeezenet1_1")
    for prior in PRIORS:
        yield f"class picture {prior}", _run(class_picture, prior)


def _run(verb: Callable[..., None], *choices: object) -> Run:
    return lambda on, side: verb(on, *choices, side=side)
