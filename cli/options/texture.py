"""The options of ``nstbatch texture`` alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import typer

from nstbatch.cli.jobs.parameters import NEUTRAL, Scope
from nstbatch.cli.parsing.layers import parse_weighted_layers
from nstbatch.cli.parsing.panels import PICTURE, complete
from nstbatch.runtime.checks import (
    OWN,
    OptimizerName,
    Own,
    Pooling,
    StyleLoss,
)
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.systems.texture_options import TEXTURE_LOSSES, TextureOptions

from .optimization import (
    Iterations,
    LearningRate,
    Optimizer,
    PoolingName,
    Scales,
    Seed,
    Tolerance,
    max_size_option,
    own_if_bounded,
)

DEFAULTS = TextureOptions()
DEFAULT_OUT = Path("textures")

Exemplars = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="EXEMPLAR",
        help="Pictures of textures, folders of such pictures, patterns such as '*.jpg', or - for "
        "standard input.",
        show_default=False,
    ),
    Scope.PICTURE,
]
Variations = Annotated[
    int,
    typer.Option(
        "--variations",
        min=1,
        metavar="N",
        help="Textures of each exemplar: NAME-1.png, NAME-2.png and so on.",
        rich_help_panel=PICTURE,
    ),
    Scope.MAKING,
]
Size = Annotated[
    str,
    typer.Option(
        "--size",
        metavar=f"WIDTHxHEIGHT|{OWN}",
        callback=own_if_bounded,
        help=f"Size of the textures in pixels. One number is a square; {OWN} is the size of each "
        "exemplar.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
MaxSize = Annotated[
    int | None,
    max_size_option(
        "Longest side of the textures. Without --size, smaller exemplars give textures of their "
        "own size."
    ),
    Scope.PICTURE,
    NEUTRAL,
]
ExemplarSize = Annotated[
    int | None,
    typer.Option(
        "--exemplar-size",
        min=1,
        metavar="PIXELS",
        help="Long side that exemplars are resized to. Default: their own size.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="LAYER[=WEIGHT],...",
        help="Layers to match. Default: the network's style layers. May be repeated.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
UpTo = Annotated[
    str | None,
    typer.Option(
        "--up-to",
        metavar="LAYER",
        help="Leave out the layers that are deeper than this one.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
StyleLossName = Annotated[
    str,
    typer.Option(
        "--style-loss",
        metavar="|".join(TEXTURE_LOSSES),
        help="What of a layer is compared; shifted-gram keeps what repeats at a distance.",
        autocompletion=complete(TEXTURE_LOSSES),
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
SpectrumWeight = Annotated[
    float,
    typer.Option(
        "--spectrum-weight",
        metavar="X",
        help="Weight of the Fourier magnitudes, such as 0.1: keeps regular patterns straight.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
Mix = Annotated[
    list[str] | None,
    typer.Option(
        "--mix",
        metavar="IMAGE[=WEIGHT]",
        help="A further exemplar to mix in, and its weight beside 1. May be repeated.",
        show_default=False,
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
    NEUTRAL,
]
Tileable = Annotated[
    bool,
    typer.Option(
        "--tileable",
        help="Make textures that continue at the opposite edge and can be tiled.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]
Histogram = Annotated[
    bool,
    typer.Option(
        "--histogram/--no-histogram",
        help="Match the colours of the exemplar at the end.",
        rich_help_panel=PICTURE,
    ),
    Scope.PICTURE,
]


@dataclass(frozen=True, eq=False, repr=False)
class Synthesis:
    """All options of a texture, as the command line gives them."""

    variations: Variations = 1
    size: Size = f"{DEFAULTS.width}x{DEFAULTS.height}"
    max_size: MaxSize = DEFAULTS.max_size
    exemplar_size: ExemplarSize = DEFAULTS.exemplar_size
    mix: Mix = None
    layers: Layers = None
    up_to: UpTo = DEFAULTS.up_to
    style_loss: StyleLossName = DEFAULTS.style_loss
    spectrum_weight: SpectrumWeight = DEFAULTS.spectrum_weight
    iterations: Iterations = DEFAULTS.iterations
    scales: Scales = DEFAULTS.scales
    optimizer: Optimizer = DEFAULTS.optimizer
    learning_rate: LearningRate = DEFAULTS.learning_rate
    tolerance: Tolerance = DEFAULTS.tolerance
    tileable: Tileable = DEFAULTS.tileable
    histogram: Histogram = DEFAULTS.histogram
    seed: Seed = DEFAULTS.seed
    pooling: PoolingName = DEFAULTS.pooling

    @property
    def options(self) -> TextureOptions:
        """The options as the library takes them.

        Raises:
            UsageError: One of them is out of range.
        """
        width, height = parse_size(self.size)
        return TextureOptions(
            width=width,
            height=height,
            max_size=self.max_size,
            exemplar_size=self.exemplar_size,
            layers=parse_weighted_layers(self.layers),
            up_to=self.up_to,
            style_loss=cast("StyleLoss", self.style_loss),
            spectrum_weight=self.spectrum_weight,
            iterations=self.iterations,
            scales=self.scales,
            optimizer=cast("OptimizerName", self.optimizer),
            learning_rate=self.learning_rate,
            tolerance=self.tolerance,
            tileable=self.tileable,
            histogram=self.histogram,
            seed=self.seed,
            pooling=cast("Pooling", self.pooling),
        )


def parse_mixed(values: list[str] | None) -> list[tuple[Path, float]]:
    """Read ``["a.png", "b.png=0.5"]`` as ``[(a.png, 1.0), (b.png, 0.5)]``.

    A name may have an equals sign of its own: only a number after the last one is a weight.
    """
    mixed = []
    for value in values or ():
        name, _, weight = value.rpartition("=")
        found = re.fullmatch(r"\d+(\.\d*)?|\.\d+", weight) if name else None
        mixed.append((Path(name), float(weight)) if found else (Path(value), 1.0))
    return mixed


def parse_size(text: str) -> tuple[int | Own, int | Own]:
    """Read ``"768x512"`` as (768, 512), width before height, and ``"512"`` as (512, 512).

    ``"own"`` is ("own", "own").

    Raises:
        UsageError: It is neither.
    """
    if text == OWN:
        return OWN, OWN
    found = re.fullmatch(r"(\d+)(?:[xX](\d+))?", text.strip(), re.ASCII)
    if not found:
        raise UsageError(
            f"A --size is WIDTHxHEIGHT or one number, such as 768x512, or {OWN!r}, not {text!r}."
        )
    width, height = found.groups()
    return int(width), int(height or width)
