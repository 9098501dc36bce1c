"""Counts the memory of a graph's activations from the graph alone, without running it.

A value is live from the node that computes it to the last node that reads it. The count is the
largest sum of the bytes of all values that are live at the same time, with these rules:

* Weights, and values that depend on them alone, do not count: a session holds them once, whatever
  the size of the pictures.
* Inputs and outputs are live throughout: their buffers belong to the caller.
* An operator that only renames or reshapes a value (:data:`ALIASES`) takes no memory. An
  element-wise one (:data:`IN_PLACE`) overwrites an input that no later node reads, as ONNX
  Runtime's planner does.

A provider may need more memory, for scratch and its own layouts, or less, if it fuses operators or
computes in half precision. So the count is good for comparing graphs and choosing a batch size; it
is no guarantee.
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
"""Every value that is not constant -> the value whose memory holds it."""


def bytes_of(model: onnx.ModelProto) -> int:
    """Peak bytes of the activations that are live at the same time while a graph runs.

    Args:
        model: A graph of static shapes in topological order, such as
            :func:`.specialise.specialise` returns.

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
        if read:  # otherwise it depends on weights alone
            blocks |= {value: value for value in node.outputs}
            if node.op_type in ALIASES and node.inputs[0] in blocks:
                blocks[node.outputs[0]] = blocks[read[0]]
    return blocks


def _ends(graph: ir.Graph, nodes: Sequence[ir.Node], blocks: Blocks) -> dict[ir.Value, int]:
    """Block -> index of the last node that computes or reads it."""
    ends = {}
    for i, node in enumerate(nodes):
        for value in (*node.inputs, *node.outputs):
            if value in blocks:
                ends[blocks[value]] = i
    held = (*graph.inputs, *graph.outputs)
    return ends | {blocks[value]: len(nodes) for value in held if value in blocks}


def _overwritten(node: ir.Node, ending: Sequence[ir.Value], blocks: Blocks) -> int:
    """Bytes that a node saves if its result overwrites one of its inputs; 0 if it cannot."""
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
