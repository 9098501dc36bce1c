"""A first convolution that copies the picture's edge, against PyTorch's padding_mode."""

import numpy as np
import onnx
import pytest
import torch

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link, link_targets
from nstbatch.runtime.graphs.replicate_padding import with_replicated_edges
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import content, style

CPU = resolve("cpu")
LAYERS = {"vgg16": ("relu1_1", "relu3_1"), "alexnet": ("relu1", "relu3")}


def pictures(height, width):
    return np.random.default_rng(0).random((2, 3, height, width), dtype=np.float32)


@pytest.mark.parametrize("model", LAYERS)
@pytest.mark.parametrize("size", [(72, 80), (75, 83), (82, 77)])
def test_values_and_gradients_are_those_of_pytorch(reference, model, size):
    shallow, deep = LAYERS[model]
    bundle, images = Bundle.load(model), pictures(*size)
    terms = (1.0 * style(shallow) + 1.0 * content(deep)).terms
    forward, gradient = (
        with_replicated_edges(bundle.read_graph(kind, "max")) for kind in ("forward", "gradient")
    )
    painting = images[:1, :, ::-1, ::-1].copy()
    targets = opened(link_targets(forward, terms), {IMAGE: painting}, bundle)
    weights = {WEIGHT + term.name: np.ones(2, np.float32) for term in terms}
    ours = opened(link(gradient, terms, 2), {IMAGE: images, **targets, **weights}, bundle)

    network = reference(model, "max")
    variable = network.tensor(images).requires_grad_()
    with network.replicating():
        seen, wanted = map(network.activations, (variable, network.tensor(painting)))
    theirs = torch.stack(
        [
            (gram(seen[shallow]) - gram(wanted[shallow])).pow(2).mean((1, 2)),
            (seen[deep] - wanted[deep]).pow(2).mean((1, 2, 3)),
        ],
        dim=1,
    )
    theirs.sum().backward()
    np.testing.assert_allclose(ours[LOSSES], theirs.detach().numpy(), rtol=1e-4)
    slopes = variable.grad.numpy()
    assert np.linalg.norm(ours[GRADIENT] - slopes) < 1e-4 * np.linalg.norm(slopes)
    edge = np.abs(ours[GRADIENT] - slopes)[..., [0, 0, -1, -1], [0, -1, 0, -1]]
    assert edge.max() < 1e-4 * np.abs(slopes).max()


def gram(features):
    flat = features.flatten(2)
    return flat @ flat.mT / flat[0].numel()


def opened(graph, feeds, bundle):
    shapes = {name: values.shape for name, values in feeds.items()}
    return open_session(graph, shapes, CPU, weights_folder=bundle.path).run(feeds)


def test_it_is_another_network_than_with_zeros():
    bundle, image = Bundle.load("vgg16"), pictures(40, 40)[:1]
    (term,) = content("relu1_1").terms
    graph = bundle.read_graph("forward", "max")
    zeros, edges = (
        opened(link_targets(each, (term,)), {IMAGE: image}, bundle)[TARGET + term.name]
        for each in (graph, with_replicated_edges(graph))
    )
    np.testing.assert_allclose(zeros[..., 1:-1, 1:-1], edges[..., 1:-1, 1:-1], atol=1e-5)
    assert np.abs(zeros - edges)[..., 0, :].max() > 0.1


def test_a_first_convolution_without_padding_stays():
    bundle = Bundle.load("squeezenet1_1")
    graph = bundle.read_graph("gradient", "max")
    assert with_replicated_edges(graph) is graph


def test_a_graph_without_a_convolution_stays():
    graph = onnx.parser.parse_model("""
        <ir_version: 9, opset_import: ["" : 20]>
        none (float[N, 3, H, W] image) => (y) { y = Relu(image) }
    """)
    assert with_replicated_edges(graph) is graph
