"""Reconstruction as a program that embeds it meets it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.bundles.bundle import Bundle, Layer
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.errors import ImageError, UnknownNameError
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.objectives.terms import content
from nstbatch.runtime.pictures.sizes import fit_long_side, resize
from nstbatch.runtime.systems import system
from nstbatch.runtime.systems.reconstruction import Reconstruction, last_of_stages, matching_layers
from nstbatch.runtime.systems.reconstruction_options import TV_SWEEP, ReconstructionOptions

QUICK = ReconstructionOptions(layers=("conv1",), size=64, iterations=3)


def picture(height, width, seed=0):
    """(H, W, 3), like a photo."""
    image = photo_like(np.random.default_rng(seed), height, width)
    return np.ascontiguousarray(image.transpose(1, 2, 0))


PHOTO = picture(60, 80)


@pytest.fixture(scope="module")
def alexnet() -> Reconstruction:
    return Reconstruction("alexnet", device="cpu", threads=1)


@pytest.fixture(scope="module")
def squeezenet() -> Reconstruction:
    return Reconstruction("squeezenet1_1", device="cpu", threads=1)


def seen_by(engine: Engine, layer: str, image):
    """The activation of a layer, by itself."""
    objective = content(layer)
    batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    (activation,) = engine.targets(objective.terms, batch, "max").values()
    return activation


# --- What comes out ---------------------------------------------------------------------------


def test_the_first_layer_gives_the_photo_back(alexnet):
    result = alexnet(PHOTO, replace(QUICK, iterations=40, tv_weights=(0.05,)))
    (layer,) = result.layers
    assert layer.error < 0.1
    assert layer.image.shape == result.original.shape == (48, 64, 3)
    assert layer.image.dtype == np.float32
    assert 0 <= layer.image.min() < layer.image.max() <= 1
    np.testing.assert_array_equal(result.original, resize(PHOTO, (48, 64)))
    start = np.random.default_rng(0).random((48, 64, 3), dtype=np.float32)
    before = np.abs(start - result.original).mean()
    assert np.abs(layer.image - result.original).mean() < 0.25 * before
    assert (result.steps, result.reason) == (40, StopReason.FINISHED)
    assert (result.provider, result.precision) == ("cpu", "fp32")


@pytest.mark.parametrize("layer", ["conv1", "relu3"])
def test_the_error_is_the_distance_of_what_the_layer_sees(alexnet, layer):
    result = alexnet(PHOTO, replace(QUICK, layers=(layer,)))
    (found,) = result.layers
    aim, seen = (seen_by(alexnet.engine, layer, x) for x in (result.original, found.image))
    expected = np.linalg.norm(seen - aim) / np.linalg.norm(aim)
    assert found.error == pytest.approx(expected, rel=1e-4)


def test_the_error_falls_and_the_losses_are_the_objective(alexnet):
    reports = []
    options = replace(QUICK, layers=("relu2",), iterations=20)
    result = alexnet(PHOTO, options, progress=reports.append)
    (layer,) = result.layers
    first, last = reports[0].losses, reports[-1].losses
    assert last["content/relu2"] < 0.3 * first["content/relu2"]
    assert last == layer.losses
    assert set(last) == {"content/relu2", "alpha-norm", "tv", "total"}
    assert last["total"] == pytest.approx(sum(last.values()) / 2)


def test_more_total_variation_is_smoother_and_further_off(alexnet):
    result = alexnet(PHOTO, replace(QUICK, iterations=40, tv_weights=TV_SWEEP))
    assert [layer.tv_weight for layer in result.layers] == [0.5, 5, 50]
    assert [layer.layer for layer in result.layers] == ["conv1"] * 3
    steps = [np.abs(np.diff(layer.image, axis=0)).mean() for layer in result.layers]
    assert steps == sorted(steps, reverse=True)
    errors = [layer.error for layer in result.layers]
    assert errors == sorted(errors)


def test_the_seed_decides_on_the_noise(alexnet):
    one, two = (alexnet(PHOTO, QUICK).layers[0].image for _ in range(2))
    np.testing.assert_array_equal(one, two)
    other = alexnet(PHOTO, replace(QUICK, seed=1)).layers[0].image
    assert np.abs(one - other).mean() > 0.01


def test_paths_and_arrays_are_the_same(alexnet, tmp_path):
    levels = np.rint(PHOTO * 255).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "photo.png")
    from_path = alexnet(tmp_path / "photo.png", QUICK).layers[0].image
    from_array = alexnet((levels / 255).astype(np.float32), QUICK).layers[0].image
    np.testing.assert_allclose(from_path, from_array, atol=1e-4)
    for other in (levels, Image.open(tmp_path / "photo.png")):
        np.testing.assert_array_equal(alexnet(other, QUICK).layers[0].image, from_path)


def test_without_priors_the_layer_alone_counts(alexnet):
    options = replace(QUICK, alpha_weight=0, tv_weights=(0.0,))
    (layer,) = alexnet(PHOTO, options).layers
    assert set(layer.losses) == {"content/conv1", "total"}


# --- Layers -----------------------------------------------------------------------------------


def test_every_layer_of_a_classifier_links():
    bundle = Bundle.load("squeezenet1_1")
    graph = bundle.read_graph("gradient", "max")
    for layer in (*bundle.layers[::8], bundle.layers[-1]):  # all of them take 5 s
        linked = link(graph, content(layer.name).terms)
        targets = [value.name for value in linked.graph.input if value.name.startswith("target/")]
        assert targets == [f"target/content/{layer.name}"]


def test_class_scores_are_a_layer_like_others(squeezenet):
    reports = []
    options = ReconstructionOptions(layers=("pool10",), size=64, iterations=8)
    result = squeezenet(PHOTO, options, progress=reports.append)
    assert result.layers[0].tv_weight == 50
    assert reports[-1].losses["total"] < reports[0].losses["total"]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (("relu2",), ["relu2"]),
        (("pool*", "conv1"), ["conv1", "pool1", "pool2", "pool5"]),
        (("relu3", "relu1", "relu*"), ["relu1", "relu2", "relu3", "relu4", "relu5"]),
    ],
)
def test_layers_are_taken_by_name_and_pattern_in_the_networks_order(patterns, names):
    found = matching_layers(Bundle.load("alexnet"), patterns)
    assert [layer.name for layer in found] == names


def test_all_layers_are_all():
    bundle = Bundle.load("squeezenet1_1")
    assert matching_layers(bundle, ("all",)) == bundle.layers


def test_by_default_there_is_one_layer_of_every_stage(alexnet):
    names = [layer.name for layer in alexnet.layers(ReconstructionOptions())]
    assert names == ["relu1", "relu2", "relu5", "pool5"]
    assert last_of_stages(()) == ()
    scores = Layer("scores", 10, None, None)
    assert last_of_stages((Layer("a", 1, 1, 3), scores)) == (Layer("a", 1, 1, 3), scores)


@pytest.mark.parametrize("layers", [("relu9",), ("conv1", "x*")])
def test_an_unknown_layer_lists_the_known_ones(alexnet, layers):
    with pytest.raises(UnknownNameError, match=r"Known: conv1, relu1, "):
        alexnet(PHOTO, replace(QUICK, layers=layers))


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [((60, 6), 64, "6x60"), ((66, 88), 30, "size asked for is 30x22")],
)
def test_a_picture_too_small_for_a_layer_is_refused(alexnet, shape, size, message):
    options = replace(QUICK, layers=("conv1", "pool5"), size=size)
    with pytest.raises(ImageError, match=f"{message} pixels; pool5 needs at least 63"):
        alexnet(picture(*shape), options)


# --- Progress, stopping and failing -----------------------------------------------------------


def test_progress_goes_over_all_layers(alexnet):
    reports = []
    options = replace(QUICK, layers=("conv1", "relu2"), tv_weights=(1.0, 2.0), jitter=0)
    result = alexnet(PHOTO, options, progress=reports.append)
    assert [report.stage for report in reports] == ["conv1"] * 8 + ["relu2"] * 8
    assert [report.step for report in reports[::4]] == [0, 3, 6, 9]
    assert reports[-1].step == reports[-1].steps == result.steps == 12
    shares = [report.share for report in reports]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 1 / 4  # one of the four layers and weights has been opened
    assert shares[-1] == 1
    assert {(report.height, report.width) for report in reports} == {(48, 64)}


def test_a_run_stops_between_steps_and_says_so(alexnet):
    asked = iter([False] * 4 + [True])
    options = replace(QUICK, layers=("conv1", "relu1", "relu2"))
    result = alexnet(PHOTO, options, stop=lambda: next(asked))
    assert result.reason is StopReason.STOPPED
    assert [layer.steps for layer in result.layers] == [3, 1]


def test_a_loss_that_is_not_finite_ends_the_run(alexnet):
    options = replace(QUICK, layers=("conv1", "relu1"), alpha_weight=1e27)
    result = alexnet(PHOTO, options)
    assert result.reason is StopReason.NON_FINITE
    assert [layer.layer for layer in result.layers] == ["conv1"]


# --- Jitter -----------------------------------------------------------------------------------


def test_jitter_comes_first_and_the_last_steps_settle(alexnet, monkeypatch):
    phases = []
    coarse_to_fine = system.coarse_to_fine

    def recorded(levels, *rest):
        phases.append([level.steps for level in levels])
        return coarse_to_fine(levels, *rest)

    monkeypatch.setattr(system, "coarse_to_fine", recorded)
    reports = []
    options = replace(QUICK, layers=("relu2",), optimizer="adam", iterations=7)
    result = alexnet(PHOTO, options, progress=reports.append)
    assert phases == [[6], [1]]
    assert [report.step for report in reports] == [0, 1, 2, 3, 4, 5, 6, 6, 7]
    assert result.steps == 7
    plain = alexnet(PHOTO, replace(options, jitter=0))
    assert np.abs(plain.layers[0].image - result.layers[0].image).max() > 0.01


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_pooling_is_the_networks(alexnet, pooling):
    (layer,) = alexnet(PHOTO, replace(QUICK, layers=("pool1",), pooling=pooling)).layers
    aim = content("pool1").terms
    shape = fit_long_side(*PHOTO.shape[:2], 64)
    original = np.ascontiguousarray(resize(PHOTO, shape).transpose(2, 0, 1)[None])
    seen = np.ascontiguousarray(layer.image.transpose(2, 0, 1)[None])
    (a,) = alexnet.engine.targets(aim, original, pooling).values()
    (b,) = alexnet.engine.targets(aim, seen, pooling).values()
    assert layer.error == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-4)
