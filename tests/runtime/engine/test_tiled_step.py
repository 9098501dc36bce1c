"""Tiles against whole pictures: the same targets, losses and gradients but for rounding."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.descent.loop import Bounds, descend
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.engine.network import Network
from nstbatch.runtime.engine.network_sessions import NetworkSessions
from nstbatch.runtime.errors import StoppedError, UsageError
from nstbatch.runtime.names import GRADIENT, GUIDE, IMAGE, LOSSES, SLOPES, TARGET, WEIGHT
from nstbatch.runtime.needs.network_facts import layer_sides
from nstbatch.runtime.objectives.dream_terms import energy, guide, likelihood
from nstbatch.runtime.objectives.prior_terms import alpha_norm, total_variation_beta
from nstbatch.runtime.objectives.style_losses import shifted_gram, sliced
from nstbatch.runtime.objectives.style_terms import moments, scaled_moments, wasserstein
from nstbatch.runtime.objectives.terms import (
    Objective,
    content,
    scaled_content,
    scaled_style,
    style,
    total_variation,
)
from nstbatch.runtime.objectives.views import JITTER, random_jitter, wrapped

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


def moments_and_wasserstein(bundle):
    first, second, *_ = bundle.style_layers
    return moments(first) + scaled_moments(second) + wasserstein(second)


def shifted(bundle):
    made = Objective()
    for layer, places in zip(bundle.style_layers[:3], (16, 8, 3), strict=True):
        made += style(layer) + shifted_gram(layer, places)
    return made


def guided_dream(bundle):
    return 1 * guide(bundle.content_layers[-1])


def network(model, tile):
    bundle = Bundle.load(model)
    return Network(bundle, NetworkSessions(bundle, 1), CPU, tile)


def computed(
    network,
    objective,
    pooling,
    images,
    reference,
    given=None,
    guides=None,
    views=(),
    drawn=None,
):
    """Targets, losses (N, T) and gradient (N, 3, H, W) of a network's step."""
    inputs = {IMAGE: reference} | (guides or {})
    terms = tuple(term for term in objective.terms if term.target is not None)
    targets = {**network.targets(CPU, terms, pooling, inputs), **(given or {})} if terms else given
    weights = {
        WEIGHT + term.name: term.graph_weight(weight, targets.get(TARGET + term.name), len(images))
        for weight, term in objective.weighted
    }
    inputs = {IMAGE: images} | targets | weights | (guides or {}) | (drawn or {})
    shapes = {name: values.shape for name, values in inputs.items()}
    step = network.step(CPU, objective.terms, views, pooling, shapes)
    found = step.run(inputs)
    return targets, found[LOSSES], found[GRADIENT], type(step).__name__, found.get(SLOPES)


def assert_same(tiled, whole, kind="TiledStep", bound=1e-5):
    assert (tiled[3], whole[3]) == (kind, "OnnxRuntimeSession")
    for name, target in whole[0].items():
        np.testing.assert_allclose(tiled[0][name], target, rtol=bound, atol=bound * target.max())
    np.testing.assert_allclose(tiled[1], whole[1], rtol=bound)
    difference = np.linalg.norm(tiled[2] - whole[2])
    assert 0 < difference < bound * np.linalg.norm(whole[2])


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize(
    "objective",
    [
        *(style_transfer, texture, reconstruction, dream),
        *(moments_and_wasserstein, shifted, guided_dream),
    ],
    ids=lambda each: each.__name__,
)
def test_losses_and_gradients_of_tiles_are_those_of_the_whole(objective, pooling):
    model, bundle = "squeezenet1_1", Bundle.load("squeezenet1_1")
    made = objective(bundle)
    images, reference = pictures(1, 167, 210), pictures(1, 167, 210, seed=1)
    if objective is guided_dream:
        reference = reference[..., :64, :96]
    known = {}
    for term in made.terms:
        if term.given:
            channels = bundle.layer(term.layer).channels
            every_second = np.float32(np.arange(channels) % 2).reshape(1, -1, 1, 1)
            known[TARGET + term.name] = every_second
    results = (
        computed(network(model, side), made, pooling, images, reference, known)
        for side in (40, None)
    )
    # A variance is the difference of two sums, which amplifies their rounding.
    assert_same(*results, bound=5e-5 if objective is moments_and_wasserstein else 1e-5)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    height=st.integers(100, 190),
    width=st.integers(100, 190),
    side=st.integers(24, 70),
    pooling=st.sampled_from(["avg", "max"]),
)
def test_any_size_in_any_tiles(height, width, side, pooling):
    made = style_transfer(Bundle.load("squeezenet1_1"))
    images, reference = pictures(1, height, width), pictures(1, height, width, seed=1)
    results = (
        computed(network("squeezenet1_1", each), made, pooling, images, reference)
        for each in (side, None)
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


def descended(tile, optimizer, steps, start):
    """The picture after some steps of a style transfer from a start, in tiles or as a whole."""
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
        start,
        optimizer,
        optimizer.initial_state(start.shape),
        pooling="avg",
        bounds=Bounds(0, 1),
    )
    return descend(descent, steps, lambda *_: None, lambda: False).images


@pytest.mark.parametrize(
    ("optimizer", "steps", "bound"),
    [(Adam(), 8, 0.1 / 255), (LBFGS(), 4, 0.5 / 255)],
    ids=["adam", "lbfgs"],
)
def test_a_descent_in_tiles_ends_where_that_of_the_whole_ends(optimizer, steps, bound):
    start = pictures(1, 120, 167)
    images = (descended(tile, optimizer, steps, start) for tile in (40, None))
    np.testing.assert_allclose(*images, atol=bound)


def test_more_steps_in_tiles_drift_no_further_than_the_last_bit_of_a_start():
    """L-BFGS divides by differences of gradients, which amplifies their rounding."""
    start = pictures(1, 120, 167)
    chosen = np.random.default_rng(0).random(start.shape) < 0.5
    moved = np.where(chosen, np.nextafter(start, np.float32(1)), start)
    whole = descended(None, LBFGS(), 8, start)
    of_tiles, of_last_bit = (
        np.abs(images - whole).mean()
        for images in (descended(40, LBFGS(), 8, start), descended(None, LBFGS(), 8, moved))
    )
    assert of_tiles < of_last_bit


def test_a_small_picture_is_computed_as_a_whole():
    made = texture(Bundle.load("alexnet"))
    found = computed(network("alexnet", 200), made, "avg", pictures(1, 64, 80), pictures(1, 64, 64))
    assert found[3] == "OnnxRuntimeSession"


def test_a_layer_that_sees_the_whole_picture_cannot_be_cut():
    bundle = Bundle.load("squeezenet1_1")
    objective = 1 * likelihood(bundle.layer_names[-1])
    known = {TARGET + objective.terms[0].name: np.zeros((1, 1000, 1), np.float32)}
    with pytest.raises(UsageError, match="into tiles"):
        computed(network("squeezenet1_1", 40), objective, "max", pictures(1, 167, 210), None, known)


@pytest.mark.parametrize("view", ["jitter", "wrapped", "chain"])
def test_views_map_the_whole_picture(view):
    bundle, (height, width) = Bundle.load("squeezenet1_1"), (167, 210)
    made, images = texture(bundle) + 10 * total_variation(), pictures(1, height, width)
    jitter = random_jitter(30, 0)()
    views, drawn = {
        "jitter": ((JITTER,), jitter),
        "wrapped": ((wrapped(8),), {}),
        "chain": ((replace(JITTER, watched=True), wrapped(8)), jitter),
    }[view]
    reference = pictures(1, height, width, seed=1)
    known = (made, "avg", images, reference)
    tiled, whole = (
        computed(network("squeezenet1_1", side), *known, views=views, drawn=drawn)
        for side in (40, None)
    )
    assert_same(tiled, whole, "ViewedStep")
    if view == "chain":
        np.testing.assert_allclose(tiled[4], whole[4], rtol=1e-4, atol=1e-5 * whole[4].max())


def test_a_sliced_loss_has_no_tiles():
    made, images = 1 * sliced("fire4/concat"), pictures(1, 167, 210)
    with pytest.raises(UsageError, match="depends on the whole picture"):
        computed(network("squeezenet1_1", 40), made, "avg", images, images)


def test_gpus_have_no_tiles():
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


class Failing:
    """A session that has no memory for the first passes."""

    def __init__(self, session, times):
        self._session, self.left = session, times

    def run(self, inputs):
        if self.left:
            self.left -= 1
            raise MemoryError
        return self._session.run(inputs)

    def __getattr__(self, name):
        return getattr(self._session, name)


def test_without_memory_the_tiles_are_halved_and_the_step_goes_on():
    made, (height, width) = texture(Bundle.load("squeezenet1_1")), (300, 260)
    images, reference = pictures(1, height, width), pictures(1, height, width, seed=1)
    tiled, whole = network("squeezenet1_1", 128), network("squeezenet1_1", None)
    expected = computed(whole, made, "avg", images, reference)
    inputs = {IMAGE: images, **expected[0]}
    inputs |= {
        WEIGHT + term.name: term.graph_weight(weight, expected[0][TARGET + term.name], 1)
        for weight, term in made.weighted
    }
    shapes = {name: values.shape for name, values in inputs.items()}
    step = tiled.step(CPU, made.terms, (), "avg", shapes)
    parts = step._parts
    pulls = Failing(parts.sessions.pulls, 1)
    step._parts = replace(parts, sessions=replace(parts.sessions, pulls=pulls))
    found = step.run(inputs)
    assert step._parts.tiling.size < parts.tiling.size
    difference = np.linalg.norm(found[GRADIENT] - expected[2])
    assert difference < 1e-5 * np.linalg.norm(expected[2])
    step._parts = replace(parts, sessions=replace(parts.sessions, pulls=Failing(pulls, 9)))
    with pytest.raises(MemoryError, match="tiles of 64 pixels"):
        step.run(inputs)
