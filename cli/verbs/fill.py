"""``nstbatch fill``: holes and seams, made of the picture's own patches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.options.computing import ComputingApart
from nstbatch.cli.options.fill import DEFAULT_OUT, Filling
from nstbatch.cli.options.reporting import Reporting
from nstbatch.cli.options.selection import Inputs, Selection
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.parsing.refusal import refuse
from nstbatch.cli.parsing.with_groups import with_groups
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import ImageError, StoppedError, UsageError

from .batch_verb import batch_options
from .carry_out import Work, carry_out
from .prepare import BatchOptions, find_photos

if TYPE_CHECKING:
    from nstbatch.cli.jobs.painting import Painter, Painting, Stop
    from nstbatch.cli.jobs.plan import Job
    from nstbatch.runtime.descent.progress import ProgressCallback
    from nstbatch.runtime.filling.filling import Filled
    from nstbatch.runtime.filling.filling import Filling as Library
    from nstbatch.runtime.filling.filling_options import FillingOptions
    from nstbatch.runtime.formats.maps import Map


@with_groups
def fill(
    context: typer.Context,
    inputs: Inputs = None,
    selection: Selection = Selection(DEFAULT_OUT),
    filling: Filling = Filling(),
    computing: ComputingApart = ComputingApart(),
    writing: PhotoWriting = PhotoWriting(),
    reporting: Reporting = Reporting(),
) -> None:
    """Fill a hole of a picture with its own texture, or its seams, so that it tiles.

    Pixels outside the hole stay as they are. --also fills further maps of the
    picture in the same way: for wall.png, normal.png becomes wall.normal.png.

    Prints the path of each new picture, or with --json one line for each picture.
    Messages go to standard error. Pictures that are already there are skipped.

    Exit codes: 0 all done or already there, 1 some failed, 2 wrong usage,
    3 no picture found, 130 interrupted.
    """
    from nstbatch.runtime.filling.filling import Filling as Library

    batch = batch_options(context, selection, writing, reporting)
    options = filling.options
    if not filling.tile:
        refuse(context, ["seam"], "goes only with --tile")
    maps = _read_maps(filling.also or [], batch)
    sources = dict(enumerate(filling.also or [], start=1))
    keep = [path for path in (filling.mask, *sources.values()) if path is not None]
    plan = find_photos(inputs, batch, keep=keep, suffix=".png")
    library = Library(computing.model, **computing.place)
    library.check(options)
    work = Work(
        plan,
        _painter(library, filling, options, maps),
        engines=[library.engine],
        sources={"mask": filling.mask} | {f"also-{n}": path for n, path in sources.items()},
    )
    raise typer.Exit(carry_out(work, batch))


def _read_maps(paths: list[Path], batch: BatchOptions) -> Mapping[str, Map]:
    """Read the further maps, by the suffixes that their copies get.

    Raises:
        UsageError: One cannot be read, two would get one name, or there is no folder for them.
    """
    if not paths:
        return {}
    from nstbatch.runtime.formats.maps import read_map

    if batch.alone is not None:
        raise UsageError("--also makes several files: give --out a folder.")
    suffixes = [f".{path.stem}{path.suffix.lower()}" for path in paths]
    (most, count), *_ = Counter(suffixes).most_common(1)
    if count > 1:
        raise UsageError(f"Two maps would both become NAME{most}.")
    maps = {}
    for suffix, path in zip(suffixes, paths, strict=True):
        try:
            maps[suffix] = read_map(path)
        except ImageError as error:
            raise UsageError(f"{printable(path)} cannot be a map: {error}") from error
    return maps


def _painter(
    library: Library, filling: Filling, options: FillingOptions, maps: Mapping[str, Map]
) -> Painter:
    from nstbatch.cli.jobs.painting import Painting

    def made(job: Job, progress: ProgressCallback, stop: Stop) -> Filled:
        if filling.tile:
            return library.tiled(job.file, options, progress=progress, stop=stop)
        return library(job.file, filling.mask, options, progress=progress, stop=stop)

    def paint(job: Job, progress: ProgressCallback, stop: Stop) -> Painting:
        try:
            result = made(job, progress, stop)
        except StoppedError as error:
            raise KeyboardInterrupt from error
        return Painting(
            result.image,
            result.alpha,
            {},
            result.steps,
            result.provider,
            result.precision,
            companions={suffix: _followed(result, suffix, each) for suffix, each in maps.items()},
        )

    return paint


def _followed(result: Filled, suffix: str, further: Map) -> bytes:
    """The file of a map that is filled like the picture; an ImageError for another size."""
    shapes = further.samples.shape, result.image.shape
    if shapes[0][:2] != shapes[1][:2]:
        map_size, size = (f"{shape[1]}x{shape[0]}" for shape in shapes)
        raise ImageError(f"{suffix[1:]} is {map_size} pixels, the picture {size}.")
    return further.encode(result.field.apply(further.samples))
