"""The options of ``nstbatch fill`` alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.cli.parsing.layers import parse_layers
from nstbatch.cli.parsing.panels import PICTURE
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.filling.filling_options import FillingOptions

from .optimization import PoolingName

DEFAULTS = FillingOptions()
DEFAULT_OUT = Path("filled")

Mask = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="IMAGE",
        help="A picture of the same size, white where the hole is. Default: transparent pixels.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Tile = Annotated[
    bool,
    typer.Option(
        "--tile",
        help="Fill the seams, so that the picture continues at its opposite edges.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Seam = Annotated[
    float,
    typer.Option(
        "--seam",
        metavar="X",
        help="With --tile, the width of the seams as a share of the shorter side.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Also = Annotated[
    list[Path] | None,
    typer.Option(
        "--also",
        metavar="IMAGE",
        help="A map of the same size that is filled in the same way: PNG, TIFF or EXR. May be "
        "repeated.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="LAYER,...",
        help="Layers that find the patches. Default: the network's style layers, without the "
        "coarsest. May be repeated.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Iterations = Annotated[
    int,
    typer.Option(
        "--iterations",
        "-n",
        metavar="N",
        help="Searches at each size.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="N",
        help="Random seed of the search.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]


@dataclass(frozen=True, eq=False, repr=False)
class Filling:
    """All options of a filling, as the command line gives them."""

    mask: Mask = None
    tile: Tile = False
    seam: Seam = DEFAULTS.seam
    also: Also = None
    layers: Layers = None
    iterations: Iterations = DEFAULTS.iterations
    seed: Seed = DEFAULTS.seed
    pooling: PoolingName = DEFAULTS.pooling

    @property
    def options(self) -> FillingOptions:
        """The options as the library takes them.

        Raises:
            UsageError: One of them is out of range, or two exclude each other.
        """
        if self.tile and self.mask is not None:
            raise UsageError("--tile fills the seams, and --mask another hole: give one of them.")
        return FillingOptions(
            layers=parse_layers(self.layers),
            iterations=self.iterations,
            seam=self.seam,
            seed=self.seed,
            pooling=cast("Pooling", self.pooling),
        )
