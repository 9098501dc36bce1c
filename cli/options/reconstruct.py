"""The options of ``nstbatch reconstruct`` alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.cli.parsing.layers import parse_layers
from nstbatch.cli.parsing.panels import PICTURE, complete
from nstbatch.runtime.checks import OPTIMIZER_NAMES, OptimizerName, Pooling
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.systems.reconstruction_options import TV_SWEEP, ReconstructionOptions

from .optimization import LearningRate, MaxSize, PoolingName, Seed, Size

DEFAULTS = ReconstructionOptions()
DEFAULT_OUT = Path("reconstructed")

Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="LAYER|GLOB|all,...",
        help="Layers to reconstruct from, such as 'relu*'. Default: the last layer of each stage. "
        "May be repeated.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
SweepTv = Annotated[
    bool,
    typer.Option(
        "--sweep-tv",
        help=f"Try {', '.join(f'{weight:g}' for weight in TV_SWEEP)} as --tv-weight, and print a "
        "table of the errors.",
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
        help="Optimiser steps for each layer.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        metavar="|".join(OPTIMIZER_NAMES),
        help="Optimisation method. Default: adam for layers with jitter, lbfgs for the others.",
        autocompletion=complete(OPTIMIZER_NAMES),
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
TvWeight = Annotated[
    float | None,
    typer.Option(
        "--tv-weight",
        metavar="X",
        help="Weight of the total variation: more is smoother. Default: by the layer's depth.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
TvBeta = Annotated[
    float,
    typer.Option(
        "--tv-beta",
        metavar="X",
        help="Exponent of the total variation, at least 1; 1 makes patches.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
AlphaWeight = Annotated[
    float | None,
    typer.Option(
        "--alpha-weight",
        metavar="X",
        help="Weight of the alpha-norm: more avoids extreme colours. Default: by the layer's "
        "depth.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Alpha = Annotated[
    float,
    typer.Option(
        "--alpha",
        metavar="X",
        help="Exponent of the alpha-norm, at least 2.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Jitter = Annotated[
    int | None,
    typer.Option(
        "--jitter",
        metavar="PIXELS",
        help="Largest random shift of the image before a step. Default: an eighth of the layer's "
        "stride; 0 with lbfgs.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]


@dataclass(frozen=True, eq=False, repr=False)
class Reconstructing:
    """All options of a reconstruction, as the command line gives them."""

    layers: Layers = None
    sweep_tv: SweepTv = False
    size: Size = DEFAULTS.size
    max_size: MaxSize = DEFAULTS.max_size
    iterations: Iterations = DEFAULTS.iterations
    optimizer: Optimizer = DEFAULTS.optimizer
    learning_rate: LearningRate = DEFAULTS.learning_rate
    tv_weight: TvWeight = None
    tv_beta: TvBeta = DEFAULTS.tv_beta
    alpha_weight: AlphaWeight = DEFAULTS.alpha_weight
    alpha: Alpha = DEFAULTS.alpha
    jitter: Jitter = DEFAULTS.jitter
    seed: Seed = DEFAULTS.seed
    pooling: PoolingName = DEFAULTS.pooling

    @property
    def options(self) -> ReconstructionOptions:
        """The options as the library takes them.

        Raises:
            UsageError: One of them is out of range, or two exclude each other.
        """
        if self.sweep_tv and self.tv_weight is not None:
            raise UsageError("Give either --sweep-tv or --tv-weight.")
        given = None if self.tv_weight is None else (self.tv_weight,)
        return ReconstructionOptions(
            layers=parse_layers(self.layers),
            size=self.size,
            max_size=self.max_size,
            iterations=self.iterations,
            optimizer=cast("OptimizerName | None", self.optimizer),
            learning_rate=self.learning_rate,
            tv_weights=TV_SWEEP if self.sweep_tv else given,
            tv_beta=self.tv_beta,
            alpha_weight=self.alpha_weight,
            alpha=self.alpha,
            jitter=self.jitter,
            seed=self.seed,
            pooling=cast("Pooling", self.pooling),
        )
