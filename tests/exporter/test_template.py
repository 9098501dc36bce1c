"""Compares graphs that were traced once and then filled with graphs traced for the weights."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from nstbatch.exporter import template as template_module
from nstbatch.exporter.checks.autograd import vector_jacobian_product
from nstbatch.exporter.export import Export
from nstbatch.exporter.networks.backbones import IMAGENET
from nstbatch.exporter.rules import ReluRule
from nstbatch.exporter.template import Template
from nstbatch.exporter.trace import LayerNetwork, forward_graph, vjp_graph


@pytest.fixture
def traced(monkeypatch) -> list[Export]:
    """A list of the traced exports; only two graphs of each are traced, to be quick."""
    exports = []

    def trace(export, log):
        exports.append(export)
        network = LayerNetwork(export.network, export.layers, export.preprocessing)
        deconv = vjp_graph(network, ReluRule.DECONV)
        return [("forward_max.onnx", forward_graph(network)), ("deconv.onnx", deconv)]

    monkeypatch.setattr(template_module, "trace_graphs", trace)
    return exports


def export(*modules: nn.Module) -> Export:
    network = nn.Sequential(*modules).eval().requires_grad_(False)
    layers = {str(len(modules) - 1): str(len(modules) - 1)}
    return Export(None, network, layers, IMAGENET)


def convolutional(seed: int) -> Export:
    """A network whose small filters the exporter folds, and whose biases are all zero."""
    torch.manual_seed(seed)
    first, last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 40, 3, padding=1)
    nn.init.zeros_(first.bias)
    nn.init.zeros_(last.bias)
    return export(first, nn.ReLU(), nn.MaxPool2d(2), last, nn.ReLU())


def run(model, inputs):
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def test_filled_graphs_are_those_of_the_weights(traced, serialised):
    template, image = Template(), torch.rand(2, 3, 17, 22)
    for seed in range(3):
        filled = convolutional(seed)
        graphs = dict(template.graphs(filled, print))
        network = LayerNetwork(filled.network, filled.layers, IMAGENET)
        cotangent = torch.rand(2, 40, 8, 11)
        (layer,), gradient = vector_jacobian_product(network, image, [cotangent], ReluRule.DECONV)
        (forward,) = run(serialised(graphs["forward_max.onnx"]), {"image": image.numpy()})
        np.testing.assert_allclose(forward, layer, rtol=1e-4, atol=1e-5)
        inputs = {"image": image.numpy(), "cotangent/4": cotangent.numpy()}
        _, projected = run(serialised(graphs["deconv.onnx"]), inputs)
        error = np.linalg.norm(projected - gradient.numpy()) / gradient.norm()
        assert error < 1e-5
    assert len(traced) == 1


def test_what_weights_were_folded_into_is_traced_each_time(traced):
    template = Template()
    for seed in range(2):
        torch.manual_seed(seed)
        norm = nn.BatchNorm2d(20)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        of = export(nn.Conv2d(3, 20, 3), norm, nn.ReLU())
        graphs = dict(template.graphs(of, print))
        assert graphs.keys() == {"forward_max.onnx", "deconv.onnx"}
    assert traced[-1].network is of.network
    assert len(traced) == 3  # the template, and each export


def test_a_parameter_of_one_element_might_be_any_number(traced):
    template = Template()
    for _ in range(2):
        template.graphs(export(nn.Conv2d(3, 1, 3), nn.ReLU()), print)
    assert len(traced) == 3
