"""Convolutions with fewer multiplications, for processors (Winograd 1980; Lavin & Gray 2016).

A 3x3 convolution of a 2x2 tile takes 36 multiplications for each pair of channels. It takes 16 once
the tile, its margin and the filter are transformed to another basis:

    Y = Aᵀ [(G g Gᵀ) * (Bᵀ d B)] A

for tiles d (4x4, every 2 pixels), filters g (3x3) and results Y (2x2). This is F(2x2, 3x3) of Lavin
& Gray, whose constants are so small that float32 loses almost no accuracy. The product in the
middle, summed over channels, is one matrix product for each of the 16 coefficients. The changes of
basis cost memory traffic, so the method pays only with many channels.

Only convolutions of the backward pass are rewritten. Rounding in the forward pass would decide
which ReLUs are on, and would show in the losses.

ONNX Runtime's CPU provider does not do this by itself; cuDNN, TensorRT and OpenVINO choose among
algorithms of their own. docs/decisions/0016-winograd.md has the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common as passes

from nstbatch.runtime.names import GRADIENT

from .smallest_side import ints

# Fewest input and output channels for which it is faster. Measured on two cores of a Zen 4: 1.4
# times as fast with 512 channels, 1.1 to 1.2 times with 256, and slower with 128.
FEWEST_CHANNELS = 256

# Lavin & Gray 2016, section 4.1.
B_T = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A_T = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


def with_fewer_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite the 3x3 convolutions of many channels in the backward pass in Winograd's basis.

    A convolution belongs to the backward pass if no output but the gradient depends on it.

    Args:
        model: A graph of static shapes; it is not changed.

    Returns:
        A graph with the same inputs and outputs, whose results differ by float32's rounding.
    """
    graph_model = ir.from_proto(model)
    graph = graph_model.graph
    forward = _ancestors([value for value in graph.outputs if value.name != GRADIENT])
    for node in list(graph):
        if node not in forward and _pays(node):
            _replace(graph, node)
    passes.RemoveUnusedNodesPass()(graph_model)
    return ir.to_proto(graph_model)


def _ancestors(values: Sequence[ir.Value]) -> set[ir.Node]:
    """All nodes that the values depend on."""
    found: set[ir.Node] = set()
    waiting = [value.producer() for value in values]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [value.producer() for value in node.inputs if value is not None]
    return found


def _pays(node: ir.Node) -> bool:
    """True for a plain 3x3 convolution with enough channels to be faster in Winograd's basis."""
    if node.op_type != "Conv" or len(node.inputs) != 2:
        return False
    shapes = [value.shape if value is not None else None for value in node.inputs]
    if any(shape is None or not shape.is_static() or len(shape) != 4 for shape in shapes):
        return False
    filters = _sizes(node.inputs[1])
    plain: dict[str, list[Any]] = {
        "strides": [1, 1],
        "dilations": [1, 1],
        "group": [1],
        "auto_pad": ["NOTSET"],
    }
    return (
        filters[2:] == [3, 3]
        and min(filters[:2]) >= FEWEST_CHANNELS
        and ints(node, "pads", [0] * 4) == [1] * 4
        and all(_attribute(node, name, value) == value for name, value in plain.items())
    )


def _attribute(node: ir.Node, name: str, default: list[Any]) -> list[Any]:
    if name not in node.attributes:
        return default
    value = node.attributes[name].value
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _sizes(value: ir.Value | None) -> list[int]:
    assert value is not None
    assert value.shape is not None
    return [int(size) for size in value.shape.numpy()]


def _replace(graph: ir.Graph, convolution: ir.Node) -> None:
    """Replace a convolution with the same one in Winograd's basis."""
    new = _Nodes()
    values, weights = convolution.inputs
    pictures, channels, height, width = _sizes(values)
    filters = _sizes(weights)[0]
    down, right = -(-height // 2), -(-width // 2)  # in tiles; with an odd side the last overhangs
    tiles = down * right

    # (16, 1, K, C): the filters in the other basis; the session folds this when it is opened.
    columns = new.add("Transpose", new.reshape(weights, [filters * channels, 9]))
    basis = new.add("MatMul", new.constant(np.kron(G, G)), columns)
    matrices = new.reshape(basis, [16, 1, filters, channels])

    # (16, N, C, T): the tiles of every channel, through one filter for each coefficient.
    planes = new.reshape(values, [pictures * channels, 1, height, width])
    transformed = new.add(
        "Conv",
        planes,
        new.constant(np.kron(B_T, B_T).reshape(16, 1, 4, 4)),
        strides=[2, 2],
        pads=[1, 1, 1 + height % 2, 1 + width % 2],
    )
    coefficients = new.reshape(transformed, [pictures, channels, 16, tiles])
    coefficients = new.add("Transpose", coefficients, perm=[2, 0, 1, 3])

    # (4, N K T): the four pixels of each tile, then moved to their positions.
    products = new.reshape(new.add("MatMul", matrices, coefficients), [16, -1])
    pixels = new.add("MatMul", new.constant(np.kron(A_T, A_T)), products)
    pixels = new.add("Transpose", new.reshape(pixels, [4, pictures, -1]), perm=[1, 0, 2])
    result = new.reshape(pixels, [pictures, 4 * filters, down, right])
    result = new.add("DepthToSpace", result, blocksize=2)
    if height % 2 or width % 2:
        ends, axes = new.integers([height, width]), new.integers([2, 3])
        result = new.add("Slice", result, new.integers([0, 0]), ends, axes)

    graph.insert_before(convolution, new.nodes)
    output = convolution.outputs[0]
    output.name, result.name = None, output.name  # sessions find outputs by name
    output.replace_all_uses_with(result, replace_graph_outputs=True)


class _Nodes:
    """A growing list of nodes."""

    def __init__(self) -> None:
        self.nodes: list[ir.Node] = []

    def add(self, operator: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Append a node and return its output."""
        self.nodes.append(ir.node(operator, inputs, attributes))
        return self.nodes[-1].outputs[0]

    def constant(self, values: NDArray[Any]) -> ir.Value:
        """A float32 constant."""
        return self.add("Constant", value=ir.tensor(values.astype(np.float32)))

    def integers(self, values: list[int]) -> ir.Value:
        """An int64 constant, the type of axes and shapes."""
        return self.add("Constant", value_ints=values)

    def reshape(self, value: ir.Value | None, shape: list[int]) -> ir.Value:
        """Append a Reshape and return its output."""
        return self.add("Reshape", value, self.integers(shape))
