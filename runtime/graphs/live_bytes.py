"""How much memory a graph's activations take, counted: no clock, no operating system.

A walk over the graph in its order: a value lives from the node that makes it to the last one that
reads it, and the largest sum of what lives at once is the count. What it is not:

* Weights, and whatever follows from them alone, are left out: a session holds them once, whatever
  the size of the pictures.
* Inputs and outputs live throughout: they are buffers of whoever runs the graph.
* An operator that only names a value anew (:data:`ALIASES`) takes nothing, and an element-wise one
  (:data:`IN_PLACE`) writes over an input that nobody reads any more, as ONNX Runtime's planner has
  it. A provider may need more, for scratch and for layouts of its own, or less, where it joins
  operators or computes in half precision.

So the count is a measure to compare graphs by and to choose a batch by, not a promise.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import onnx
import onnx_ir as ir

ALIASES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
IN_PLACE = frozenset(
    {"Abs", "Add", "Clip", "Div", "Exp", "Mul", "Neg", "Relu", "Sigmoid", "Sqrt", "Sub", "Where"}
)

Blocks: TypeAlias = dict[ir.Value, ir.Value]
"""Every value that is no constant, and the one whose memory it is in."""


def bytes_of(model: onnx.ModelProto) -> int:
    """Bytes of the activations that live at once, at most, while a graph runs.

    Args:
        model: A graph of static shapes, such as :func:`.specialise.specialise`
            leaves behind, in topological order.

    Raises:
        ValueError: A shape is not known.
    """
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(model)).graph
    nodes = list(graph)
    blocks = _blocks(graph, nodes)
    ends = _ends(graph, nodes, blocks)
    ending = defaultdict(list)
    for block, end in ends.items():
        ending[end].append(block)

    live = most = sum(_size(value) for value in graph.inputs if value in blocks)
    for i, node in enumerate(nodes):
        live += sum(_size(value) for value in node.outputs if blocks.get(value) is value)
        most = max(most, live - _overwritten(node, ending[i], blocks))
        live -= sum(map(_size, ending[i]))
    return most


def _blocks(graph: ir.Graph, nodes: Sequence[ir.Node]) -> Blocks:
    weights = set(graph.initializers.values())
    blocks = {value: value for value in graph.inputs if value not in weights}
    for node in nodes:
        read = [value for value in node.inputs if value in blocks]
        if read:  # else it follows from the weights alone
            blocks |= {value: value for value in node.outputs}
            if node.op_type in ALIASES and node.inputs[0] in blocks:
                blocks[node.outputs[0]] = blocks[read[0]]
    return blocks


def _ends(graph: ir.Graph, nodes: Sequence[ir.Node], blocks: Blocks) -> dict[ir.Value, int]:
    """By block: the place of the last node that makes or reads it."""
    ends = {}
    for i, node in enumerate(nodes):
        for value in (*node.inputs, *node.outputs):
            if value in blocks:
                ends[blocks[value]] = i
    held = (*graph.inputs, *graph.outputs)
    return ends | {blocks[value]: len(nodes) for value in held if value in blocks}


def _overwritten(node: ir.Node, ending: Sequence[ir.Value], blocks: Blocks) -> int:
    """Bytes of an input that a node's result may be written over."""
    result = node.outputs[0]
    if node.op_type not in IN_PLACE or blocks.get(result) is not result:
        return 0
    read = {blocks[value] for value in node.inputs if value in blocks}
    fits = any(_size(block) == _size(result) for block in read.intersection(ending))
    return _size(result) if fits else 0


def _size(value: ir.Value) -> int:
    if value.shape is None or not value.shape.is_static() or value.dtype is None:
        raise ValueError(f"The shape or type of {value} is not known.")
    return math.prod(value.shape.numpy()) * math.ceil(value.dtype.itemsize)
