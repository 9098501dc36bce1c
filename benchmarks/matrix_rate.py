"""What a device reaches in matrix products alone: the measure that a step is held against.

A large MatMul and a large 3x3 convolution run through the same provider, in the same precision and
with as many threads as the step. The faster of the two is the rate. They are no larger than needed
to take :data:`LONG_ENOUGH`, so that a slow device does not wait for what a fast one needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

    from nstbatch.runtime.providers import Provider

# Seconds. A guess: long beside what starting a run costs, short beside a step.
LONG_ENOUGH = 0.05

# Sides of the matrices, and of the maps of 256 channels that are convolved with 256 3x3 filters,
# as in the middle of VGG.
MATRIX_SIDES = (512, 1024, 2048, 4096, 8192)
MAP_SIDES = (16, 32, 64, 128, 256)
CHANNELS = 256
KERNEL = 3


@dataclass(frozen=True)
class Product:
    """A large product, ready to run."""

    operations: int
    """Floating-point, two for each multiplication and addition."""
    run: Callable[[], object]
    """Returns when the product is complete."""


def matrix_operations(side: int) -> int:
    """Of a product of two square matrices."""
    return 2 * side**3


def convolution_operations(side: int) -> int:
    """Of a convolution of a square map, padded to keep its size."""
    return 2 * (CHANNELS * KERNEL * side) ** 2


def measured_rate(
    products: Iterable[Product], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Run each once; floating-point operations a second of the fastest, 0 for none."""
    return max((product.operations / _seconds(product, clock) for product in products), default=0.0)


def long_enough(
    open_product: Callable[[int], Product],
    sides: Sequence[int],
    clock: Callable[[], float] = time.perf_counter,
) -> Product:
    """The first product, from the smallest side on, that takes long enough; else the last."""
    for side in sides:
        product = open_product(side)
        product.run()  # the first run may set things up
        if _seconds(product, clock) >= LONG_ENOUGH:
            break
    return product


def _seconds(product: Product, clock: Callable[[], float]) -> float:
    start = clock()
    product.run()
    return clock() - start


# --- Through ONNX Runtime ---------------------------------------------------------------------


def onnx_products(provider: Provider, threads: int) -> tuple[Product, ...]:
    """The two products on a provider."""

    def matrix(side: int) -> Product:
        model = _model("MatMul", (side, side), (side, side))
        return _product(model, (side, side), matrix_operations(side), provider, threads)

    def convolution(side: int) -> Product:
        shape = (1, CHANNELS, side, side)
        model = _model("Conv", shape, (CHANNELS, CHANNELS, KERNEL, KERNEL), pads=[1, 1, 1, 1])
        return _product(model, shape, convolution_operations(side), provider, threads)

    return long_enough(matrix, MATRIX_SIDES), long_enough(convolution, MAP_SIDES)


def _model(
    operator: str, shape: tuple[int, ...], weights: tuple[int, ...], **attributes: Any
) -> onnx.ModelProto:
    """One operator with constant weights, which a provider may pack as it does a network's."""
    from onnx import TensorProto, helper, numpy_helper

    values = np.random.default_rng(0).standard_normal(weights, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node(operator, ["values", "weights"], ["product"], **attributes)],
        "product",
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(values, "weights")],
    )
    # As the exported graphs: the oldest supported runtime reads both.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _product(
    model: onnx.ModelProto,
    shape: tuple[int, ...],
    operations: int,
    provider: Provider,
    threads: int,
) -> Product:
    from nstbatch.runtime.session import Session

    session = Session(model, {"values": shape}, provider, threads=threads)
    values = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    run = session.bind(
        {"values": session.buffer(values)}, {"product": session.buffer(np.zeros(shape))}
    )
    return Product(operations, run)
