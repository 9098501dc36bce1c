"""Tiles against whole pictures: the same targets, losses and gradients but for rounding."""

from dataclasses import replace

import numpy as np
import pytest

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.descent.loop import Bounds, descend
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.engine.network import Network
from nstbatch.runtime.engine.network_facts import layer_sides
from nstbatch.runtime.engine.network_sessions import NetworkSessions
from nstbatch.runtime.errors import StoppedError, UsageError
from nstbatch.runtime.names import GRADIENT, GUIDE, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.dream_terms import energy, likelihood
from nstbatch.runtime.objectives.prior_terms import alpha_norm, total_variation_beta
from nstbatch.runtime.objectives.terms import (
    Objective,
    content,
    scaled_content,
    scaled_style,
    style,
    total_variation,
)
from nstbatch.runtime.objectives.views import wrapped

CPU = Provider("cpu", "fp32")


def pictures(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([photo_like(rng, height, width) for _ in range(count)])


def style_transfer(bundle):
    objective = 100 * total_variation()
    for index, layer in enumerate(bundle.style_layers, 1):
        objective += index * scaled_style(layer)
    for layer in bundle.content_layers:
        objective += scaled_content(layer)
    return objective


def texture(bundle):
    return sum((style(layer) for layer in bundle.style_layers), Objective())


def reconstruction(bundle):
    return content(bundle.content_layers[-1]) + 1e-6 * (alpha_norm(6) + total_variation_beta(1.5))


def dream(bundle):
    return 1 * energy(bundle.content_layers[-1])


def network(model, tile):
    bundle = Bundle.load(model)
    return Network(bundle, NetworkSessions(bundle, 1), CPU, tile)


def computed(network, objective, pooling, images, reference, given=None, guides=None):
    """Targets, losses (N, T) and gradient (N, 3, H, W) of a network's step."""
    inputs = {IMAGE: reference} | (guides or {})
    terms = tuple(term for term in objective.terms if term.target is not None)
    targets = {**network.targets(CPU, terms, pooling, inputs), **(given or {})} if terms else given
    weights = {
        WEIGHT + term.name: term.graph_weight(weight, targets.get(TARGET + term.name), len(images))
        for weight, term in objective.weighted
    }
    inputs = {IMAGE: images} | targets | weights | (guides or {})
    shapes = {name: values.shape for name, values in inputs.items()}
    step = network.step(CPU, objective.terms, (), pooling, shapes)
    found = step.run(inputs)
    return targets, found[LOSSES], found[GRADIENT], type(step).__name__


def assert_same(tiled, whole):
    assert (tiled[3], whole[3]) == ("TiledStep", "OnnxRuntimeSession")
    for name, target in whole[0].items():
        np.testing.assert_allclose(tiled[0][name], target, rtol=1e-5, atol=1e-5 * target.max())
    np.testing.assert_allclose(tiled[1], whole[1], rtol=1e-5)
    difference = np.linalg.norm(tiled[2] - whole[2])
    assert 0 < difference < 1e-5 * np.linalg.norm(whole[2])


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize(
    "objective", [style_transfer, texture, reconstruction, dream], ids=lambda each: each.__name__
)
def test_losses_and_gradients_of_tiles_are_those_of_the_whole(objective, pooling):
    model, bundle = "squeezenet1_1", Bundle.load("squeezenet1_1")
    made = objective(bundle)
    images, reference = pictures(1, 167, 210), pictures(1, 167, 210, seed=1)
    given = {}
    for term in made.terms:
        if term.given:
            channels = bundle.layer(term.layer).channels
            every_second = np.float32(np.arange(channels) % 2).reshape(1, -1, 1, 1)
            given[TARGET + term.name] = every_second
    results = (
        computed(network(model, side), made, pooling, images, reference, given)
        for side in (40, None)
    )
    assert_same(*results)


def test_vgg16_in_tiles_and_two_pictures_at_once():
    made = style_transfer(Bundle.load("vgg16"))
    images, reference = pictures(2, 90, 330), pictures(1, 90, 330, seed=1)
    results = (
        computed(network("vgg16", side), made, "max", images, reference) for side in (48, None)
    )
    assert_same(*results)


def test_guides_are_cut_like_the_picture():
    size, bundle = (167, 210), Bundle.load("squeezenet1_1")
    objective, guides = Objective(), {}
    for made in (scaled_style(bundle.style_layers[2]), content(bundle.content_layers[-1])):
        term = replace(made.terms[0], guided=True, part="ff0000")
        objective += Objective(((1.0, term),))
        sides = layer_sides(bundle, "avg", size)[term.layer]
        guides[GUIDE + term.name] = np.random.default_rng(0).random((1, 1, *sides), np.float32)
    images, reference = pictures(1, *size), pictures(1, *size, seed=1)
    results = (
        computed(network("squeezenet1_1", side), objective, "avg", images, reference, guides=guides)
        for side in (40, None)
    )
    assert_same(*results)


@pytest.mark.parametrize(
    # L-BFGS divides by differences of gradients, which amplifies their rounding.
    ("optimizer", "bound"),
    [(Adam(), 0.1 / 255), (LBFGS(), 1 / 255)],
    ids=["adam", "lbfgs"],
)
def test_a_descent_in_tiles_ends_where_that_of_the_whole_ends(optimizer, bound):
    images = []
    for tile in (40, None):
        engine = Engine("squeezenet1_1", device="cpu", threads=1, tile_size=tile)
        objective = style_transfer(engine.bundle)
        photo, painting = pictures(1, 120, 167), pictures(1, 110, 90, seed=1)
        targets = {}
        for kind, reference in (("scaled-content", photo), ("scaled-style", painting)):
            terms = tuple(term for term in objective.terms if term.kind == kind)
            targets |= engine.targets(terms, reference, "avg")
        descent = engine.descent(
            objective,
            targets,
            photo,
            optimizer,
            optimizer.initial_state(photo.shape),
            pooling="avg",
            bounds=Bounds(0, 1),
        )
        images.append(descend(descent, 8, lambda *_: None, lambda: False).images)
    np.testing.assert_allclose(*images, atol=bound)


def test_a_small_picture_is_computed_as_a_whole():
    made = texture(Bundle.load("alexnet"))
    found = computed(network("alexnet", 200), made, "avg", pictures(1, 64, 80), pictures(1, 64, 64))
    assert found[3] == "OnnxRuntimeSession"


def test_a_layer_that_sees_the_whole_picture_cannot_be_cut():
    bundle = Bundle.load("squeezenet1_1")
    objective = 1 * likelihood(bundle.layer_names[-1])
    given = {TARGET + objective.terms[0].name: np.zeros((1, 1000, 1), np.float32)}
    with pytest.raises(UsageError, match="into tiles"):
        computed(network("squeezenet1_1", 40), objective, "max", pictures(1, 167, 210), None, given)


def test_views_and_gpus_have_no_tiles():
    made, shapes = texture(Bundle.load("alexnet")), {IMAGE: (1, 3, 200, 250)}
    with pytest.raises(UsageError, match="have no tiles"):
        network("alexnet", 40).step(CPU, made.terms, (wrapped(8),), "avg", shapes)
    bundle = Bundle.load("alexnet")
    with pytest.raises(UsageError, match="on processors only, not on cuda"):
        Network(bundle, NetworkSessions(bundle, 1), Provider("cuda", "fp16"), 64)
    with pytest.raises(UsageError, match="tile"):
        Engine("alexnet", device="cpu", tile_size=0)


def test_a_terminated_engine_ends_between_tiles():
    engine = Engine("squeezenet1_1", device="cpu", threads=1, tile_size=40)
    objective, images = texture(engine.bundle), pictures(1, 167, 210)
    targets = engine.targets(objective.terms, images, "avg")
    state = Adam().initial_state(images.shape)
    descent = engine.descent(
        objective, targets, images, Adam(), state, pooling="avg", bounds=Bounds()
    )
    engine.terminate()
    with pytest.raises(StoppedError):
        descent.evaluate()
