import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.nn import functional

from nstbatch.exporter.rules import ReluRule
from nstbatch.exporter.trace import OPSET, LayerNetwork, forward_graph, vjp_graph
from nstbatch.runtime.bundles.bundle import Preprocessing
from nstbatch.runtime.errors import UsageError

CAFFE = Preprocessing("BGR", 255.0, (104.0, 117.0, 123.0), (1.0, 1.0, 2.0))


def network():
    """A network with two layers of different sizes, one global, and a module that is no layer."""
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 5, 3), nn.AdaptiveAvgPool2d(1)]
    layers = {"relu1": "1", "pool/global": "3"}
    return LayerNetwork(nn.Sequential(*body, nn.Flatten()), layers, CAFFE)


@pytest.fixture(scope="module")
def models() -> dict[str, ir.Model]:
    return {
        "forward": forward_graph(network()),
        "gradient": vjp_graph(network(), ReluRule.GRADIENT),
    }


def names(values):
    return [value.name for value in values]


# --- The network ------------------------------------------------------------------------------


def test_preprocessing_is_part_of_the_network():
    image = torch.rand(2, 3, 4, 5)
    (found,) = LayerNetwork(nn.Sequential(nn.Identity()), {"seen": "0"}, CAFFE)(image)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CAFFE.mean, CAFFE.std))
    torch.testing.assert_close(found, (image.flip(1) * 255 - mean) / std, rtol=1e-6, atol=1e-4)


def test_layers_come_in_the_order_they_were_asked_for():
    layers = {"b": "1", "a": "0"}
    chain = LayerNetwork(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1)), layers, CAFFE)
    assert chain.layer_names == ("b", "a")
    assert [activation.shape[1] for activation in chain(torch.rand(1, 3, 2, 2))] == [5, 4]


# --- The graphs -------------------------------------------------------------------------------


def test_inputs_and_outputs_are_the_formats(models):
    layers = ["relu1", "pool/global"]
    assert names(models["forward"].graph.inputs) == ["image"]
    assert names(models["forward"].graph.outputs) == layers
    cotangents = [f"cotangent/{name}" for name in layers]
    assert names(models["gradient"].graph.inputs) == ["image", *cotangents]
    assert names(models["gradient"].graph.outputs) == [*layers, "gradient"]


def test_the_graphs_keep_no_trace_of_where_they_were_made(models):
    for model in models.values():
        assert model.opset_imports == {"": OPSET}
        assert (model.producer_name, model.producer_version) == ("nstbatch", None)
        assert not model.metadata_props
        assert not any(node.metadata_props or node.doc_string for node in model.graph)
        assert b".py" not in ir.to_proto(model).SerializeToString()


def test_a_second_trace_gives_the_same_bytes(models, serialised):
    torch.manual_seed(17)  # for the images used in tracing
    again = vjp_graph(network(), ReluRule.GRADIENT)
    assert serialised(again) == serialised(models["gradient"])


@pytest.mark.parametrize("size", [(1, 3, 16, 16), (2, 3, 17, 40), (5, 3, 235, 33)])
def test_any_size_gives_what_pytorch_gives(models, serialised, size):
    image = torch.rand(size, requires_grad=True)
    activations = network()(image)
    cotangents = [torch.randn_like(activation) for activation in activations]
    (gradient,) = torch.autograd.grad(activations, image, cotangents)
    expected = [tensor.detach() for tensor in (*activations, gradient)]
    inputs = {"image": image.detach().numpy()}
    inputs |= {
        f"cotangent/{name}": cotangent.numpy()
        for name, cotangent in zip(network().layer_names, cotangents, strict=True)
    }
    for name, model in models.items():
        session = ort.InferenceSession(serialised(model), providers=["CPUExecutionProvider"])
        wanted = {value.name: inputs[value.name] for value in session.get_inputs()}
        found = session.run(None, wanted)
        assert len(found) == {"forward": 2, "gradient": 3}[name]
        for array, tensor in zip(found, expected, strict=False):
            error = np.linalg.norm(array - tensor.numpy()) / tensor.norm()
            assert error < 1e-6


def test_no_shape_is_read_off_a_cotangent(models, as_layers):
    """Linking may cut off a cotangent, or compute it from that shape."""
    pooled = as_layers(nn.MaxPool2d(3, 2), nn.InstanceNorm2d(3), layers=("0", "1"))
    for model in (models["gradient"], vjp_graph(pooled, ReluRule.GRADIENT)):
        for cotangent in model.graph.inputs[1:]:
            assert all(node.op_type != "Shape" for node in cotangent.consumers())


def test_layers_whose_forward_asks_for_sizes(as_layers, serialised):
    """An instance norm's forward half needs the batch size, which torch reads from any input."""
    norms = [nn.InstanceNorm2d(3), nn.MaxPool2d(2), nn.InstanceNorm2d(3)]
    chain = as_layers(*norms, layers=("0", "1", "2"))
    model = serialised(vjp_graph(chain, ReluRule.GRADIENT))
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    image = torch.rand(3, 3, 20, 31, requires_grad=True)
    activations = chain(image)
    cotangents = [torch.randn_like(activation) for activation in activations]
    (gradient,) = torch.autograd.grad(activations, image, cotangents)
    inputs = {f"cotangent/{i}": g.numpy() for i, g in enumerate(cotangents)}
    (found,) = session.run(["gradient"], {"image": image.detach().numpy(), **inputs})
    assert np.linalg.norm(found - gradient.numpy()) / gradient.norm() < 1e-6


# --- What cannot be exported ------------------------------------------------------------------


class Positional(nn.Module):
    """A network that happens to work at the size of tracing."""

    def __init__(self, *size):
        super().__init__()
        self.embedding = nn.Parameter(torch.rand(1, 3, *size), requires_grad=False)

    def forward(self, image):
        return functional.avg_pool2d(image, 1) + self.embedding


@pytest.mark.parametrize("trace", [forward_graph, lambda n: vjp_graph(n, ReluRule.GRADIENT)])
def test_a_network_of_one_size_is_refused(trace, as_layers):
    message = r"cannot be written as ONNX: it takes images of shape \[.*,3,235,267\] only"
    with pytest.raises(UsageError, match=message):
        trace(as_layers(Positional(235, 267)))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.MaxPool2d(2, dilation=2), "max pooling with dilation has no rule"),
        (nn.AdaptiveAvgPool2d(2), "No ONNX function found.*_adaptive_avg_pool2d_backward"),
        (Positional(7, 7), "size of tensor"),
    ],
)
def test_what_torch_cannot_write_is_said_in_a_line(module, reason, as_layers):
    with pytest.raises(UsageError, match=f"cannot be written as ONNX: .*{reason}") as caught:
        vjp_graph(as_layers(module), ReluRule.GRADIENT)
    assert "\n" not in str(caught.value)
