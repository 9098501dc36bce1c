"""The filters of a network's first layer, as RGB pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.bundles.external_data import locate_weights
from nstbatch.runtime.errors import BundleError
from nstbatch.runtime.graphs.smallest_side import ints


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """The first convolution of a network."""

    filters: Array
    """(F, 3, h, w), for RGB in [0, 1]: the preprocessing is folded into them."""
    stride: int
    """Pixels of the image from one position to the next, vertically."""
    layer: str
    """First layer of the bundle after a ReLU, which shows if a filter fires; the very first layer
    if there is none."""


def first_layer(bundle: Bundle) -> FirstLayer:
    """Read the first convolution of a bundle from its forward graph.

    Raises:
        BundleError: The network does not begin with a convolution of plain weights.
    """
    model = ir.from_proto(bundle.read_graph("forward"))
    locate_weights(model, bundle.path)
    graph = model.graph
    image = graph.inputs[0]
    preprocessing = _only_convolution(image, bundle)
    convolution = _only_convolution(preprocessing.outputs[0], bundle)
    colours = _weights(preprocessing, bundle)[:, :, 0, 0]
    # A 1x1 convolution followed by another equals one convolution.
    filters = np.einsum("fchw,cr->frhw", _weights(convolution, bundle), colours)
    return FirstLayer(
        np.ascontiguousarray(filters, np.float32),
        ints(convolution, "strides", [1, 1])[0],
        _first_rectified(graph, bundle),
    )


def _only_convolution(value: ir.Value, bundle: Bundle) -> ir.Node:
    nodes = value.consumers()
    if len(nodes) != 1 or nodes[0].op_type != "Conv":
        raise BundleError(
            f"The first filters of {bundle.name} cannot be shown: it does not begin with a "
            "single convolution."
        )
    return nodes[0]


def _weights(convolution: ir.Node, bundle: Bundle) -> Array:
    """Read the weights, which may be stored in half precision with a ``Cast`` after them."""
    value = convolution.inputs[1]
    producer = None if value is None else value.producer()
    if producer is not None and producer.op_type == "Cast":
        value = producer.inputs[0]
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise BundleError(f"The first filters of {bundle.name} are computed, not stored.")
    return tensor.numpy().astype(np.float32)


def _first_rectified(graph: ir.Graph, bundle: Bundle) -> str:
    producers = {value.name: value.producer() for value in graph.outputs}
    for name in bundle.layer_names:
        producer = producers[name]
        if producer is not None and producer.op_type == "Relu":
            return name
    return bundle.layer_names[0]
