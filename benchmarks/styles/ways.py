"""The ways to paint that are compared: every preset, style loss and method, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from nstbatch.runtime.checks import STYLE_LOSS_NAMES
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.nearest_neighbor_presets import PRESETS as OF_NEIGHBORS
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.style.style_transfer_presets import PRESET_NAMES

Options: TypeAlias = StyleTransferOptions | NearestNeighborOptions

REFERENCE = "preset default"
"""The way whose speed all others are compared with."""


@dataclass(frozen=True)
class Way:
    """A way to paint: a name for the table, and the options."""

    name: str
    options: Options


def ways(size: int) -> tuple[Way, ...]:
    """Return all ways, each with its own settings but the size: the long side, in pixels."""
    return tuple(_ways(size))


def _ways(size: int) -> Iterator[Way]:
    for preset in PRESET_NAMES:
        yield Way(f"preset {preset}", StyleTransferOptions.preset(preset, size=size))
    for loss in STYLE_LOSS_NAMES:
        if loss != StyleTransferOptions.style_loss:  # that of the preset default
            yield Way(f"style-loss {loss}", StyleTransferOptions(size=size, style_loss=loss))
    for preset in OF_NEIGHBORS:
        yield Way(f"nnst {preset}", NearestNeighborOptions.preset(preset, size=size))
