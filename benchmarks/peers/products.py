"""Matrix products in PyTorch; see :mod:`nstbatch.benchmarks.tasks.matrix_rate`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nstbatch.benchmarks.tasks.matrix_rate import (
    CHANNELS,
    KERNEL,
    MAP_SIDES,
    MATRIX_SIDES,
    Product,
    chain_operations,
    chain_weights,
    long_enough,
    matrix_operations,
)


def torch_products(
    dtype: torch.dtype, device: str, wait: Callable[[], None]
) -> tuple[Product, ...]:
    """The candidate products in PyTorch; convolutions with channels first and channels last.

    Args:
        dtype: Type of all values.
        device: "cpu" or "cuda".
        wait: Waits until the device has finished.
    """

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, device=device).to(dtype)

    def product(operations: int, function: Callable[[], Tensor]) -> Product:
        @torch.no_grad()
        def run() -> None:
            function()
            wait()

        return Product(operations, run)

    def matrix(side: int) -> Product:
        left, right = random(side, side), random(side, side)
        return product(matrix_operations(side), lambda: left @ right)

    def chain(channels: int, layout: torch.memory_format, side: int) -> Product:
        network = _chain(channels, layout).to(device, dtype)
        values = random(1, channels, side, side).to(memory_format=layout)
        return product(chain_operations(channels, side), lambda: network(values))

    chains = [
        functools.partial(chain, channels, layout)
        for channels in CHANNELS
        for layout in (torch.contiguous_format, torch.channels_last)
    ]
    return (
        long_enough(matrix, MATRIX_SIDES),
        *(long_enough(open_chain, MAP_SIDES) for open_chain in chains),
    )


def _chain(channels: int, layout: torch.memory_format) -> nn.Sequential:
    network = nn.Sequential()
    for weights in chain_weights(channels):
        convolution = nn.Conv2d(channels, channels, KERNEL, padding=KERNEL // 2, bias=False)
        convolution.weight = nn.Parameter(torch.from_numpy(weights).to(memory_format=layout))
        network.append(convolution)
    return network
