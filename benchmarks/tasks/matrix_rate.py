"""Measures the rate of a device in matrix products alone, to compare a step with.

The candidates are a large MatMul and chains of large 3x3 convolutions, on the same provider, in the
same precision and with as many threads as the step. The fastest of them counts. Chains are used
because a provider with its own layout of maps changes to it at the first convolution and back at
the last, as in a network. A product is only large enough to take :data:`LONG_ENOUGH`, so that a
slow device does not spend the time that a fast one needs.

An implementation with fewer multiplications than the formula (Winograd) counts as the formula, here
as in a step, so the rate may be above the limit of the device's arithmetic units.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nstbatch.runtime.arrays import Array

if TYPE_CHECKING:
    import onnx

    from nstbatch.runtime.devices.providers import Provider


VALUES, PRODUCT = "values", "product"

# Seconds. A guess: long compared with the start of a run, short compared with a step.
LONG_ENOUGH = 0.05

# Sides of the matrices, and of the convolved maps. These and the numbers below are guesses.
MATRIX_SIDES = (512, 1024, 2048, 4096, 8192)
MAP_SIDES = (16, 32, 64, 128, 256)
# Channels of the maps, as in the middle of VGG, and the number of convolutions in a chain.
CHANNELS = (128, 256, 512)
CHAIN = 4
KERNEL = 3

# Timed runs, of which the fastest counts, after an untimed one that fills the caches. A guess.
ATTEMPTS = 3


@dataclass(frozen=True)
class Product:
    """A large product, ready to run."""

    operations: int
    """Floating-point operations, two for a multiplication and its addition."""
    run: Callable[[], object]
    """Returns when the product is complete."""


def matrix_operations(side: int) -> int:
    """Number of operations in a product of two square matrices."""
    return 2 * side**3


def chain_operations(channels: int, side: int) -> int:
    """Number of operations in a chain of convolutions of a square map, padded to keep its size."""
    return CHAIN * 2 * (channels * KERNEL * side) ** 2


def chain_weights(channels: int) -> Iterator[Array]:
    """The filters of a chain, each (channels, channels, 3, 3); they keep the size of the values."""
    random = np.random.default_rng(0)
    scale = np.float32(1 / (KERNEL * math.sqrt(channels)))
    for _ in range(CHAIN):
        shape = (channels, channels, KERNEL, KERNEL)
        yield scale * random.standard_normal(shape, dtype=np.float32)


def measured_rate(
    products: Iterable[Product], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Floating-point operations per second of the fastest product; 0 without products."""
    return max((_rate(product, clock) for product in products), default=0.0)


def fastest(
    products: Iterable[Product], clock: Callable[[], float] = time.perf_counter
) -> tuple[Product, ...]:
    """Only the product with the highest rate; empty without products."""
    best = max(products, key=lambda product: _rate(product, clock), default=None)
    return () if best is None else (best,)


def long_enough(
    open_product: Callable[[int], Product],
    sides: Sequence[int],
    clock: Callable[[], float] = time.perf_counter,
) -> Product:
    """The first product, from the smallest side on, that takes long enough; otherwise the last."""
    for side in sides:
        product = open_product(side)
        product.run()  # the first run may do setup work
        if _seconds(product, clock) >= LONG_ENOUGH:
            break
    return product


def _rate(product: Product, clock: Callable[[], float]) -> float:
    product.run()
    return product.operations / min(_seconds(product, clock) for _ in range(ATTEMPTS))


def _seconds(product: Product, clock: Callable[[], float]) -> float:
    start = clock()
    product.run()
    return clock() - start


# --- Through ONNX Runtime ---------------------------------------------------------------------


def onnx_products(provider: Provider, threads: int) -> tuple[Product, ...]:
    """The candidate products on a provider."""
    from nstbatch.runtime.engine.open_session import open_session

    def product(model: onnx.ModelProto, shape: tuple[int, ...], operations: int) -> Product:
        session = open_session(model, {VALUES: shape}, provider, threads=threads)
        values = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
        run = session.bind(
            {VALUES: session.buffer(values)}, {PRODUCT: session.buffer(np.zeros(shape))}
        )
        return Product(operations, run)

    def matrix(side: int) -> Product:
        weights = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
        shape = (side, side)
        return product(_model("MatMul", shape, [weights]), shape, matrix_operations(side))

    def chain(channels: int, side: int) -> Product:
        shape = (1, channels, side, side)
        model = _model("Conv", shape, chain_weights(channels), pads=[KERNEL // 2] * 4)
        return product(model, shape, chain_operations(channels, side))

    chains = [functools.partial(chain, channels) for channels in CHANNELS]
    return (
        long_enough(matrix, MATRIX_SIDES),
        *(long_enough(open_chain, MAP_SIDES) for open_chain in chains),
    )


def _model(
    operator: str, shape: tuple[int, ...], weights: Iterable[Array], **attributes: Any
) -> onnx.ModelProto:
    """A chain of one operator that keeps the shape.

    The weights are constants, so that a provider may pack them, as it does a network's.
    """
    from onnx import TensorProto, helper, numpy_helper

    held = [numpy_helper.from_array(values, f"weights{i}") for i, values in enumerate(weights)]
    names = [VALUES, *(f"values{i}" for i in range(1, len(held))), PRODUCT]
    nodes = [
        helper.make_node(operator, [before, tensor.name], [after], **attributes)
        for (before, after), tensor in zip(pairwise(names), held, strict=True)
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info(VALUES, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(PRODUCT, TensorProto.FLOAT, shape)],
        held,
    )
    # The versions of the exported graphs, which the oldest supported runtime reads.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
