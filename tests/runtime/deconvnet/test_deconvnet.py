"""The search against brute force, and projections against captum and autograd on the same weights.

Where a pooling window has two values that are equal up to rounding, two programs may go back
different ways, so these tests take pictures on which they do not.
"""

from functools import cache
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nstbatch.exporter.checks.pictures import flat_areas, photo_like
from nstbatch.exporter.networks import backbones
from nstbatch.runtime.deconvnet.deconvnet import Deconvnet, LayerMaxima, centre_square
from nstbatch.runtime.deconvnet.deconvnet_options import STRONGEST, DeconvnetOptions
from nstbatch.runtime.deconvnet.maxima import FilterMaxima, Maximum
from nstbatch.runtime.errors import ImageError, UnknownNameError, UsageError
from nstbatch.runtime.pictures import images

SIZE = 96
TOLERANCE = 1e-4  # relative, as the norm of the difference


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> list[Path]:
    """A dozen pictures, of different sizes."""
    place, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(3)
    for index in range(12):
        size = (SIZE, SIZE) if index % 3 else (110 + index, 97 + 2 * index)
        picture = photo_like(rng, *size) if index % 4 else flat_areas(rng, *size)
        images.write(place / f"{index:02}.png", picture.transpose(1, 2, 0))
    return sorted(place.iterdir())


def deconvnet(model, rule="deconv", size=SIZE) -> Deconvnet:
    options = DeconvnetOptions(rule=rule, size=size)
    return Deconvnet(model, options, device="cpu", threads=1)


def prepared(path, size=SIZE) -> np.ndarray:
    """(1, 3, size, size)."""
    square = centre_square(images.read(path).pixels, size)
    return np.ascontiguousarray(square.transpose(2, 0, 1)[None])


def activations(network, layer, paths) -> np.ndarray:
    """(N, C, H, W), by PyTorch."""
    with torch.no_grad():
        batch = torch.tensor(np.concatenate([prepared(path) for path in paths]))
        return network.activations(batch)[layer].numpy()


# --- The search -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "layer"),
    [("alexnet", "relu3"), ("alexnet", "conv2"), ("squeezenet1_1", "pool10"), ("vgg16", "relu2_1")],
)
def test_the_nine_maxima_are_those_of_a_brute_force_search(reference, folder, model, layer):
    found = deconvnet(model).search(folder, [layer])[layer]
    expected = activations(reference(model, "max"), layer, folder)
    assert found.images == tuple(folder)
    assert len(found.filters) == expected.shape[1]
    for number, filter_maxima in enumerate(found.filters):
        per_image = expected[:, number].reshape(len(folder), -1).max(axis=1)
        strongest = np.sort(per_image)[::-1][:STRONGEST]
        values = [m.value for m in filter_maxima.maxima]
        scale = float(np.abs(expected[:, number]).max())
        np.testing.assert_allclose(values, strongest[strongest > 0], rtol=0, atol=1e-5 * scale)
        assert len({m.image for m in filter_maxima.maxima}) == len(values)
        for m in filter_maxima.maxima:
            there = expected[m.image, number, m.row, m.column]
            assert there == pytest.approx(per_image[m.image], abs=1e-5 * scale)


def test_several_layers_are_found_in_one_pass(folder):
    network = deconvnet("alexnet")
    both, steps = network.search(folder, ["relu1", "relu2"], progress=None), []
    alone = network.search(folder, ["relu2"], progress=steps.append)
    assert both["relu2"] == alone["relu2"]
    assert steps == [8, 12]


def test_bad_images_are_left_out(folder, tmp_path, write_unreadable):
    bad = write_unreadable(tmp_path)
    mixed = [*folder[:6], *sorted(tmp_path.iterdir()), *folder[6:]]
    found = deconvnet("alexnet").search(mixed, ["relu1"])["relu1"]
    assert found.images == tuple(folder)
    assert {path.name for path in found.unreadable} == bad.keys()
    for path, reason in found.unreadable.items():
        assert bad[path.name] in reason
    assert found.filters == deconvnet("alexnet").search(folder, ["relu1"])["relu1"].filters


def test_images_in_memory_give_the_same_maxima(folder):
    network = deconvnet("alexnet")
    mixed = [
        Image.open(folder[0]),
        images.read(folder[1]),
        images.read(folder[2]).pixels,
        *folder[3:],
    ]
    mixed[3:4] = [BytesIO(folder[3].read_bytes()), np.zeros((9, 9, 3), np.int64)]
    found, files = network.search(mixed, ["relu1"])["relu1"], network.search(folder, ["relu1"])
    assert found.filters == files["relu1"].filters
    assert found.images == (*(Path(f"image {index}") for index in range(4)), *folder[4:])
    assert "uint8, uint16 or floats, not of int64" in found.unreadable[Path("image 4")]
    for of_filter in found.filters[:2]:
        for one, other in zip(
            network.project(found, of_filter.maxima),
            network.project(files["relu1"], of_filter.maxima),
            strict=True,
        ):
            np.testing.assert_array_equal(one.projected, other.projected)


def test_too_few_images_are_refused(folder, tmp_path):
    network = deconvnet("alexnet")
    with pytest.raises(UsageError, match=r"At least 9 photos are needed, .*; there are 8"):
        network.search(folder[:8], ["relu1"])
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"8 of 9 can be read[^$]*empty\.jpg: The file is empty"):
        network.search([*folder[:8], tmp_path / "empty.jpg"], ["relu1"])


def test_what_cannot_be_visualised_is_refused(folder):
    with pytest.raises(UnknownNameError, match=r"relu33.*relu3"):
        deconvnet("alexnet").search(folder, ["relu33"])
    with pytest.raises(UsageError, match="pool5 is too deep for images of 62 pixels a side"):
        deconvnet("alexnet", size=62).search(folder, ["relu1", "pool5"])


def test_a_search_can_be_stopped(folder):
    with pytest.raises(KeyboardInterrupt):
        deconvnet("alexnet").search(folder, ["relu1"], stop=lambda: True)


# --- Projections ------------------------------------------------------------------------------


def captum(rule, network, layer, image, place) -> np.ndarray:
    """What captum attributes one activation of a layer to, (3, H, W)."""
    from captum.attr import NeuronDeconvolution, NeuronGuidedBackprop

    methods = {"deconv": NeuronDeconvolution, "guided": NeuronGuidedBackprop}
    module = network.network.network.get_submodule(backbones.get(network.name).layers[layer])
    method = methods[rule](network.network, module)
    image = torch.tensor(image, requires_grad=True)
    return method.attribute(image, neuron_selector=place).detach().numpy()[0]


def autograd(network, layer, image, place) -> np.ndarray:
    variable = torch.tensor(image, requires_grad=True)
    activation = network.activations(variable)[layer]
    return torch.autograd.grad(activation[(0, *place)], variable)[0].numpy()[0]


def relative_error(ours, theirs) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


LAYERS = [
    *product(["alexnet"], ["relu1", "conv3", "relu5"]),
    *product(["vgg16"], ["relu1_2", "conv3_1"]),
]


@pytest.fixture(scope="module")
def searched(folder):
    """A function that gives the maxima of a layer of a network."""
    return cache(lambda model, layer: deconvnet(model).search(folder, [layer])[layer])


@pytest.fixture
def network(reference):
    def named(model):
        found = reference(model, "max")
        found.name = model
        return found

    return named


@pytest.mark.filterwarnings("ignore:Setting backward hooks:UserWarning")
@pytest.mark.parametrize("rule", ["deconv", "guided", "gradient"])
@pytest.mark.parametrize(("model", "layer"), LAYERS)
def test_projections_equal_those_of_pytorch(network, searched, model, layer, rule):
    ours, theirs, found = deconvnet(model, rule), network(model), searched(model, layer)
    alive = [f for f in found.filters if len(f.maxima) == STRONGEST]
    chosen = [alive[len(alive) * part // 3].maxima[4 * part] for part in range(3)]
    for projection in ours.project(found, chosen):
        maximum = projection.maximum
        image = prepared(found.images[maximum.image])
        place = (maximum.filter, maximum.row, maximum.column)
        if rule == "gradient":
            expected = autograd(theirs, layer, image, place) * maximum.value
        else:
            expected = captum(rule, theirs, layer, image, place) * maximum.value
        top, left, bottom, right = projection.box
        seen = expected[:, top:bottom, left:right].transpose(1, 2, 0)
        assert relative_error(projection.projected, seen) < TOLERANCE
        # Whatever is outside of the box is nothing.
        assert np.abs(seen).sum() == pytest.approx(np.abs(expected).sum(), rel=1e-6)
        patch = image[0, :, top:bottom, left:right].transpose(1, 2, 0)
        np.testing.assert_array_equal(projection.patch, patch)


@pytest.mark.usefixtures("one_torch_thread")
@pytest.mark.filterwarnings("ignore:Setting backward hooks:UserWarning")
@pytest.mark.parametrize(("model", "layer"), [("alexnet", "conv3"), ("vgg16", "conv3_1")])
def test_of_a_tie_in_a_second_pooling_the_first_maximum_is_taken(network, tmp_path, model, layer):
    """On a flat picture every window of both poolings ties, away from its edges."""
    for index in range(STRONGEST):
        flat = np.full((128, 128, 3), (index + 1) / 10, np.float32)
        images.write(tmp_path / f"{index}.png", flat)
    ours, theirs = deconvnet(model, size=128), network(model)
    found = ours.search(sorted(tmp_path.iterdir()), [layer])[layer]
    image = prepared(found.images[4], 128)
    with torch.no_grad():
        activation = theirs.activations(torch.tensor(image))[layer][0].numpy()
    middle = activation.shape[1] // 2
    number = int(activation[:, middle, middle].argmax())
    maximum = Maximum(number, 4, middle, middle, float(activation[number, middle, middle]))
    (projection,) = ours.project(found, [maximum])
    expected = captum("deconv", theirs, layer, image, (number, middle, middle)) * maximum.value
    top, left, bottom, right = projection.box
    seen = expected[:, top:bottom, left:right].transpose(1, 2, 0)
    assert relative_error(projection.projected, seen) < TOLERANCE


@pytest.mark.parametrize("layer", ["relu2", "relu4"])
def test_only_what_is_seen_goes_through_the_network(folder, layer, monkeypatch):
    """And that makes no difference, up to the image's edges."""
    network = deconvnet("alexnet", size=224)
    found = network.search(folder, [layer])[layer]
    side = {"relu2": 27, "relu4": 13}[layer]
    corners = [0, 1, side // 2, side - 2, side - 1]
    maxima = [Maximum(5, 2, row, column, 1.0) for row, column in product(corners, corners)]
    parts = network.project(found, maxima)
    monkeypatch.setattr(network, "_field", lambda layer: None)
    network._shapes.clear()
    for part, whole in zip(parts, network.project(found, maxima), strict=True):
        top, left, bottom, right = part.box
        inside = whole.projected[top:bottom, left:right]
        assert np.abs(inside).max() > 0
        assert relative_error(part.projected, inside) < 1e-5
        assert np.abs(whole.projected).sum() == pytest.approx(np.abs(inside).sum(), rel=1e-6)


def test_a_layer_that_sees_everything_is_projected_to_everything(folder):
    network = deconvnet("squeezenet1_1")
    found = network.search(folder, ["pool10"])["pool10"]
    (projection, *_) = network.project(found, found.filters[7].maxima[:1])
    assert projection.box == (0, 0, SIZE, SIZE)
    assert projection.projected.shape == (SIZE, SIZE, 3)
    assert np.abs(projection.projected).max() > 0


def test_any_number_of_maxima_is_projected_in_order(folder):
    network = deconvnet("alexnet")
    found = network.search(folder, ["relu2"])["relu2"]
    maxima = [f.maxima[0] for f in found.filters if f.maxima][:11]
    together = network.project(found, maxima)
    assert [p.maximum for p in together] == maxima
    (alone,) = network.project(found, maxima[10:])
    np.testing.assert_allclose(together[10].projected, alone.projected, rtol=1e-5, atol=1e-7)
    assert network.project(found, []) == []


def test_an_image_that_is_gone_is_an_error(tmp_path):
    found = LayerMaxima("relu1", (FilterMaxima(0, 1, ()),), (tmp_path / "gone.png",), {})
    with pytest.raises(ImageError, match="cannot be read"):
        deconvnet("alexnet").project(found, [Maximum(0, 0, 1, 1, 1.0)])


# --- Images -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(60, 100), (100, 60), (48, 48), (3, 2000)])
def test_images_become_the_square_in_their_middle(shape):
    height, width = shape
    pixels = np.zeros((height, width, 3), np.float32)
    side = min(shape)
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = 0.7
    square = centre_square(pixels, 48)
    assert square.shape == (48, 48, 3)
    np.testing.assert_allclose(square, 0.7, atol=1e-6)
