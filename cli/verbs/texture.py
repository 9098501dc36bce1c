"""``nstbatch texture``: textures that look like an exemplar, from noise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.batch.painted import painting_of
from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.options.computing import ComputingTogether
from nstbatch.cli.options.reporting import StepReporting
from nstbatch.cli.options.selection import Selection
from nstbatch.cli.options.texture import DEFAULT_OUT, Exemplars, Synthesis, parse_mixed
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.parsing.with_groups import with_groups

from .batch_verb import batch_options
from .carry_out import Work, carry_out
from .prepare import find_photos, read_picture, share

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.pictures.images import Picture
    from nstbatch.runtime.systems.texture import Texture
    from nstbatch.runtime.systems.texture_options import TextureOptions


@with_groups
def texture(
    context: typer.Context,
    inputs: Exemplars = None,
    selection: Selection = Selection(DEFAULT_OUT),
    synthesis: Synthesis = Synthesis(),
    computing: ComputingTogether = ComputingTogether(),
    writing: PhotoWriting = PhotoWriting(),
    reporting: StepReporting = StepReporting(),
) -> None:
    """Make textures that look like an exemplar, from noise.

    Prints the path of each new texture, or with --json one line for each texture.
    Messages go to standard error. Textures that are already there are skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no exemplar found, 130 interrupted.
    """
    from nstbatch.runtime.objectives.tiled_losses import have_tiles
    from nstbatch.runtime.systems.texture import Texture, texture_shape

    batch = batch_options(context, selection, writing, reporting)
    options = synthesis.options
    mixed = _read_mixed(synthesis, options)
    keep = [path for path, _ in parse_mixed(synthesis.mix)]
    plan = find_photos(inputs, batch, keep, suffix=".png", variations=synthesis.variations)
    system = Texture(computing.model, **computing.place)
    system.check(options)
    objective = system.objective(options)
    effort = Effort(
        options.iterations,
        partial(texture_shape, options=options),
        partial(system.peak_memory, options),
        follows_photos=options.given_shape is None,
    )
    work = Work(
        plan,
        _painter(system, options, mixed),
        engines=[system.engine],
        sources={f"mix-{number}": path for number, path in enumerate(keep, start=1)},
        effort=effort,
        at_once=share(
            system.engine,
            computing.together,
            objective,
            options.optimizer,
            options.pooling,
            effort.largest([job.file for job in plan.jobs]),
        ),
        budget=computing.budget(has_tiles=have_tiles(objective.terms)),
    )
    raise typer.Exit(carry_out(work, batch))


def _read_mixed(synthesis: Synthesis, options: TextureOptions) -> list[tuple[Picture, float]]:
    """Read the further exemplars once for all textures; a UsageError for one that is unreadable."""
    size = None if options.given_shape is None else options.exemplar_size
    return [
        (read_picture(path, "a further exemplar", size), weight)
        for path, weight in parse_mixed(synthesis.mix)
    ]


def _painter(
    system: Texture, options: TextureOptions, mixed: list[tuple[Picture, float]]
) -> Painter:
    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        result = system(
            job.file,
            options,
            others=mixed,
            variation=job.variation,
            checkpoint=job.checkpoint,
            progress=progress,
            stop=stop,
        )
        return painting_of(result)

    return paint
