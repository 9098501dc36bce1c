"""The scale that brings a network's activations into the range of float16.

No bundle says how large they get, so the network runs once, in float32 on the processor, on extreme
pictures of one small size, and the largest value of any node counts. That value depends little on
the size: for VGG16 it was 299 at 64 pixels and 339 at 256, for SqueezeNet, whose pixels go to 255,
7940 at both.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_ir as ir

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.gpu_graphs.half_precision import reached_from
from nstbatch.runtime.graphs.smallest_side import smallest_side
from nstbatch.runtime.names import IMAGE

from .open_session import open_session

LARGEST_HALF = float(np.finfo(np.float16).max)
# An optimiser may find larger activations than the extreme pictures give. A guess.
MARGIN = 32.0
SIDE = 64
LARGEST = "largest"
# Operators whose results may be larger than their inputs.
LARGE = frozenset({"Add", "BatchNormalization", "Conv", "Gemm", "MatMul", "Mul", "Sub"})


def activation_scale(bundle: Bundle, pooling: Pooling, threads: int | None = None) -> float:
    """Return the factor of a network's activations in float16: a power of two, at most 1.

    Args:
        bundle: The network.
        pooling: Pooling variant of the network.
        threads: Number of threads; None for all cores of this process.

    Raises:
        UnknownNameError: The bundle was not exported with this pooling.
    """
    forward = bundle.read_graph("forward", pooling)
    side = max(SIDE, smallest_side(forward, bundle.layer_names))
    pictures = extreme_pictures(side)
    session = open_session(
        with_largest(forward),
        {IMAGE: pictures.shape},
        Provider("cpu", "fp32"),
        weights_folder=bundle.path,
        threads=threads,
    )
    return scale_for(float(session.run({IMAGE: pictures})[LARGEST]))


def scale_for(largest: float) -> float:
    """Return the largest power of two, at most 1, that fits a value into float16 with a margin."""
    return min(1.0, 2.0 ** math.floor(math.log2(LARGEST_HALF / MARGIN / max(largest, 1.0))))


def extreme_pictures(side: int) -> Array:
    """Make pictures that give large activations, (N, 3, side, side), RGB in [0, 1].

    White, black, the six saturated colours, noise, and coloured blocks, whose edges in all three
    channels gave the largest ones on every network that was tried.
    """
    random = np.random.default_rng(0)
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3, 1, 1)
    down, right = np.mgrid[:side, :side] // 8
    blocks = np.stack([(down + right) % 2, right % 2, down % 2])
    noise = random.integers(0, 2, (3, side, side))
    flat = np.broadcast_to(corners, (len(corners), 3, side, side))
    return np.concatenate([flat, blocks[None], noise[None]]).astype(np.float32)


def with_largest(forward_graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph with one output, (): the largest absolute value of any node of another."""
    model = ir.from_proto(forward_graph)
    graph = model.graph
    reached = reached_from(graph.inputs, graph)
    maxima = []
    for node in list(graph):
        if node.op_type in LARGE and node.outputs[0] in reached:
            absolute = ir.node("Abs", [node.outputs[0]])
            maximum = ir.node("ReduceMax", absolute.outputs, {"keepdims": 0})
            graph.extend((absolute, maximum))
            maxima.append(maximum.outputs[0])
    largest = ir.node("Max", maxima)
    graph.append(largest)
    value = largest.outputs[0]
    value.name, value.dtype, value.shape = LARGEST, ir.DataType.FLOAT, ir.Shape([])
    graph.outputs[:] = [value]
    return ir.to_proto(model)
