"""The options of ``nstbatch deconv`` alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import typer

from nstbatch.cli.jobs.parameters import Scope
from nstbatch.cli.parsing.layers import parse_layers
from nstbatch.cli.parsing.panels import COMPUTING, complete
from nstbatch.runtime.deconvnet.deconvnet_options import RULES, DeconvnetOptions, FilterChoice, Rule
from nstbatch.runtime.errors import UsageError

from .computing import Computing

DEFAULTS = DeconvnetOptions()
DEFAULT_OUT = Path("deconv")

FEATURES = "Features"

Layer = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        "-l",
        metavar="LAYER,...",
        help="Layers whose filters are drawn; `nstbatch models NAME` lists them. Required; "
        "with --compare, the first ReLU by default, or one layer of each network. May be "
        "repeated.",
        show_default=False,
        rich_help_panel=FEATURES,
    ),
    Scope.MAKING,  # it chooses sheets; each sheet's digest holds its own layer
]
Filters = Annotated[
    str,
    typer.Option(
        "--filters",
        metavar="0-15,42|all|strongest[:N]",
        help="Filters to draw. strongest:N are the N with the highest activations; N is "
        f"{FilterChoice.strongest} by default.",
        rich_help_panel=FEATURES,
    ),
    Scope.MAKING,
]
RuleName = Annotated[
    str,
    typer.Option(
        "--rule",
        metavar="|".join(RULES),
        help="Rule for ReLUs on the way back: Zeiler & Fergus, plain gradient, or guided.",
        autocompletion=complete(RULES),
        rich_help_panel=FEATURES,
    ),
    Scope.PICTURE,
]
Size = Annotated[
    int,
    typer.Option(
        "--size",
        metavar="PIXELS",
        help="Side that the photos are resized to, after a square is cut from their middle.",
        rich_help_panel=FEATURES,
    ),
    Scope.PICTURE,
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoints",
        metavar="FILE...",
        help="Weights of --model after several epochs (.pth, .pt, .safetensors), oldest first: "
        "draw the same filters for each. Needs PyTorch.",
        show_default=False,
        rich_help_panel=FEATURES,
    ),
    Scope.MAKING,
]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--compare",
        metavar="MODEL MODEL",
        help="Compare two networks: filters of the first layer, activations, dead filters.",
        show_default=False,
        rich_help_panel=FEATURES,
    ),
    Scope.MAKING,
]
ModelOrSource = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER",
        help="Network: a name from `nstbatch models`, or the folder of a bundle. With "
        "--checkpoints: the NAME, FILE.py:FACTORY or MODULE:FACTORY that `nstbatch export` takes.",
        rich_help_panel=COMPUTING,
    ),
    Scope.MAKING,
]


@dataclass(frozen=True, eq=False, repr=False)
class Visualising:
    """All options of a visualisation, as the command line gives them."""

    layer: Layer = None
    filters: Filters = "strongest"
    rule: RuleName = DEFAULTS.rule
    size: Size = DEFAULTS.size
    checkpoints: Checkpoints = None
    compare: Compare = None

    def check(self) -> None:
        """Raise a UsageError for options that exclude each other."""
        if self.checkpoints and self.compare:
            raise UsageError("--checkpoints and --compare exclude each other.")

    def check_name(self, name: str | None) -> None:
        """Raise a UsageError if ``--name`` is given where there is no sheet for each filter."""
        if name is not None and (self.checkpoints or self.compare):
            raise UsageError("--name is for sheets of filters, not for --checkpoints or --compare.")

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that were named."""
        return parse_layers(self.layer) or ()

    @property
    def choice(self) -> FilterChoice:
        """The filters to draw; a UsageError if they cannot be understood."""
        return FilterChoice.parse(self.filters)

    @property
    def options(self) -> DeconvnetOptions:
        """The options as the library takes them; a UsageError if one is out of range."""
        return DeconvnetOptions(rule=cast("Rule", self.rule), size=self.size)


@dataclass(frozen=True, eq=False, repr=False)
class ComputingFeatures(Computing):
    """The network and the device; the network may be one to be exported."""

    model: ModelOrSource = Computing.model
