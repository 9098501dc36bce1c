"""Traces a PyTorch module: its forward graph, and vector-Jacobian products of its layers.

The traced function calls the module once, and forward hooks catch its layers.
``torch.func.vjp`` of "image -> layers" is traced with ``make_fx`` under the decompositions of
:mod:`nstbatch.exporter.rules`, re-exported with symbolic sizes and translated by ``torch.onnx``.
Exporting ``torch.func.grad`` directly fails, since it reads the data of fake tensors.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes
from torch import Tensor, nn
from torch.fx.experimental import _config as symbolic_config
from torch.fx.experimental.proxy_tensor import make_fx

from nstbatch.runtime.bundles.bundle import Preprocessing
from nstbatch.runtime.errors import UsageError

from .rules import ReluRule, decompositions

# The newest operator set that onnxruntime 1.24, the oldest supported, runs in full on every
# provider; Resize, Pad and Cast last changed in it or before.
OPSET = 20

# Sizes for tracing only: the graphs are symbolic in all three. Torch would take size 1 for a
# constant, and odd sizes keep every slice that an uneven picture needs. The values are guesses.
BATCH, HEIGHT, WIDTH = 2, 235, 267

# Largest tensor, in elements, that is folded into a constant: shapes and scalars. The runtime folds
# flipped and transposed filters; with torch.onnx's own limit of 8192 the graphs would carry copies
# of them. The value is a guess.
LARGEST_FOLDED = 256


@contextmanager
def _explained() -> Iterator[None]:
    """Turn any error of torch about a network into a UsageError."""
    try:
        yield
    except Exception as error:  # the user's module may raise anything
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        reason = next(iter(str(root).splitlines()), type(root).__name__)
        raise UsageError(f"The network cannot be written as ONNX: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the warnings of torch's tracers, which are about their own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


class LayerNetwork(nn.Module):
    """image (N, 3, H, W), RGB in [0, 1] -> the named layers' activations, in order.

    Preprocessing is an affine map of colours, so a 1x1 convolution in front does it.
    """

    def __init__(
        self, network: nn.Module, layers: Mapping[str, str], preprocessing: Preprocessing
    ) -> None:
        """Hook the layers of a network.

        Args:
            network: A module in eval mode.
            layers: Layer name -> dotted path of the submodule whose output it is.
            preprocessing: The images that the module expects.
        """
        super().__init__()
        self.network = network
        self.preprocess = preprocessing_convolution(preprocessing)
        self.layer_names = tuple(layers)
        self._caught: dict[str, Tensor] = {}
        for name, path in layers.items():
            network.get_submodule(path).register_forward_hook(self._catch(name))
        self.requires_grad_(False).eval()

    def _catch(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self._caught[name] = output

        return hook

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Image (N, 3, H, W) -> one activation per layer, in the order of ``layer_names``."""
        self._caught.clear()
        self.network(self.preprocess(image))
        return tuple(self._caught[name] for name in self.layer_names)


def preprocessing_convolution(preprocessing: Preprocessing) -> nn.Conv2d:
    """``(x * scale - mean) / std`` in the backbone's channel order, as a 1x1 convolution of RGB."""
    source = ["RGB".index(channel) for channel in preprocessing.channels]
    convolution = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        convolution.weight.zero_()
        for channel, rgb in enumerate(source):
            std = preprocessing.std[channel]
            convolution.weight[channel, rgb, 0, 0] = preprocessing.scale / std
            convolution.bias[channel] = -preprocessing.mean[channel] / std  # type: ignore[index]
    return convolution


@_explained()
def forward_graph(network: LayerNetwork) -> ir.Model:
    """Image -> one output per layer.

    Raises:
        UsageError: Torch cannot write the network as ONNX.
    """
    image = torch.rand(BATCH, 3, HEIGHT, WIDTH)
    with _quiet():
        program = torch.export.export(network, (image,), dynamic_shapes=(_dynamic(image),))
        model = _translate(program)
    return _named(model, ["image"], network.layer_names)


@_explained()
def vjp_graph(network: LayerNetwork, relu: ReluRule) -> ir.Model:
    """Image, one cotangent per layer -> one output per layer, and ``gradient``.

    Raises:
        UsageError: Torch cannot write the network or its derivative as ONNX.
    """
    image = torch.rand(BATCH, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        cotangents = network(image)

    def vjp(image: Tensor, *cotangents: Tensor) -> tuple[Tensor, ...]:
        activations, pull_back = torch.func.vjp(network, image)[:2]
        (gradient,) = pull_back(cotangents)
        return (*activations, gradient)

    duck_shapes = symbolic_config.patch(use_duck_shape=False)  # type: ignore[attr-defined]
    with _quiet(), duck_shapes:
        traced = make_fx(
            vjp,
            decomposition_table=decompositions(relu),
            tracing_mode="symbolic",
            _allow_non_fake_inputs=True,
        )(image, *cotangents)
        shapes = tuple(_dynamic(tensor) for tensor in (image, *cotangents))
        program = torch.export.export(traced, (image, *cotangents), dynamic_shapes=shapes)
        model = _translate(program)
    _ask_activations_for_shapes(model.graph)
    inputs = ["image", *(f"cotangent/{name}" for name in network.layer_names)]
    return _named(model, inputs, [*network.layer_names, "gradient"])


def _ask_activations_for_shapes(graph: ir.Graph) -> None:
    """Read shapes from activations, not cotangents, which linking may cut off.

    A cotangent has the shape of its activation.
    """
    image, cotangents, activations = graph.inputs[0], graph.inputs[1:], graph.outputs[:-1]
    for cotangent, activation in zip(cotangents, activations, strict=True):
        for node in cotangent.consumers():
            if node.op_type != "Shape":
                continue
            if _leads_to(node, activation):
                _ask_image_for_size(node, image)
            else:
                node.replace_input_with(0, activation)
    graph.sort()


def _leads_to(node: ir.Node, value: ir.Value) -> bool:
    """True if the value is computed from the node's outputs."""
    seen: set[ir.Node] = set()
    ahead = [value.producer()]
    while ahead:
        producer = ahead.pop()
        if producer is not None and producer not in seen:
            seen.add(producer)
            ahead += [source.producer() for source in producer.inputs if source is not None]
    return node in seen


def _ask_image_for_size(shape: ir.Node, image: ir.Value) -> None:
    """Let a ``Shape`` of one axis of a cotangent read the same size from the image.

    Torch reads a size that several inputs share, such as the batch size, from any of them; an
    instance norm needs it before its activation exists.
    """
    (cotangent,) = shape.inputs
    assert cotangent is not None
    assert cotangent.shape is not None
    assert image.shape is not None
    size = cotangent.shape[shape.attributes["start"].as_int()]
    axis = image.shape.dims.index(size)
    shape.replace_input_with(0, image)
    shape.attributes["start"] = ir.AttrInt64("start", axis)
    shape.attributes["end"] = ir.AttrInt64("end", axis + 1)


def _dynamic(tensor: Tensor) -> dict[int, Any]:
    """The free axes: batch, height and width. Channels and global pools (size 1) are fixed."""
    free = (axis for axis, size in enumerate(tensor.shape) if axis != 1 and size > 1)
    return dict.fromkeys(free, torch.export.Dim.AUTO)


def _translate(program: torch.export.ExportedProgram) -> ir.Model:
    from onnxscript import optimizer

    exported = torch.onnx.export(
        program, dynamo=True, opset_version=OPSET, optimize=False, verbose=False
    )
    assert exported is not None
    return optimizer.optimize(exported.model, input_size_limit=LARGEST_FOLDED)


def _refuse_fixed_sizes(image: ir.Value) -> None:
    """Raise a UsageError if a comparison in the network made torch restrict a size: ``4*s + 3``."""
    assert image.shape is not None
    batch, _, height, width = map(str, image.shape)
    if any(size.isdigit() or "*" in size for size in (batch, height, width)):
        raise UsageError(f"it takes images of shape {image.shape} only")


def _named(model: ir.Model, inputs: Sequence[str], outputs: Sequence[str]) -> ir.Model:
    """Give the graph the names of the bundle format, and remove the metadata of its export."""
    _refuse_fixed_sizes(model.graph.inputs[0])
    passes.OutputFixPass()(model)
    passes.CommonSubexpressionEliminationPass()(model)
    passes.RemoveUnusedNodesPass()(model)
    passes.ClearMetadataAndDocStringPass()(model)
    for value, name in zip(model.graph.inputs, inputs, strict=True):
        value.name = name
    for value, name in zip(model.graph.outputs, outputs, strict=True):
        value.name = name
    model.producer_name, model.producer_version = "nstbatch", None
    model.graph.name = "nstbatch"
    return model
