"""Counts the bytes that a pass of a graph moves, from the graph that ONNX Runtime has optimised."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx.shape_inference import infer_shapes
from onnx_ir.tape import Tape

# Views of the same memory.
FREE = frozenset({"Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten", "Constant"})
# Their time is that of arithmetic, so what they read and write does not count.
PRODUCTS = frozenset({"Conv", "ConvTranspose", "FusedConv", "FusedMatMul", "Gemm", "MatMul"})

# ONNX Runtime's operators with the channels last, and the orders of axes to and from the usual.
CHANNELS_LAST = "com.ms.internal.nhwc"
TO_USUAL, FROM_USUAL = (0, 3, 1, 2), (0, 2, 3, 1)


def moved_by_operator(path: Path) -> dict[str, tuple[int, int]]:
    """Return the number of nodes, and the bytes that they read and write, by operator and type.

    Products move none: their time is that of arithmetic. But with the channels first, the bias of a
    convolution is added to its result by a pass of its own, which counts.

    Args:
        path: A model of static inputs, as ONNX Runtime has optimised it for CUDA.
    """
    found = dict[str, tuple[int, int]]()
    for node, sizes in _sized(onnx.load(path, load_external_data=False)):
        if node.op_type not in FREE:
            kind = node.outputs[0].dtype
            name = f"{node.op_type} {kind.name if kind else ''}"
            count, before = found.get(name, (0, 0))
            found[name] = (count + 1, before + _moved(node, sizes))
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def moved_bytes(path: Path) -> int:
    """Return the bytes that all operators of a model move together."""
    return sum(size for _, size in moved_by_operator(path).values())


def _sized(model: onnx.ModelProto) -> Iterator[tuple[ir.Node, list[int]]]:
    """Every node, with the bytes of its inputs and then of its outputs."""
    inferred = ir.from_proto(infer_shapes(ir.to_proto(_usual(ir.from_proto(model)))))
    known = {value.name: value for value in _values(inferred.graph)}
    for node in ir.from_proto(model).graph:
        values = [value and known[value.name] for value in (*node.inputs, *node.outputs)]
        node.outputs[0].dtype = known[node.outputs[0].name].dtype
        yield node, [_size(value) for value in values]


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    yield from (value for node in graph for value in node.outputs)


def _usual(model: ir.Model) -> ir.Model:
    """The model in ONNX's own operators, so that the shapes of all values can be inferred."""
    for node in list(model.graph):
        if node.domain == CHANNELS_LAST:
            _surround(model.graph, node)
        elif node.op_type == "FusedMatMul":
            _part(model.graph, node)
    return model


def _surround(graph: ir.Graph, node: ir.Node) -> None:
    """Make a node compute in the usual order of axes, between two transpositions."""
    before = ir.node("Transpose", node.inputs[:1], {"perm": TO_USUAL})
    after = ir.node("Transpose", node.outputs, {"perm": FROM_USUAL})
    graph.insert_before(node, before)
    graph.insert_after(node, after)
    node.replace_input_with(0, before.outputs[0])
    node.domain = ""
    _rename(node.outputs[0], after.outputs[0])
    after.replace_input_with(0, node.outputs[0])  # it, too, was renamed


def _part(graph: ir.Graph, node: ir.Node) -> None:
    """Write a product of transposed operands as ONNX has it."""
    tape = Tape()
    operands = []
    for value, name in zip(node.inputs, ("transA", "transB"), strict=True):
        attribute = node.attributes.get(name)
        if attribute is not None and attribute.as_int():
            axes = [*range(_rank(value))]
            axes[-2:] = axes[:-3:-1]
            value = tape.op("Transpose", [value], {"perm": axes})
        operands.append(value)
    product = tape.op("MatMul", operands)
    graph.insert_before(node, tape.nodes)
    _rename(node.outputs[0], product)
    graph.remove(node, safe=True)


def _rename(old: ir.Value, new: ir.Value) -> None:
    """Put a value in the place of another, under its name."""
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    old.name, new.name = f"{old.name}/before", old.name


def _rank(value: ir.Value | None) -> int:
    # Of our graphs only those of one picture or more multiply transposed matrices: (N, rows, K).
    return 3 if value is None or value.shape is None else len(value.shape)


def _moved(node: ir.Node, sizes: list[int]) -> int:
    if node.op_type == "Gather":
        return 2 * sizes[-1]
    if node.op_type == "ScatterND":  # in place, as L-BFGS keeps its pairs
        return 2 * sizes[2]
    if node.op_type not in PRODUCTS:
        return sum(sizes)
    is_biased = node.op_type == "Conv" and len(node.inputs) > 2 and node.inputs[2] is not None
    return 2 * sizes[-1] if is_biased and node.domain != CHANNELS_LAST else 0


def _size(value: ir.Value | None) -> int:
    if value is None:
        return 0
    assert value.shape is not None, value.name
    assert value.dtype is not None, value.name
    return int(math.prod(value.shape.numpy()) * value.dtype.itemsize)
