"""Tries OpenVINO on this machine, in a process of its own: ``python -m`` with this module's name.

OpenVINO has crashed on some processors (openvinotoolkit/openvino#35943) and multiplied wrongly in
bf16 on others (#38256). So a convolution and a product in each precision are compared with NumPy's,
and the gradient of a network in bf16 with that in fp32. If all is well, the process prints the
fastest precision and ends with exit code 0; else it prints the reason, as the end of a sentence.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.devices.openvino import core, openvino, properties
from nstbatch.runtime.devices.processor import available_cores
from nstbatch.runtime.devices.providers import Provider, check
from nstbatch.runtime.names import COTANGENT, GRADIENT, IMAGE

from .openvino_session import OpenVinoSession
from .ready_graph import ReadyGraph

MODEL = "vgg16"
LAYER = "relu4_1"
SIDE = 64

# Largest relative errors (Frobenius). A sum of random products in bf16 is off by its unit roundoff,
# 2^-8, and a gradient through ten layers by more: 0.002 and 0.09 were measured on a Zen 5.
TOLERANCE = {"fp32": 1e-4, "bf16": 2**-6}
GRADIENT_TOLERANCE = 0.25

# Turns in which the precisions are timed: 2 to 4 ms each, on two cores. The fastest turn counts.
TURNS = 9


def reason() -> str | None:
    """Return the reason why OpenVINO should not be used here; None if all is well."""
    precisions = check("openvino").precisions
    random = np.random.default_rng(0)
    for precision in precisions:
        for name, (found, expected) in {
            "product": product(random, precision),
            "convolution": convolution(random, precision),
        }.items():
            error = relative_error(found, expected)
            if not error <= TOLERANCE[precision]:  # also if it is not a number
                return f"its {name} in {precision} is wrong (relative error {error:.2g})"
    if "bf16" not in precisions:
        return None
    with ThreadPoolExecutor(2) as pool:  # most of the time is that of two compilations
        error = relative_error(*pool.map(gradient, ("bf16", "fp32")))
    if not error <= GRADIENT_TOLERANCE:
        return f"its gradient in bf16 is not that in fp32 (relative error {error:.2g})"
    return None


def relative_error(found: Array, expected: Array) -> float:
    """Return the norm of the difference, relative to the norm of what is expected."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def product(random: np.random.Generator, precision: str) -> tuple[Array, Array]:
    """Return a product of two matrices, by OpenVINO and by NumPy."""
    ops = openvino().opset13
    left, right = (random.standard_normal((256, 256), dtype=np.float32) for _ in range(2))
    value = ops.parameter(left.shape, np.float32)
    return _output(ops.matmul(value, right, False, True), value, left, precision), left @ right.T


def convolution(random: np.random.Generator, precision: str) -> tuple[Array, Array]:
    """Return a convolution of 3x3, (1, 64, 16, 16), by OpenVINO and by NumPy."""
    ops = openvino().opset13
    maps = random.standard_normal((1, 64, 18, 18), dtype=np.float32)
    weights = random.standard_normal((64, 64, 3, 3), dtype=np.float32)
    value = ops.parameter(maps.shape, np.float32)
    convolved = ops.convolution(value, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    windows = np.lib.stride_tricks.sliding_window_view(maps, (3, 3), (2, 3))
    expected = np.einsum("ncyxij,kcij->nkyx", windows, weights, optimize=True)
    return _output(convolved, value, maps, precision), expected


def fastest() -> str:
    """Return the precision in which a convolution of VGG16's kind takes the least time."""
    ops, random = openvino().opset13, np.random.default_rng(0)
    maps = random.standard_normal((1, 128, 32, 32), dtype=np.float32)
    weights = random.standard_normal((128, 128, 3, 3), dtype=np.float32)
    compiled = {}
    for precision in check("openvino").precisions:
        value = ops.parameter(maps.shape, np.float32)
        convolved = ops.convolution(value, weights, [1, 1], [1, 1], [1, 1], [1, 1])
        compiled[precision] = _compiled(convolved, value, precision)
    turns = [
        {precision: _seconds(model, maps) for precision, model in compiled.items()}
        for _ in range(1 + TURNS)
    ]
    # The first turn prepares memory.
    return min(compiled, key=lambda precision: min(turn[precision] for turn in turns[1:]))


def _seconds(compiled: Any, values: Array) -> float:
    started = time.perf_counter()
    compiled([values])
    return time.perf_counter() - started


def _output(node: Any, parameter: Any, values: Array, precision: str) -> Array:
    found: Array = _compiled(node, parameter, precision)([values])[0]
    return found


def _compiled(node: Any, parameter: Any, precision: str) -> Any:
    model = openvino().Model([node], [parameter])
    return core().compile_model(model, "CPU", properties(precision, available_cores()))


def gradient(precision: str) -> Array:
    """Return the gradient, (1, 3, H, W), of half the squared activations of a layer."""
    bundle = Bundle.load(MODEL)
    graph = bundle.read_graph("gradient", "avg")
    image = np.random.default_rng(1).random((1, 3, SIDE, SIDE), dtype=np.float32)
    shapes = {IMAGE: image.shape}
    for layer in bundle.layers:
        side = SIDE // (layer.stride or SIDE)
        shapes[COTANGENT + layer.name] = (1, layer.channels, side, side)
    session = OpenVinoSession(
        ReadyGraph(graph, shapes, Provider("openvino", precision), bundle.path)
    )
    inputs = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()} | {IMAGE: image}
    inputs[COTANGENT + LAYER] = session.run(inputs)[LAYER]
    return session.run(inputs)[GRADIENT]


if __name__ == "__main__":
    found = reason()
    print(fastest() if found is None else found, end="")
    sys.exit(0 if found is None else 1)
