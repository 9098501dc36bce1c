"""Lets commands and programs of the documents run as they stand, but small and on the CPU.

Options are given and checked as they are written; then sizes, steps and layers are cut down to the
limits below. As a program this file is `nstbatch`, for blocks that need a shell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

from nstbatch.benchmarks.options import BenchOptions, Entry
from nstbatch.runtime.bundles.manifest import Layer
from nstbatch.runtime.deconvnet.deconvnet_options import DeconvnetOptions
from nstbatch.runtime.devices import providers
from nstbatch.runtime.filling.filling_options import FillingOptions
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.dream_options import (
    ClassPictureOptions,
    DreamOptions,
    ZoomOptions,
)
from nstbatch.runtime.systems.reconstruction import Reconstruction
from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions
from nstbatch.runtime.systems.texture_options import TextureOptions

SIDE = 48
LAYERS = 2  # of a reconstruction
LIMITS: dict[str, int] = {
    "crop_size": SIDE,
    "crops": 1,
    "frames": 2,
    "height": SIDE,
    "iterations": 2,
    "octaves": 1,
    "scales": 1,
    "size": SIDE,
    "width": SIDE,
}
BENCH: dict[str, object] = {
    "against": (),
    "batches": (1,),
    "model": "squeezenet1_1",
    "providers": (Entry("cpu"),),
    "rounds": 1,
    "sizes": (SIDE,),
    "stages": False,
    "steps": 1,
    "warm_up": 1,
}
CUT_DOWN = (
    ClassPictureOptions,
    DeconvnetOptions,
    DreamOptions,
    FillingOptions,
    NearestNeighborOptions,
    ReconstructionOptions,
    StyleTransferOptions,
    TextureOptions,
    ZoomOptions,
)
SetAttribute = Callable[[object, str, object], None]


def cut_down(replace: SetAttribute = setattr) -> None:
    """Limit the options of every system, and let "auto" be the CPU; `replace` sets attributes."""
    for options_class in CUT_DOWN:
        replace(options_class, "__post_init__", _limited(options_class.__post_init__))
    replace(BenchOptions, "__post_init__", _fixed(BenchOptions.__post_init__))
    replace(Reconstruction, "layers", _first(Reconstruction.layers))
    replace(providers, "AUTO_ORDER", ("cpu",))


def _limited(check: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(check)
    def check_and_limit(options: Any) -> None:
        check(options)
        for name in {field.name for field in fields(options)} & set(LIMITS):
            given = getattr(options, name)
            smaller = min(given, LIMITS[name]) if isinstance(given, int) else given
            object.__setattr__(options, name, smaller)

    return check_and_limit


def _fixed(check: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(check)
    def check_and_fix(options: Any) -> None:
        check(options)
        for name, value in BENCH.items():
            object.__setattr__(options, name, value)

    return check_and_fix


def _first(layers: Callable[..., tuple[Layer, ...]]) -> Callable[..., tuple[Layer, ...]]:
    @wraps(layers)
    def first(system: Reconstruction, options: ReconstructionOptions) -> tuple[Layer, ...]:
        return layers(system, options)[:LAYERS]

    return first


if __name__ == "__main__":
    from nstbatch.cli.main import program

    cut_down()
    program()
