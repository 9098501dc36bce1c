"""How many pictures of one size fit into a device's memory at once.

Counted, not measured: what a step holds is the activations that are still to be read, and that
follows from the graph. A provider also wants memory to compute in, and leaves gaps; both are in
:data:`OVERHEAD`. **The estimate has not been held against a GPU yet.**
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx
import onnx_ir as ir

# Of what is counted: cuDNN's workspaces and the arena's gaps. A guess.
OVERHEAD = 1.5


def activation_bytes(graph: onnx.ModelProto) -> int:
    """The most that the values of a graph take at any one time, if nodes run in its order.

    Weights and other constants are left out: they do not grow with a batch. Inputs and outputs
    count from the beginning to the end.

    Args:
        graph: With static shapes, as :func:`.specialise.specialise` leaves it.
    """
    model = ir.from_proto(graph).graph
    varying = set(model.inputs)
    for node in model:
        if not varying.isdisjoint(node.inputs):
            varying.update(node.outputs)
    nodes = [node for node in model if not varying.isdisjoint(node.outputs)]
    always = varying & {*model.inputs, *model.outputs}
    last = {value: index for index, node in enumerate(nodes) for value in node.inputs}
    held = most = 0
    for index, node in enumerate(nodes):
        held += _bytes(set(node.outputs) - always)
        most = max(most, held)
        done = {value for value in (*node.inputs, *node.outputs) if last.get(value, index) == index}
        held -= _bytes(done & varying - always)
    return _bytes(always) + most


def largest_batch(bytes_of_one: int, free_bytes: int, most: int) -> int:
    """How many pictures a batch may have: at least 1, at most ``most``.

    Args:
        bytes_of_one: What one picture takes, of :func:`activation_bytes`.
        free_bytes: What the device has left, weights already there.
        most: Where a larger batch gains nothing more.
    """
    return max(1, min(most, math.floor(free_bytes / (OVERHEAD * max(bytes_of_one, 1)))))


def _bytes(values: Iterable[ir.Value | None]) -> int:
    return sum(
        math.ceil(math.prod(value.shape.numpy()) * value.dtype.itemsize)
        for value in values
        if value is not None and value.shape is not None and value.dtype is not None
    )
