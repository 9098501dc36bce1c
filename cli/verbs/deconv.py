"""``nstbatch deconv``: what the filters of a network respond to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.options.deconv import DEFAULT_OUT, ComputingFeatures, Visualising
from nstbatch.cli.options.reporting import Reporting
from nstbatch.cli.options.selection import Inputs, Selection
from nstbatch.cli.options.writing import SheetWriting
from nstbatch.cli.parsing.with_groups import with_groups
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.storage.addresses import RemotePath

from .batch_verb import batch_options
from .carry_out_sheets import draw, say, search
from .prepare import BatchOptions, naming, nothing_found, say_left_out, search_of

if TYPE_CHECKING:
    from nstbatch.cli.deconv.sheet_kind import SheetKind
    from nstbatch.cli.jobs.search import Unreadable
    from nstbatch.runtime.deconvnet.deconvnet import Deconvnet


@with_groups
def deconv(
    context: typer.Context,
    inputs: Inputs = None,
    visualising: Visualising = Visualising(),
    selection: Selection = Selection(DEFAULT_OUT),
    computing: ComputingFeatures = ComputingFeatures(precision="fp32"),
    writing: SheetWriting = SheetWriting(),
    reporting: Reporting = Reporting(),
) -> None:
    """Show what the filters of a network respond to, with a deconvnet.

    Needs at least nine photos. Finds the nine to which each filter responds most.
    Draws a sheet for each chosen filter: its responses projected back to the
    pixels, beside the parts of the photos that they came from.

    Prints the path of each new sheet, or with --json one line for each sheet.
    Messages go to standard error. Sheets that are already there are skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no photo found, 130 interrupted.
    """
    batch = batch_options(context, selection, writing, reporting)
    visualising.check()
    if batch.alone or batch.inputs.stored_in:
        raise UsageError(
            "deconv makes many sheets from many photos: give it files, and --out a folder."
        )
    visualising.check_name(writing.name)
    _named(batch, batch.out / "sheet.png", 0, "", 0)  # before the pass: is it a name?
    images, folders = _find_images(inputs, batch)
    with ExitStack() as stack:
        kind = _kind(visualising, computing, images, batch, stack)
        kind.check()
        if not batch.dry_run:
            search(kind, len(images), batch)
        raise typer.Exit(draw(kind, images, folders, batch))


def _find_images(
    inputs: Iterable[Path] | None, batch: BatchOptions
) -> tuple[list[Path], list[Unreadable]]:
    """Find the images, or end the command with exit code 3 if there is none."""
    from nstbatch.cli.jobs.plan import find_images

    search = search_of(inputs, batch)
    images, unreadable, left_out = find_images(search, batch.out)
    if not images and not unreadable:
        raise nothing_found(search, left_out, batch)
    if any(isinstance(image, RemotePath) for image in images):
        raise UsageError("deconv reads each photo many times: copy them to a disk first.")
    say_left_out(left_out, batch)
    return images, unreadable


def _kind(
    visualising: Visualising,
    computing: ComputingFeatures,
    images: Sequence[Path],
    batch: BatchOptions,
    stack: ExitStack,
) -> SheetKind:
    """Return the kind of sheets that the options ask for."""
    options, layers, choice = visualising.options, visualising.layers, visualising.choice
    suffix = batch.pictures.suffix or ".png"

    def load(bundle: str | os.PathLike[str]) -> Deconvnet:
        from nstbatch.runtime.deconvnet.deconvnet import Deconvnet

        return Deconvnet(bundle, options, **computing.place)

    tell = partial(say, batch)
    if visualising.compare:
        from nstbatch.cli.deconv.comparison import Comparison

        first, second = visualising.compare
        output = batch.out / f"compare{suffix}"
        return Comparison((load(first), load(second)), images, layers, output, tell)
    if visualising.checkpoints:
        from nstbatch.cli.deconv.evolution import CheckpointSeries, Evolution

        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nstbatch-")))
        series = CheckpointSeries(computing.model, tuple(visualising.checkpoints), folder, load)
        kept = (batch.out, batch.overwrite, suffix, tell)
        return Evolution(series, images, layers, choice, options, *kept)
    from nstbatch.cli.deconv.filter_sheets import FilterSheets

    network = load(computing.model)
    named = partial(_named, batch)
    return FilterSheets(network, images, layers, choice, batch.out, batch.overwrite, suffix, named)


def _named(batch: BatchOptions, path: Path, index: int, layer: str, number: int) -> Path:
    """Give a sheet the name that ``--name`` asks for."""
    template = naming(batch, layer=layer.replace("/", "_"), filter=number)
    return path if template is None else template.renamed(path, index, 0)
