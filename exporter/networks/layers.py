"""Measures the channels, stride and receptive field of a network's layers.

Measuring works for any module, whatever its ``forward`` does between its submodules; the modules'
attributes would not tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nstbatch.runtime.bundles.bundle import Layer
from nstbatch.runtime.errors import UsageError

# Image widths to try, in pixels, narrow to be quick: AlexNet's three strided poolings need 63. The
# second is a guess, for a network that needs more.
WIDTHS = (64, 256)

# First and last image height to try, in pixels. A layer that sees all of the last counts as seeing
# the whole image. The largest receptive field of the backbones known by name is ResNet-18's, 435.
FIRST_HEIGHT, LAST_HEIGHT = 256, 2048

# A stride is the difference of two image heights divided by that of the layer's rows. The strides
# of common networks divide 960 = 2^6 * 3 * 5; others are rounded, correctly below sqrt(480).
TALLER = FIRST_HEIGHT + 960


def activations(network: nn.Module, paths: Collection[str], image: Tensor) -> dict[str, Tensor]:
    """Run the network and return the outputs of the submodules at these dotted paths.

    They come in the order of execution. If a submodule runs several times, its last output counts.
    A submodule is left out if it does not run, returns no tensor, or if a later one overwrites its
    output in place.

    Raises:
        UsageError: The network fails on an image of this size.
    """
    caught: dict[str, tuple[Tensor, int]] = {}

    def catch(path: str) -> Callable[[nn.Module, Any, object], None]:
        def hook(module: nn.Module, inputs: Any, output: object) -> None:
            caught.pop(path, None)
            if isinstance(output, Tensor):
                caught[path] = output, output._version

        return hook

    with ExitStack() as stack, torch.no_grad():
        for path in paths:
            handle = network.get_submodule(path).register_forward_hook(catch(path))
            stack.callback(handle.remove)
        try:
            network(image)
        except Exception as error:  # the user's module may raise anything
            raise UsageError(
                f"The network fails on images of shape {tuple(image.shape)}: {error}"
            ) from error
    return {p: output for p, (output, version) in caught.items() if output._version == version}


def measure(network: nn.Module, layers: Mapping[str, str]) -> tuple[Layer, ...]:
    """Channels, stride and receptive field of every layer, in the order of ``layers``.

    Only heights are measured; receptive fields are assumed to be square.

    Args:
        network: Image (N, 3, H, W) -> anything, in eval mode; it is not changed.
        layers: Layer name -> dotted path of the submodule whose output it is.

    Raises:
        UsageError: The network does not accept every image size, or a layer is not
            (N, C, H, W) or (N, C).
    """
    width = _narrowest(network)
    low = _shapes(network, layers, (FIRST_HEIGHT, width))
    high = _shapes(network, layers, (TALLER, width))
    steps = {name: _step(low[name], high[name]) for name in layers}
    spatial = {name: step for name, step in steps.items() if step is not None}
    fields = _receptive_fields(network, layers, spatial, width)
    return tuple(
        Layer(
            name,
            channels=low[name][1],
            stride=math.ceil(spatial[name]) if name in spatial else None,
            receptive_field=fields.get(name),
        )
        for name in layers
    )


def _narrowest(network: nn.Module) -> int:
    """The first of WIDTHS at which the network runs."""
    for width in WIDTHS[:-1]:
        try:
            activations(network, (), torch.zeros(1, 3, FIRST_HEIGHT, width))
        except UsageError:
            continue
        return width
    return WIDTHS[-1]


def _shapes(
    network: nn.Module, layers: Mapping[str, str], size: tuple[int, int]
) -> dict[str, torch.Size]:
    image = torch.zeros(1, 3, *size)
    with _CheapConvolutions():
        outputs = activations(network, set(layers.values()), image)
    for name, path in layers.items():
        if path not in outputs:
            raise UsageError(
                f"{name!r} is no layer: it does not run, gives no tensor, or is overwritten."
            )
        if outputs[path].ndim not in (2, 4):
            shape = tuple(outputs[path].shape)
            raise UsageError(f"{name!r} is of shape {shape}; expected (N, C, H, W) or (N, C).")
    return {name: outputs[path].shape for name, path in layers.items()}


def _step(low: torch.Size, high: torch.Size) -> float | None:
    """Image rows per row of a layer, from its shapes at two heights; None without rows."""
    if len(low) != 4 or high[2] == low[2]:
        return None
    step = (TALLER - FIRST_HEIGHT) / (high[2] - low[2])
    return float(round(step)) if step > 1 else step


# --- Receptive fields -------------------------------------------------------------------------
#
# A NaN spreads to every value that its pixel influences, and no weight stops it. So all image rows
# outside a window [top, bottom) are NaN, and those rows of a layer that stay numbers see nothing
# outside the window. With the stride s, row r of the layer sees the image rows s r + first to
# s r + last. The first clean row gives first >= top - s r, the last clean row gives
# last <= bottom - 1 - s r. Over s windows, each one row lower than the one before, both become
# equalities once.


def _receptive_fields(
    network: nn.Module, layers: Mapping[str, str], steps: Mapping[str, float], width: int
) -> dict[str, int]:
    """Receptive field of each layer in ``steps``, in pixels; without layers that see everything."""
    fields: dict[str, int] = {}
    height = FIRST_HEIGHT
    while height <= LAST_HEIGHT and len(fields) < len(steps):
        rest = {name: step for name, step in steps.items() if name not in fields}
        windows = _windows(height, math.ceil(max(rest.values())))
        images = _windowed(windows, (height, width))
        clean = _clean_rows(network, {name: layers[name] for name in rest}, images)
        for name, rows in clean.items():
            if None not in rows:
                fields[name] = _side([row for row in rows if row], windows, rest[name])
        height *= 2
    return fields


def _windows(height: int, count: int) -> list[tuple[int, int]]:
    """Make ``count`` windows [top, bottom) of one size.

    The margins around them are an eighth of the image, a guess, so that a dilated filter which
    starts in the padding cannot step over the NaN there.
    """
    margin = height // 8
    size = height - 2 * margin - count
    return [(top, top + size) for top in range(margin, margin + count)]


def _side(clean: Sequence[tuple[int, int]], windows: Sequence[tuple[int, int]], step: float) -> int:
    pairs = list(zip(clean, windows, strict=True))
    first = max(top - step * row for (row, _), (top, _) in pairs)
    last = min(bottom - 1 - step * row for (_, row), (_, bottom) in pairs)
    return math.ceil(last - first + 1)


def _windowed(windows: Sequence[tuple[int, int]], size: tuple[int, int]) -> Tensor:
    """Images (N, 3, height, width), 0 in their window and NaN elsewhere."""
    images = torch.full((len(windows), 3, *size), torch.nan)
    for image, (top, bottom) in zip(images, windows, strict=True):
        image[:, top:bottom] = 0
    return images


def _clean_rows(
    network: nn.Module, layers: Mapping[str, str], images: Tensor
) -> dict[str, list[tuple[int, int] | None]]:
    """For every image, the first and last row of each layer that are free of NaN."""
    clean: dict[str, list[tuple[int, int] | None]] = {name: [] for name in layers}
    for batch in torch.split(
        images, LAST_HEIGHT // images.shape[2]
    ):  # the same memory at all heights
        with _CheapConvolutions():
            outputs = activations(network, set(layers.values()), batch)
        for name, path in layers.items():
            clean[name] += [_first_and_last(output) for output in outputs[path]]
    return clean


def _first_and_last(activation: Tensor) -> tuple[int, int] | None:
    """First and last row without NaN of an activation (C, H, W); None if there is none."""
    rows = (~activation.isnan().any(dim=2).any(dim=0)).nonzero().flatten().tolist()
    return (rows[0], rows[-1]) if rows else None


class _CheapConvolutions(TorchFunctionMode):
    """Replaces convolutions by a cheap test of which positions they reach.

    The outputs are 1 or NaN, the same in all channels, at the cost of a single channel.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.conv2d:
            return _reach(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _reach(
    input: Tensor,  # noqa: A002  # torch.conv2d's names
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    # Float64, for which oneDNN uses the plain algorithm. In float32 it may compute in tiles
    # (Winograd), where a NaN spreads to its neighbours.
    total = input.sum(1, keepdim=True, dtype=torch.float64)
    window = torch.ones(1, 1, *weight.shape[2:], dtype=torch.float64)
    reached = torch.conv2d(total, window, None, stride, padding, dilation).to(input.dtype)
    # 1 instead of the sum: it does not overflow at any depth, and suits a ReLU or a log.
    return (reached * 0 + 1).expand(-1, len(weight), -1, -1).contiguous()
