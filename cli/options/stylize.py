"""The options of ``nstbatch stylize`` alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.layers import parse_layers, parse_weighted_layers
from nstbatch.cli.parsing.panels import LOSSES, complete
from nstbatch.runtime.checks import (
    ERRORS,
    STYLE_LOSS_NAMES,
    Error,
    OptimizerName,
    StyleLoss,
    one_of,
)
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.shared_style_options import INITS
from nstbatch.runtime.style.style_transfer_options import (
    TV_REDUCTIONS,
    WEIGHTINGS,
    StyleTransferOptions,
    TvReduction,
    Weighting,
)

from .masks import ContentMask, Mask, StyleMask
from .method import MethodName, Stylization
from .methods import GATYS, NNST
from .optimization import (
    Iterations,
    LearningRate,
    MaxSize,
    Optimizer,
    OptionalScales,
    PaddingName,
    PoolingName,
    Seed,
    Size,
    Tolerance,
)
from .preset import PresetName, PresetTable
from .starts import AverageDecay, Histogram, InitNoise, NoiseName, Sharpen, Start
from .styles import (
    DEFAULT_COLOR,
    DEFAULT_SCALE,
    TRIMS,
    Color,
    EachStyle,
    StyleScale,
    StyleSize,
    TrimStyle,
)

DEFAULTS = StyleTransferOptions()
DEFAULT_OUT = Path("stylized")

ErrorName = Annotated[
    str,
    typer.Option(
        "--error",
        metavar="|".join(ERRORS),
        help="Error of content and style; scaled-mse pulls about as hard on every layer.",
        autocompletion=complete(ERRORS),
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
]
StyleLossName = Annotated[
    str,
    typer.Option(
        "--style-loss",
        metavar="|".join(STYLE_LOSS_NAMES),
        help="What is compared of the style: Gram matrices; also shifted ones, for patterns that "
        "repeat; means and deviations, for colours and soft texture; Gaussians; or all columns.",
        autocompletion=complete(STYLE_LOSS_NAMES),
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
WeightingName = Annotated[
    str,
    typer.Option(
        "--weighting",
        metavar="|".join(WEIGHTINGS),
        help="relative divides each loss by the size of its target; plain leaves it, for weights "
        "of other programs.",
        autocompletion=complete(WEIGHTINGS),
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
ContentWeight = Annotated[
    float,
    typer.Option(
        "--content-weight",
        metavar="X",
        help="Weight of the content: more keeps more of the photo.",
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
]
StyleWeight = Annotated[
    float,
    typer.Option(
        "--style-weight",
        metavar="X",
        help="Weight of the style: more takes more of its colours and strokes.",
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
]
TvWeight = Annotated[
    float,
    typer.Option(
        "--tv-weight",
        metavar="X",
        help="Weight of the total variation: more is smoother.",
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
]
TvReductionName = Annotated[
    str,
    typer.Option(
        "--tv-reduction",
        metavar="|".join(TV_REDUCTIONS),
        help="The total variation is a mean over the picture, or a sum, as in neural-style.",
        autocompletion=complete(TV_REDUCTIONS),
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
StyleLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--style-layers",
        metavar="LAYER[=WEIGHT],...",
        help="Layers that compare the style. Default: the network's own. May be repeated.",
        show_default=False,
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
]
ContentLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--content-layers",
        metavar="LAYER,...",
        help="Layers that compare the content. Default: the network's own. May be repeated.",
        show_default=False,
        rich_help_panel=LOSSES,
    ),
    Scope.PICTURE,
]


@dataclass(frozen=True, eq=False, repr=False)
class Stylizing:
    """All options of a style transfer, as the command line gives them."""

    method: MethodName = GATYS
    preset: PresetName = "default"
    preset_table: PresetTable = False
    size: Size = DEFAULTS.size
    max_size: MaxSize = DEFAULTS.max_size
    iterations: Iterations = DEFAULTS.iterations
    scales: OptionalScales = DEFAULTS.scales
    optimizer: Optimizer = DEFAULTS.optimizer
    learning_rate: LearningRate = DEFAULTS.learning_rate
    error: ErrorName = DEFAULTS.error
    style_loss: StyleLossName = DEFAULTS.style_loss
    weighting: WeightingName = DEFAULTS.weighting
    content_weight: ContentWeight = DEFAULTS.content_weight
    style_weight: StyleWeight = DEFAULTS.style_weight
    tv_weight: TvWeight = DEFAULTS.tv_weight
    tv_reduction: TvReductionName = DEFAULTS.tv_reduction
    tolerance: Tolerance = DEFAULTS.tolerance
    style_layers: StyleLayers = None
    content_layers: ContentLayers = None
    init: Start = DEFAULTS.init
    init_noise: InitNoise = DEFAULTS.init_noise
    noise: NoiseName = DEFAULTS.noise
    average_decay: AverageDecay = DEFAULTS.average_decay
    histogram: Histogram = DEFAULTS.histogram
    sharpen: Sharpen = DEFAULTS.sharpen
    seed: Seed = DEFAULTS.seed
    pooling: PoolingName = DEFAULTS.pooling
    padding: PaddingName = DEFAULTS.padding
    trim_style: TrimStyle = "auto"
    each_style: EachStyle = False
    color: Color = DEFAULT_COLOR
    style_scale: StyleScale = DEFAULT_SCALE
    style_size: StyleSize = None
    mask: Mask = None
    style_mask: StyleMask = None
    content_mask: ContentMask = None
    stylization: Stylization = NearestNeighborOptions.stylization

    @property
    def trims_style(self) -> bool:
        """True to cut a plain frame off the style; not off one whose mask would no longer fit.

        Raises:
            UsageError: The option has another value.
        """
        one_of("trim_style", self.trim_style, TRIMS)
        return self.trim_style == "auto" and not self.style_mask

    @property
    def init_path(self) -> Path | None:
        """The picture to start from; None for the photo or noise."""
        return None if self.init in INITS and self.init != "image" else Path(self.init)

    @property
    def options(self) -> StyleTransferOptions:
        """The options as the library takes them.

        Raises:
            UsageError: One of them is out of range.
        """
        return StyleTransferOptions(
            **self._of_every_method,
            optimizer=cast("OptimizerName", self.optimizer),
            error=cast("Error", self.error),
            style_loss=cast("StyleLoss", self.style_loss),
            weighting=cast("Weighting", self.weighting),
            style_weight=self.style_weight,
            style_layers=parse_weighted_layers(self.style_layers),
            content_layers=parse_layers(self.content_layers),
            tv_weight=self.tv_weight,
            tv_reduction=cast("TvReduction", self.tv_reduction),
        )

    @property
    def nearest_neighbor_options(self) -> NearestNeighborOptions:
        """The options of nearest-neighbour style transfer as the library takes them.

        Raises:
            UsageError: One of them is out of range, or the layers have weights.
        """
        layers = parse_layers(self.style_layers)
        if any("=" in layer for layer in layers or ()):
            raise UsageError(f"With --method {NNST}, --style-layers takes no weights.")
        return NearestNeighborOptions(
            **self._of_every_method,
            stylization=self.stylization,
            layers=layers,
        )

    @property
    def _of_every_method(self) -> dict[str, Any]:
        """The options that every method has, as keyword arguments of its options."""
        return {
            "size": self.size,
            "max_size": self.max_size,
            "iterations": self.iterations,
            "scales": self.scales,
            "learning_rate": self.learning_rate,
            "content_weight": self.content_weight,
            "tolerance": self.tolerance,
            "init": "image" if self.init_path else self.init,
            "color": self.color,
            "style_scale": self.style_scale,
            "style_size": self.style_size,
            "init_noise": self.init_noise,
            "noise": self.noise,
            "average_decay": self.average_decay,
            "histogram": self.histogram,
            "sharpen": self.sharpen,
            "seed": self.seed,
            "pooling": self.pooling,
            "padding": self.padding,
        }
