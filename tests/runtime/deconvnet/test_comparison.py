"""Two networks side by side: planted dead filters are counted, filters are what the network has."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nstbatch.runtime.bundles.bundle import WEIGHTS, Bundle, sha256_of, write_manifest
from nstbatch.runtime.deconvnet.activation_histogram import Histogram, histogram_pictures
from nstbatch.runtime.deconvnet.comparison import RED, comparison_sheet, filter_mosaic, measure
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet
from nstbatch.runtime.deconvnet.deconvnet_options import DeconvnetOptions
from nstbatch.runtime.deconvnet.first_layer import first_layer
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures import images, sizes

PLANTED = (0, 7, 8, 63)


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> list[Path]:
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for index in range(10):
        colours = rng.random((9, 9, 3), np.float32)
        images.write(folder / f"{index}.png", sizes.resize(colours, (64, 64)))
    return sorted(folder.iterdir())


def plant_dead_filters(folder: Path, filters=PLANTED) -> None:
    """Give filters of AlexNet's first layer a bias that no image makes up for."""
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[:8], "little")
    entry = json.loads(content[8 : 8 + size])["features.0.bias"]
    first, last = (8 + size + offset for offset in entry["data_offsets"])
    bias = np.frombuffer(content[first:last], np.float32).copy()
    bias[list(filters)] = -1e4
    content[first:last] = bias.tobytes()
    path.write_bytes(content)


@pytest.fixture(scope="module")
def half_dead(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "half_dead"
    shutil.copytree(Bundle.load("alexnet").path, folder)
    plant_dead_filters(folder)
    bundle = Bundle.load(folder)
    hashes = {**bundle.sha256, WEIGHTS: sha256_of(bundle.weights_path)}
    write_manifest(dataclasses.replace(bundle, sha256=hashes))
    return folder


def statistics(model, paths, layer=None):
    network = Deconvnet(model, DeconvnetOptions(size=64), device="cpu", threads=1)
    return measure(network, layer, paths, {})


def test_planted_dead_filters_are_counted_exactly(paths, half_dead):
    alive, dead = statistics("alexnet", paths), statistics(half_dead, paths)
    assert alive.layer == "relu1"
    assert alive.dead == ()
    assert dead.dead == PLANTED
    assert dead.model == "half_dead"
    assert dead.dead_share == len(PLANTED) / 64
    assert dead.record()["dead"] == list(PLANTED)
    assert dead.histogram.positive_share < alive.histogram.positive_share
    assert statistics(half_dead, paths, "conv1").dead == PLANTED


def test_dead_filters_are_framed(paths, half_dead):
    def red(network):
        return (filter_mosaic(network) == np.float32(RED)).all(axis=2).sum()

    assert red(statistics("alexnet", paths)) == 0
    assert red(statistics(half_dead, paths)) > 4 * len(PLANTED) * 33
    assert red(statistics(half_dead, paths, "relu2")) == 0  # it says nothing of these filters


def test_every_activation_is_in_the_histogram(paths):
    found = statistics("alexnet", paths)
    positions = 15 * 15  # of conv1 on 64 pixels
    counted = found.histogram.counts.sum() + found.histogram.not_positive
    assert counted == len(paths) * 64 * positions


def test_the_sheet_has_both(paths):
    networks = [statistics(model, paths) for model in ("alexnet", "squeezenet1_1")]
    both = comparison_sheet(networks)
    assert both.shape[0] > comparison_sheet(networks[:1]).shape[0]
    json.dumps([network.record() for network in networks], allow_nan=False)


def test_no_image_is_an_error(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(ImageError, match=r"None of the images[^$]*a\.png: The file is empty"):
        statistics("alexnet", [tmp_path / "a.png"])


@pytest.mark.parametrize(
    ("model", "shape", "stride", "layer"),
    [
        ("alexnet", (64, 3, 11, 11), 4, "relu1"),
        ("vgg16", (64, 3, 3, 3), 1, "relu1_1"),
        ("squeezenet1_1", (64, 3, 3, 3), 2, "relu_conv1"),
    ],
)
def test_first_filters_are_the_gradients_of_the_first_layer(model, shape, stride, layer, paths):
    """Whatever the preprocessing does to colours, BGR included."""
    found = first_layer(Bundle.load(model))
    assert (found.filters.shape, found.stride, found.layer) == (shape, stride, layer)
    network = Deconvnet(model, DeconvnetOptions("gradient", 64), device="cpu", threads=1)
    convolution = {"relu1": "conv1", "relu1_1": "conv1_1", "relu_conv1": "conv1"}[layer]
    maxima = network.search(paths, [convolution])[convolution]
    inside = [
        (f.filter, m)
        for f in maxima.filters
        for m in f.maxima
        if min(shape[2:]) == min(s for s in _sides(network.box(convolution, m)))
    ]
    for number, maximum in inside[:: max(1, len(inside) // 10)]:
        (projection,) = network.project(maxima, [maximum])
        expected = found.filters[number].transpose(1, 2, 0) * maximum.value
        scale = np.abs(expected).max()
        np.testing.assert_allclose(projection.projected, expected, atol=1e-5 * scale)


def _sides(box):
    return box.bottom - box.top, box.right - box.left


# --- Histograms -------------------------------------------------------------------------------


@given(hnp.arrays(np.float32, 50, elements=st.floats(-2, 2**23, width=32)))
def test_values_are_counted_between_their_edges(values):
    histogram = Histogram()
    histogram.update(values[:20])
    histogram.update(values[20:].reshape(2, 3, 5))
    positive = values[values > 0].astype(np.float64)
    below = np.cumsum(histogram.counts)[:-1]
    for edge, count in zip(histogram.edges[1:-1], below, strict=True):
        # Rounding may put a value on an edge on its other side.
        assert (positive < edge * (1 - 1e-5)).sum() <= count <= (positive < edge * (1 + 1e-5)).sum()
    assert histogram.counts.sum() == len(positive)
    assert histogram.not_positive == 50 - len(positive)
    assert histogram.positive_share == len(positive) / 50


def test_counts_fall_into_the_right_bins():
    histogram = Histogram()
    histogram.update(np.array([1.5, 1.5, 700.0, 1e-30, 1e30, 0, -3], np.float32))
    edges = histogram.edges
    for value, count in ((1.5, 2), (700.0, 1)):
        bin_number = np.searchsorted(edges, value) - 1
        assert histogram.counts[bin_number] == count
    assert histogram.counts[0] == histogram.counts[-1] == 1
    assert histogram.not_positive == 2


def test_pictures_share_their_axis():
    small, large = Histogram(), Histogram()
    small.update(np.full(100, 0.01, np.float32))
    large.update(np.full(100, 100, np.float32))
    left, right = histogram_pictures([small, large])
    blue = [np.nonzero(p[:-30, :, 2] > p[:-30, :, 0] + 0.2)[1].mean() for p in (left, right)]
    assert blue[0] < left.shape[1] * 0.1
    assert blue[1] > left.shape[1] * 0.9


def test_an_empty_histogram_has_a_picture():
    (picture,) = histogram_pictures([Histogram()])
    assert np.isfinite(picture).all()
