"""Step graphs: what is joined, what is left out, and how good their gradient is.

The last is compared with a float64 gradient of PyTorch, whose own float32 gradient sets the mark.
"""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch

from nstbatch.exporter.checks.margins import rounding_errors
from nstbatch.exporter.checks.pictures import clear_picture, flat_areas, photo_like
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link, link_targets
from nstbatch.runtime.graphs.specialise import specialise
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import Objective, content, style, total_variation

CPU = resolve("cpu")

# Two layers, a = 2 x and b = a * a, and their vector-Jacobian product.
CHAIN = """
    <ir_version: 9, opset_import: ["" : 20]>
    chain (
        float[N, C, H, W] image, float[N, C, H, W] "cotangent/a", float[N, C, H, W] "cotangent/b"
    )
    => (a, b, gradient)
    <float two = {2.0}> {
        a = Mul(image, two)
        b = Mul(a, a)
        slope = Mul(a, two)
        from_b = Mul(slope, "cotangent/b")
        at_a = Add("cotangent/a", from_b)
        gradient = Mul(at_a, two)
    }
"""

# Two layers that are the halves of the channels, so that their cotangents are put side by side.
HALVES = """
    <ir_version: 9, opset_import: ["" : 20]>
    halves (
        float[N, C, H, W] image, float[N, D, H, W] "cotangent/a", float[N, D, H, W] "cotangent/b"
    )
    => (a, b, gradient) {
        a, half = Split<axis = 1, num_outputs = 2>(image)
        b = Neg(half)
        back = Neg("cotangent/b")
        gradient = Concat<axis = 1>("cotangent/a", back)
    }
"""


def chain() -> onnx.ModelProto:
    return onnx.parser.parse_model(CHAIN)


def operators(model: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def names(values) -> list[str]:
    return [value.name for value in values]


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def gram(feature):
    """Gram matrices (N, C, C) of features (N, C, H, W), of NumPy or of PyTorch."""
    flat = feature.reshape(*feature.shape[:2], -1)
    return flat @ flat.swapaxes(1, 2) / (flat.shape[1] * flat.shape[2])


def run(graph, feeds, **options):
    shapes = {name: values.shape for name, values in feeds.items()}
    return open_session(graph, shapes, CPU, threads=1, **options).run(feeds)


# --- What is joined ---------------------------------------------------------------------------


def test_the_inputs_and_outputs_of_a_step_graph():
    graph = link(chain(), (content("a") + style("b") + total_variation()).terms).graph
    assert names(graph.input) == [
        "image", "target/content/a", "weight/content/a", "target/style/b", "weight/style/b",
        "weight/tv",
    ]  # fmt: skip
    assert names(graph.output) == ["losses", "gradient"]


def test_a_step_graph_is_plain_onnx():
    model = link(chain(), (content("a") + style("b") + total_variation()).terms, pictures=3)
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    image, gram, weight = (3, 4, 5, 6), (1, 4, 4), (3,)
    shapes = [image, image, weight, gram, weight, weight]
    named = dict(zip(names(model.graph.input), shapes, strict=True))
    onnx.checker.check_model(specialise(model, named), full_check=True)


def autograd(loss, image):
    """Losses (N, T) in float64, and the derivative of their sum."""
    variable = torch.tensor(image, dtype=torch.float64, requires_grad=True)
    losses = torch.stack(loss(variable), dim=1)
    losses.sum().backward()
    return losses.detach().numpy(), variable.grad.numpy()


@pytest.mark.parametrize("pictures", [1, 3])
def test_losses_and_gradient_are_those_of_the_objective(pictures):
    image, target = random(pictures, 4, 5, 6), random(pictures, 4, 5, 6, seed=1)
    painting, weights = gram(random(1, 4, 7, 7, seed=2)), random(3, pictures, seed=3)
    terms = (style("b") + content("a") + total_variation()).terms
    feeds = {IMAGE: image, TARGET + "content/a": target, TARGET + "style/b": painting}
    feeds |= {WEIGHT + term.name: w for term, w in zip(terms, weights, strict=True)}
    ours = run(link(chain(), terms, pictures), feeds)

    def expected(x):
        a = 2 * x
        difference = gram(a * a) - torch.tensor(painting)
        steps = (x.diff(dim=2) ** 2).flatten(1).sum(1) + (x.diff(dim=3) ** 2).flatten(1).sum(1)
        return (
            torch.tensor(weights[0]) * (difference**2).mean((1, 2)),
            torch.tensor(weights[1]) * ((a - torch.tensor(target)) ** 2).mean((1, 2, 3)),
            torch.tensor(weights[2]) * steps / image[0].size,
        )

    losses, gradient = autograd(expected, image)
    np.testing.assert_allclose(ours[LOSSES], losses, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours[GRADIENT], gradient, rtol=1e-4, atol=1e-6)


def test_the_terms_of_one_layer_add_up():
    image, painting = random(1, 4, 5, 6), gram(random(1, 4, 7, 7, seed=1))
    feeds = {IMAGE: image, TARGET + "content/b": image, TARGET + "style/b": painting}
    feeds |= {WEIGHT + name: np.ones(1, np.float32) for name in ("content/b", "style/b")}
    both = run(link(chain(), (content("b") + style("b")).terms), feeds)

    def alone(objective):
        (term,) = objective.terms
        return run(
            link(chain(), [term]),
            {name: values for name, values in feeds.items() if name.endswith((IMAGE, term.name))},
        )

    apart = [alone(content("b")), alone(style("b"))]
    np.testing.assert_array_equal(both[LOSSES], np.hstack([part[LOSSES] for part in apart]))
    expected = apart[0][GRADIENT] + apart[1][GRADIENT]
    np.testing.assert_allclose(both[GRADIENT], expected, rtol=1e-5, atol=1e-6)


def test_linking_leaves_the_gradient_graph_as_it_is():
    graph = chain()
    before = graph.SerializeToString()
    link(graph, (content("a") + total_variation()).terms)
    assert graph.SerializeToString() == before


def test_the_graph_of_targets_has_one_for_every_term_with_a_layer():
    objective = style("b") + content("a") + total_variation()
    forward = chain()
    graph = link_targets(forward, objective.terms)
    assert names(graph.graph.output) == ["target/style/b", "target/content/a"]
    image = random(1, 4, 5, 6)
    for value in forward.graph.input[1:]:
        forward.graph.input.remove(value)
    graph = link_targets(forward, content("a").terms)
    assert operators(graph)["Mul"] == 1
    np.testing.assert_array_equal(run(graph, {IMAGE: image})["target/content/a"], 2 * image)


# --- What is left out -------------------------------------------------------------------------


def test_a_layer_without_a_term_costs_nothing():
    shallow, deep = link(chain(), content("a").terms), link(chain(), content("b").terms)
    content_alone = operators(link(chain(), content("a").terms))["Mul"] - 2
    assert operators(shallow)["Mul"] == 2 + content_alone  # a, and the way back from it
    assert operators(deep)["Mul"] == 5 + content_alone
    assert not operators(shallow)["Add"]


def test_the_total_variation_alone_needs_no_network():
    model = link(Bundle.load("vgg16").read_graph("gradient", "avg"), total_variation().terms)
    assert names(model.graph.input) == ["image", "weight/tv"]
    assert not model.graph.initializer
    assert not {"Conv", "Relu", "AveragePool"} & set(operators(model))
    image = random(1, 3, 6, 7)
    outputs = run(model, {IMAGE: image, "weight/tv": np.ones(1, np.float32)})
    assert outputs[GRADIENT].shape == image.shape


def test_a_zero_beside_something_else_is_written_out():
    image = random(2, 6, 4, 5)
    for layer, channels in (("a", slice(0, 3)), ("b", slice(3, 6))):
        model = link(onnx.parser.parse_model(HALVES), content(layer).terms, 2)
        target, weight = f"target/content/{layer}", f"weight/content/{layer}"
        assert names(model.graph.input) == ["image", target, weight]
        zeros, ones = np.zeros((2, 3, 4, 5), np.float32), np.ones(2, np.float32)
        gradient = run(model, {IMAGE: image, target: zeros, weight: ones})[GRADIENT]
        expected = np.zeros_like(image)
        expected[:, channels] = 2 * image[:, channels] / 60
        np.testing.assert_allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("model", ["vgg16", "alexnet", "squeezenet1_1"])
def test_what_is_deeper_than_the_deepest_layer_disappears(model, pooling):
    bundle = Bundle.load(model)
    gradient = bundle.read_graph("gradient", pooling)
    for layer in (*bundle.style_layers, "pool5"):
        channels = bundle.layer(layer).channels
        shapes = {"image": (1, 3, 64, 80), f"weight/style/{layer}": (1,)}
        shapes[f"target/style/{layer}"] = (1, channels, channels)
        graph = specialise(link(gradient, style(layer).terms), shapes).graph
        weights = [t for t in graph.initializer if t.external_data and len(t.dims) == 4]
        above = bundle.layer_names[: bundle.layer_names.index(layer) + 1]
        assert len(weights) == sum(is_convolution(name) for name in above)
        assert not [name for name in names(graph.input) if name.startswith("cotangent/")]


def is_convolution(name: str) -> bool:
    return not any(part in name for part in ("relu", "concat", "pool"))


# --- How good it is ---------------------------------------------------------------------------

# The linked gradient may have an error this many times that of PyTorch's own, both in float32.
MARK = 3.0

# Every size with either pooling; test_verify.py in tests/exporter/checks has every graph at all
# sizes.
CASES = [
    ("vgg16", "avg", (70, 86)),
    ("vgg16", "max", (64, 64)),
    ("alexnet", "avg", (97, 131)),
    ("alexnet", "max", (70, 86)),
    ("squeezenet1_1", "avg", (64, 64)),
    ("squeezenet1_1", "max", (97, 131)),
]


def style_transfer(bundle: Bundle) -> Objective:
    objective = 10 * total_variation()
    for layer in bundle.content_layers:
        objective += content(layer)
    for layer in bundle.style_layers:
        objective += 4 * style(layer)
    return objective


def clear_images(network, size):
    """Two like photos and one with flat areas, (3, 3, H, W), without a close decision.

    Where there is one, PyTorch and ONNX Runtime may both be right and yet disagree.
    """
    rng, images = np.random.default_rng(1), []
    typical = np.stack([draw(rng, 97, 131) for draw in (photo_like, flat_areas)])
    errors = rounding_errors(network, torch.from_numpy(typical))
    for draw in (photo_like, flat_areas, photo_like):
        image, margin = clear_picture(network, draw, size, rng, errors)
        assert margin.is_clear
        images.append(image)
    return torch.cat(images).numpy()


def distance(ours, truth):
    """Relative distance between the gradients (N, 3, H, W) of each picture."""
    difference = np.linalg.norm((ours - truth).reshape(len(ours), -1), axis=1)
    return difference / np.linalg.norm(truth.reshape(len(truth), -1), axis=1)


@pytest.mark.parametrize(("model", "pooling", "size"), CASES)
def test_the_gradient_of_style_transfer_is_as_good_as_pytorchs(reference, model, pooling, size):
    single, double = reference(model, pooling), reference(model, pooling, "float64")
    bundle = Bundle.load(model)
    objective = style_transfer(bundle)
    images = clear_images(single.network, size)
    rng = np.random.default_rng(2)
    paintings = np.stack([photo_like(rng, 64, 72) ** exponent for exponent in (1, 2, 3)])
    pictures = {"content": images[:, :, ::-1, ::-1].copy(), "style": paintings}

    def torch_gradient(network):
        return network.gradient(objective, network.targets(objective, pictures), images)

    losses, truth = torch_gradient(double)
    mark = MARK * distance(torch_gradient(single)[1], truth)
    for batch in ([0], [1], [0, 1, 2]):
        ours = linked_gradient(bundle, pooling, objective, images[batch], pictures, batch)
        np.testing.assert_allclose(ours[LOSSES], losses[batch], rtol=1e-4)
        assert (distance(ours[GRADIENT], truth[batch]) <= mark[batch]).all()


def linked_gradient(bundle, pooling, objective, images, pictures, batch):
    folder = {"weights_folder": bundle.path}
    feeds = {IMAGE: images}
    for kind, references in pictures.items():
        terms = [term for term in objective.terms if term.kind == kind]
        graph = link_targets(bundle.read_graph("forward", pooling), terms)
        feeds |= run(graph, {IMAGE: references[batch]}, **folder)
    for weight, term in objective.weighted:
        target = feeds.get(TARGET + term.name)
        feeds[WEIGHT + term.name] = term.graph_weight(weight, target, len(images))
    graph = link(bundle.read_graph("gradient", pooling), objective.terms, len(images))
    return run(graph, feeds, **folder)
