"""The options that commands share: each name, help text and parser once.

Their defaults are those of the dataclasses and functions behind the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from nstbatch.runtime.checks import OPTIMIZER_NAMES, POOLINGS
from nstbatch.runtime.devices.providers import DEVICES, PRECISIONS
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.pictures.picture_options import FORMATS, QUALITIES

DEFAULT_OUT = Path("stylized")
DEFAULT_MODEL = "vgg16"

BATCH = "What to paint"
RUNNING = "Where it runs"
REPORT = "What is reported"
PAINTING = "How it is painted"
WRITING = "What is written"


def _complete(words: Sequence[str]) -> Callable[[str], list[str]]:
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


# ---- a batch ----------------------------------------------------------------------------------

Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="INPUT", help="Photos, and folders of photos.", show_default=False),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="FOLDER",
        help="Where the pictures go, under the photos' names.",
        rich_help_panel=BATCH,
    ),
]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Descend into the folders within folders; the tree is mirrored.",
        rich_help_panel=BATCH,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Paint again what is there already.", rich_help_panel=BATCH),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be done, and check it.", rich_help_panel=BATCH),
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", help="Stop at the first photo that fails.", rich_help_panel=BATCH),
]

# ---- a picture's file -------------------------------------------------------------------------

Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="Of the pictures; that of each photo by default.",
        autocompletion=_complete(FORMATS),
        show_default=False,
        rich_help_panel=WRITING,
    ),
]
Quality = Annotated[
    int | None,
    typer.Option(
        "--quality",
        min=QUALITIES[0],
        max=QUALITIES[-1],
        metavar="N",
        help="Of JPEG, WebP and AVIF, from 1 to 100; by default 95, 95 and 90.",
        show_default=False,
        rich_help_panel=WRITING,
    ),
]
NameTemplate = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="TEMPLATE",
        help="Names of the pictures, without suffix, such as '{stem}-{style}'; "
        "also {model}, {size}, {seed}, {index}, {variation}.",
        show_default=False,
        rich_help_panel=WRITING,
    ),
]
Preserve = Annotated[
    bool,
    typer.Option(
        "--preserve",
        help="Take over all of the photos' EXIF and XMP, places too, and the dates of the files.",
        rich_help_panel=WRITING,
    ),
]
Strip = Annotated[
    bool,
    typer.Option(
        "--strip",
        help="Write pixels alone: no EXIF, XMP, colour profile or recipe.",
        rich_help_panel=WRITING,
    ),
]

# ---- a report ---------------------------------------------------------------------------------

Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on standard output.", rich_help_panel=REPORT),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Say nothing but results and failures.", rich_help_panel=REPORT
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Say more, tracebacks of errors too.", rich_help_panel=REPORT
    ),
]

Report = Annotated[
    bool,
    typer.Option(
        "--report",
        help="Make a page of all pictures in the end, report.html beside them.",
        rich_help_panel=REPORT,
    ),
]
WatchProgress = Annotated[
    bool,
    typer.Option(
        "--watch-progress",
        help="Serve that page while the batch runs, to this machine alone; prints its address.",
        rich_help_panel=REPORT,
    ),
]
WatchPort = Annotated[
    int | None,
    typer.Option(
        "--watch-port",
        min=1,
        max=65535,
        metavar="PORT",
        help="The same, at this port; any free one by default.",
        show_default=False,
        rich_help_panel=REPORT,
    ),
]

# ---- a device ---------------------------------------------------------------------------------

Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER",
        help="The network: a name that `nstbatch models` lists, or a bundle's folder.",
        rich_help_panel=RUNNING,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help=f"One of {', '.join(DEVICES)}; `nstbatch doctor` says what is there.",
        autocompletion=_complete(DEVICES),
        rich_help_panel=RUNNING,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="PRECISION",
        help=f"Of convolutions: {', '.join(PRECISIONS)}; auto is what suits the device.",
        autocompletion=_complete(PRECISIONS),
        rich_help_panel=RUNNING,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        metavar="N",
        help="Threads to compute with; all cores by default.",
        show_default=False,
        rich_help_panel=RUNNING,
    ),
]

Together = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        metavar="N",
        help="Pictures of one shape that are stepped together; by default one, and with adam on a "
        "GPU as many as fit.",
        show_default=False,
        rich_help_panel=RUNNING,
    ),
]

# ---- a style transfer -------------------------------------------------------------------------

Style = Annotated[
    Path,
    typer.Option("--style", "-s", metavar="IMAGE", help="The picture whose style is taken."),
]
Size = Annotated[
    int,
    typer.Option(
        "--size", metavar="PIXELS", help="Long side of the pictures.", rich_help_panel=PAINTING
    ),
]
Iterations = Annotated[
    int,
    typer.Option(
        "--iterations",
        "-n",
        metavar="N",
        help="Optimiser steps, over all scales.",
        rich_help_panel=PAINTING,
    ),
]
Scales = Annotated[
    int,
    typer.Option(
        "--scales",
        metavar="N",
        help="Sizes to work through, coarse to fine.",
        rich_help_panel=PAINTING,
    ),
]
OptimizerName = Annotated[
    str,
    typer.Option(
        "--optimizer",
        metavar="|".join(OPTIMIZER_NAMES),
        help="What makes the steps.",
        autocompletion=_complete(OPTIMIZER_NAMES),
        rich_help_panel=PAINTING,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        metavar="X",
        help="Size of a step; the optimiser's own by default.",
        show_default=False,
        rich_help_panel=PAINTING,
    ),
]
ContentWeight = Annotated[
    float,
    typer.Option(
        "--content-weight",
        metavar="X",
        help="How much the picture keeps to the photo.",
        rich_help_panel=PAINTING,
    ),
]
StyleWeight = Annotated[
    float,
    typer.Option(
        "--style-weight",
        metavar="X",
        help="How much it takes from the style.",
        rich_help_panel=PAINTING,
    ),
]
TvWeight = Annotated[
    float,
    typer.Option(
        "--tv-weight",
        metavar="X",
        help="How smooth it becomes (total variation).",
        rich_help_panel=PAINTING,
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        metavar="SHARE",
        help="Go on to the next scale where the loss has fallen by less than this in 20 steps, "
        "such as 0.01; all steps by default.",
        show_default=False,
        rich_help_panel=PAINTING,
    ),
]
StyleLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--style-layers",
        metavar="LAYER[=WEIGHT],...",
        help="Layers of the style loss; the model's own by default. May be repeated.",
        show_default=False,
        rich_help_panel=PAINTING,
    ),
]
ContentLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--content-layers",
        metavar="LAYER,...",
        help="Layers of the content loss; the model's own by default. May be repeated.",
        show_default=False,
        rich_help_panel=PAINTING,
    ),
]
Start = Annotated[
    str,
    typer.Option(
        "--init",
        metavar="photo|noise|IMAGE",
        help="What to start from.",
        rich_help_panel=PAINTING,
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="Of the noise.", rich_help_panel=PAINTING)
]
PoolingName = Annotated[
    str,
    typer.Option(
        "--pooling",
        metavar="|".join(POOLINGS),
        help="How the network makes its maps smaller.",
        autocompletion=_complete(POOLINGS),
        rich_help_panel=PAINTING,
    ),
]


def parse_layers(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Read ``["a,b", "c"]`` as ``("a", "b", "c")``; None where the option was not given.

    Raises:
        UsageError: For an option that was given and names no layer.
    """
    if not values:
        return None
    names = (name.strip() for value in values for name in value.split(","))
    layers = tuple(name for name in names if name)
    if not layers:
        raise UsageError("A list of layers names none.")
    return layers


def parse_weighted_layers(values: Sequence[str] | None) -> dict[str, float] | None:
    """Read ``["a=0.5,b", "c=2"]`` as ``{"a": 0.5, "b": 1.0, "c": 2.0}``; None if not given.

    Raises:
        UsageError: For a weight that is no number, a layer that is named twice, and no layer.
    """
    names = parse_layers(values)
    if names is None:
        return None
    layers: dict[str, float] = {}
    for entry in names:
        name, equals, weight = entry.partition("=")
        name = name.strip()
        if name in layers:
            raise UsageError(f"The style layer {name!r} is named twice.")
        try:
            layers[name] = float(weight) if equals else 1.0
        except ValueError:
            raise UsageError(f"The weight of {name!r} is no number: {weight!r}.") from None
    return layers
