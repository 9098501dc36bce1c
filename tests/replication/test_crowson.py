"""The objective of crowson.py, compared with style-transfer-pytorch's formulas in PyTorch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from crowson import published, targets

from nstbatch.runtime.descent.pyramid import Level
from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.graphs.replicate_padding import with_replicated_edges
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.pictures.images import read
from nstbatch.runtime.pictures.sizes import resize, to_nchw

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZE = 96
WEIGHTS = {"relu1_1": 256, "relu2_1": 64, "relu3_1": 16, "relu4_1": 4, "relu5_1": 1}


def scaled_mse(found, wanted):
    difference = found - wanted
    return difference.pow(2).sum() / (difference.abs().sum() + 1e-8)


def gram(features):
    flat = features[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


def loss(network, image, photo, painting):
    """The loss that style-transfer-pytorch adds up, for its default settings."""
    seen, of_photo, of_painting = map(network.activations, (image, photo, painting))
    total = 0.015 * scaled_mse(seen["relu4_2"], of_photo["relu4_2"])
    for layer, weight in WEIGHTS.items():
        share = weight / sum(WEIGHTS.values())
        total = total + share * scaled_mse(gram(seen[layer]), gram(of_painting[layer]))
    padded = torch.nn.functional.pad(image, (0, 1, 0, 1), "replicate")
    right = padded[..., :-1, 1:] - padded[..., :-1, :-1]
    below = padded[..., 1:, :-1] - padded[..., :-1, :-1]
    return total + 2.0 * (right**2 + below**2).mean()


def test_the_published_objective_is_style_transfer_pytorchs(reference):
    photo, painting, image = (
        resize(read(EXAMPLES / name).pixels, (SIZE, SIZE))
        for name in ("photos/chelsea.jpg", "styles/the_scream.jpg", "photos/coffee.jpg")
    )
    engine = Engine("vgg16", device="cpu", precision="fp32")
    objective, start = published(engine), to_nchw(image)
    level = Level(SIZE, SIZE, margin=0, steps=1)
    feeds = {IMAGE: start, **targets(engine, objective, level, photo, painting)}
    for weight, term in objective.weighted:
        feeds[WEIGHT + term.name] = term.graph_weight(weight, feeds.get(TARGET + term.name), 1)
    graph = with_replicated_edges(engine.bundle.read_graph("gradient", "max"))
    shapes = {name: values.shape for name, values in feeds.items()}
    linked, folder = link(graph, objective.terms), engine.bundle.path
    ours = open_session(linked, shapes, resolve("cpu"), weights_folder=folder).run(feeds)
    network = reference("vgg16", "max")
    variable = network.tensor(start).requires_grad_()
    with network.replicating():
        theirs = loss(network, variable, *(network.tensor(to_nchw(p)) for p in (photo, painting)))
    theirs.backward()
    assert ours[LOSSES].sum() == pytest.approx(theirs.item(), rel=1e-4)
    wanted = variable.grad.numpy()
    assert np.linalg.norm(ours[GRADIENT] - wanted) < 1e-4 * np.linalg.norm(wanted)
