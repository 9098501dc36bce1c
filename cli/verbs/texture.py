"""``nstbatch texture``: textures that look like an exemplar, from noise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nstbatch.cli.console.logs import set_verbosity
from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.options import painting as cli
from nstbatch.cli.options.config import Config
from nstbatch.cli.options.invocation import invocation
from nstbatch.runtime.checks import OptimizerName, Pooling
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.systems.texture_options import TextureOptions

from .carry_out import BatchOptions, carry_out, find_photos, painting_of, picture_options, share

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.systems.texture import Texture

DEFAULTS = TextureOptions()
DEFAULT_OUT = Path("textures")

Exemplars = Annotated[
    list[Path],
    typer.Argument(
        metavar="EXEMPLAR",
        help="Pictures of textures, and folders of such pictures.",
        show_default=False,
    ),
]
Variations = Annotated[
    int,
    typer.Option(
        "--variations",
        min=1,
        metavar="N",
        help="Textures of each exemplar: NAME-1.png, NAME-2.png and so on.",
        rich_help_panel=cli.PAINTING,
    ),
]
Size = Annotated[
    str,
    typer.Option(
        "--size",
        metavar="WIDTHxHEIGHT",
        help="Size of the textures in pixels; one number for a square.",
        rich_help_panel=cli.PAINTING,
    ),
]
ExemplarSize = Annotated[
    int | None,
    typer.Option(
        "--exemplar-size",
        min=1,
        metavar="PIXELS",
        help="Long side that exemplars are brought to; their own by default.",
        show_default=False,
        rich_help_panel=cli.PAINTING,
    ),
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="LAYER[=WEIGHT],...",
        help="Layers to match; the model's style layers by default. May be repeated.",
        show_default=False,
        rich_help_panel=cli.PAINTING,
    ),
]
UpTo = Annotated[
    str | None,
    typer.Option(
        "--up-to",
        metavar="LAYER",
        help="Leave out the layers that are deeper than this one.",
        show_default=False,
        rich_help_panel=cli.PAINTING,
    ),
]
Tileable = Annotated[
    bool,
    typer.Option(
        "--tileable",
        help="Let the textures go on at the opposite edge, to be laid side by side.",
        rich_help_panel=cli.PAINTING,
    ),
]
Histogram = Annotated[
    bool,
    typer.Option(
        "--histogram/--no-histogram",
        help="Bring the colours to those of the exemplar in the end.",
        rich_help_panel=cli.PAINTING,
    ),
]


def texture(
    context: typer.Context,
    inputs: Exemplars,
    out: cli.Out = DEFAULT_OUT,
    recursive: cli.Recursive = False,
    variations: Variations = 1,
    overwrite: cli.Overwrite = False,
    dry_run: cli.DryRun = False,
    fail_fast: cli.FailFast = False,
    size: Size = f"{DEFAULTS.width}x{DEFAULTS.height}",
    exemplar_size: ExemplarSize = DEFAULTS.exemplar_size,
    layers: Layers = None,
    up_to: UpTo = DEFAULTS.up_to,
    iterations: cli.Iterations = DEFAULTS.iterations,
    scales: cli.Scales = DEFAULTS.scales,
    optimizer: cli.OptimizerName = DEFAULTS.optimizer,
    learning_rate: cli.LearningRate = DEFAULTS.learning_rate,
    tolerance: cli.Tolerance = DEFAULTS.tolerance,
    tileable: Tileable = DEFAULTS.tileable,
    histogram: Histogram = DEFAULTS.histogram,
    seed: cli.Seed = DEFAULTS.seed,
    pooling: cli.PoolingName = DEFAULTS.pooling,
    model: cli.Model = cli.DEFAULT_MODEL,
    device: cli.Device = "auto",
    precision: cli.Precision = "auto",
    threads: cli.Threads = None,
    together: cli.Together = None,
    format_: cli.Format = None,
    quality: cli.Quality = None,
    name: cli.NameTemplate = None,
    preserve: cli.Preserve = False,
    strip: cli.Strip = False,
    config: Config = None,
    report: cli.Report = False,
    watch_progress: cli.WatchProgress = False,
    watch_port: cli.WatchPort = None,
    as_json: cli.Json = False,
    quiet: cli.Quiet = False,
    verbose: cli.Verbose = False,
) -> None:
    """Make textures that look like an exemplar, from noise.

    Prints the path of each texture it has made, or with --json a line a texture;
    all else goes to standard error. What is there already is skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no exemplar found, 130 interrupted.
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    width, height = parse_size(size)
    options = TextureOptions(
        width=width,
        height=height,
        exemplar_size=exemplar_size,
        layers=cli.parse_weighted_layers(layers),
        up_to=up_to,
        iterations=iterations,
        scales=scales,
        optimizer=cast("OptimizerName", optimizer),
        learning_rate=learning_rate,
        tolerance=tolerance,
        tileable=tileable,
        histogram=histogram,
        seed=seed,
        pooling=cast("Pooling", pooling),
    )
    pictures = picture_options(format_, quality, name, preserve=preserve, strip=strip)
    batch = BatchOptions(
        *(out, recursive, overwrite, dry_run, fail_fast, as_json, quiet),
        *(report, watch_progress, watch_port),
        invocation=invocation(context),
        pictures=pictures,
    )
    plan = find_photos(inputs, batch, suffix=".png", variations=variations)
    synthesis = _load(model, device, precision, threads, options)
    effort = Effort(max(options.shape), options.iterations)
    painter = _painter(synthesis, options)
    at_once = share(
        synthesis.engine,
        together,
        synthesis.objective(options),
        options.optimizer,
        options.pooling,
        options.shape,
    )
    raise typer.Exit(
        carry_out(plan, painter, batch, engine=synthesis.engine, effort=effort, at_once=at_once)
    )


def parse_size(text: str) -> tuple[int, int]:
    """Read ``"768x512"`` as (768, 512), width before height, and ``"512"`` as (512, 512).

    Raises:
        UsageError: It is neither.
    """
    found = re.fullmatch(r"(\d+)(?:[xX](\d+))?", text.strip(), re.ASCII)
    if not found:
        raise UsageError(f"A --size is WIDTHxHEIGHT or one number, such as 768x512, not {text!r}.")
    width, height = found.groups()
    return int(width), int(height or width)


def _load(
    model: str,
    device: str,
    precision: str,
    threads: int | None,
    options: TextureOptions,
) -> Texture:
    """Load the network, and find out now what would be wrong with every exemplar."""
    from nstbatch.runtime.systems.texture import Texture

    synthesis = Texture(model, device=device, precision=precision, threads=threads)
    synthesis.check(options)
    return synthesis


def _painter(synthesis: Texture, options: TextureOptions) -> Painter:
    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        result = synthesis(
            job.input,
            options,
            variation=job.variation,
            checkpoint=job.checkpoint,
            progress=progress,
            stop=stop,
        )
        return painting_of(result)

    return paint
