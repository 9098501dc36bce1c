"""Terms on hypercolumns, compared with their formulas in PyTorch, differentiated in float64."""

import numpy as np
import onnx
import pytest
import torch
from torch.nn.functional import interpolate

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link, link_targets
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.hypercolumns import matched_columns, self_similarity
from nstbatch.runtime.objectives.terms import content

CPU = resolve("cpu")

# Two layers: "a" is the image, and "b" is a corner of two of its channels, of a size of its own.
NETWORK = """
    <ir_version: 9, opset_import: ["" : 20]>
    network (float[N, 3, {H}, {W}] image, float[N, 3, {H}, {W}] "cotangent/a",
             float[N, 2, {h}, {w}] "cotangent/b") => (a, b, gradient)
    <int64[3] start = {{0, 0, 0}}, int64[3] end = {{2, {h}, {w}}}, int64[3] axes = {{1, 2, 3}},
     int64[8] pads = {{0, 0, 0, 0, 0, 1, {down}, {right}}}> {{
        a = Identity(image)
        b = Slice(image, start, end, axes)
        back = Pad("cotangent/b", pads)
        gradient = Add(back, "cotangent/a")
    }}
"""

# Height and width of the image, and those of "b": coarser than a quarter of it, and finer.
SIZES = pytest.mark.parametrize(
    "size", [(16, 24, 3, 2), (17, 23, 9, 5), (30, 13, 7, 3), (8, 9, 8, 9)], ids=str
)
LAYERS = ("a", "b")


def network(size):
    height, width, h, w = size
    text = NETWORK.format(H=height, W=width, h=h, w=w, down=height - h, right=width - w)
    return onnx.parser.parse_model(text)


def forward(size):
    graph = network(size)
    del graph.graph.output[2], graph.graph.input[1:], graph.graph.node[2:]
    return graph


def run(term, size, image, target, weight):
    inputs = {IMAGE: image, TARGET + term.name: target, WEIGHT + term.name: weight}
    shapes = {name: values.shape for name, values in inputs.items()}
    graph = link(network(size), [term], len(image))
    outputs = open_session(graph, shapes, CPU, threads=1).run(inputs)
    return outputs[LOSSES][:, 0], outputs[GRADIENT]


def target_of(term, size, image):
    session = open_session(
        link_targets(forward(size), [term]), {IMAGE: image.shape}, CPU, threads=1
    )
    return session.run({IMAGE: image})[TARGET + term.name]


def columns(image, size, most=None):
    """The formula: each layer at a quarter of the image's size, divided by its channels."""
    height, width, h, w = size
    places = tuple(max(min(side // 4, most or side), 1) for side in (height, width))
    layers = image, image[:, :2, :h, :w]
    parts = [interpolate(each, places, mode="bilinear") / each.shape[1] for each in layers]
    return torch.cat(parts, dim=1)


def units(joint):
    return joint / (joint.square().sum(1, keepdim=True) + 1e-8).sqrt()


def similarities(joint):
    flat = units(joint.flatten(2))
    return flat.mT @ flat


def only(objective):
    (term,) = objective.terms
    return term


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def assert_same(ours, loss, image):
    """Compare loss and gradient, which the formula may have in its far tail of rounding."""
    variable = torch.tensor(image, dtype=torch.float64, requires_grad=True)
    losses = loss(variable)
    losses.sum().backward()
    for mine, expected in zip(ours, (losses.detach(), variable.grad), strict=True):
        assert mine.shape == tuple(expected.shape)
        assert mine.dtype == np.float32
        difference = np.linalg.norm((mine - expected.numpy()).ravel())
        assert difference <= 1e-5 * np.linalg.norm(expected.numpy().ravel())


@SIZES
@pytest.mark.parametrize("pictures", [1, 2])
def test_matched_columns_follow_their_formula(size, pictures):
    image, weight = random(pictures, 3, *size[:2]), np.arange(1, pictures + 1, dtype=np.float32)
    shape = columns(torch.tensor(image), size).shape
    target = units(torch.tensor(random(*shape, seed=1), dtype=torch.float64))

    def loss(variable):
        cosine = (units(columns(variable, size)) * target).sum(1)
        return torch.tensor(weight) * (1 - cosine).flatten(1).mean(1)

    ours = run(only(matched_columns(LAYERS)), size, image, target.numpy().astype("f4"), weight)
    assert_same(ours, loss, image)


@SIZES
def test_the_target_of_matched_columns_are_the_columns(size):
    image = random(1, 3, *size[:2])
    expected = columns(torch.tensor(image, dtype=torch.float64), size).numpy()
    found = target_of(only(matched_columns(LAYERS)), size, image)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_picture_that_has_its_target_columns_loses_nothing():
    size, term = SIZES.args[1][0], only(matched_columns(LAYERS))
    image = random(1, 3, *size[:2])
    target = units(columns(torch.tensor(image), size)).numpy()
    loss, gradient = run(term, size, image, target, np.ones(1, np.float32))
    assert abs(loss[0]) < 1e-6
    assert np.abs(gradient).max() < 1e-6


@pytest.mark.parametrize("size", [*SIZES.args[1], (144, 160, 40, 50)], ids=str)
@pytest.mark.parametrize("pictures", [1, 2])
def test_self_similarity_follows_its_formula(size, pictures):
    """Also on pictures that have more places than the 32 by 32 that count."""
    term = only(self_similarity(LAYERS))
    image, reference = (random(pictures, 3, *size[:2], seed=seed) for seed in (0, 1))
    weight = np.arange(1, pictures + 1, dtype=np.float32)
    target = similarities(columns(torch.tensor(reference, dtype=torch.float64), size, most=32))
    np.testing.assert_allclose(target_of(term, size, reference), target.numpy(), atol=1e-5)

    def loss(variable):
        difference = similarities(columns(variable, size, most=32)) - target
        return torch.tensor(weight) * difference.abs().flatten(1).mean(1)

    assert_same(run(term, size, image, target.numpy().astype("f4"), weight), loss, image)


def test_terms_on_several_layers_add_to_those_on_one():
    size = SIZES.args[1][0]
    image, whole = random(1, 3, *size[:2]), matched_columns(LAYERS) + 2 * content("b")
    assert whole.layers == ["a", "b", "b"]
    assert str(whole) == "1 matched-columns + 2 content/b"
    inputs = {IMAGE: image}
    for term in whole.terms:
        inputs[TARGET + term.name] = target_of(term, size, random(*image.shape, seed=2))
        inputs[WEIGHT + term.name] = np.ones(1, np.float32)
    shapes = {name: values.shape for name, values in inputs.items()}
    outputs = open_session(link(network(size), whole.terms), shapes, CPU, threads=1).run(inputs)
    parts = [
        run(term, size, image, inputs[TARGET + term.name], np.ones(1, np.float32))
        for term in whole.terms
    ]
    np.testing.assert_allclose(outputs[LOSSES][0], [loss[0] for loss, _ in parts], rtol=1e-6)
    np.testing.assert_allclose(outputs[GRADIENT], sum(each for _, each in parts), atol=1e-6)


def test_a_layer_that_is_missing_is_named():
    with pytest.raises(KeyError, match="absent"):
        link(network(SIZES.args[1][0]), matched_columns(("a", "absent")).terms)
