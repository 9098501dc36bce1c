"""Before a batch: its options, its pictures and its plan."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.exit_codes import NOTHING_MATCHED
from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.text import printable
from nstbatch.cli.workers.processes import Processes
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.formats.picture_options import PictureOptions

from .input_options import InputOptions

if TYPE_CHECKING:
    from nstbatch.cli.console.results import Results
    from nstbatch.cli.jobs.left_out import LeftOut
    from nstbatch.cli.jobs.naming import Naming
    from nstbatch.cli.jobs.plan import Plan
    from nstbatch.cli.jobs.search import Search
    from nstbatch.runtime.checks import Pooling
    from nstbatch.runtime.engine.engine import Engine
    from nstbatch.runtime.objectives.terms import Objective
    from nstbatch.runtime.pictures.images import Picture

    from .alone import Alone


@dataclass(frozen=True)
class BatchOptions:
    """The options of a batch, from all the groups of a verb."""

    out: Path
    recursive: bool
    overwrite: bool
    dry_run: bool
    fail_fast: bool
    as_json: bool
    quiet: bool
    report: bool = False
    watch_progress: bool = False
    watch_port: int | None = None
    preview: str | None = None
    snapshots: int = 0
    invocation: Invocation = field(default_factory=Invocation)
    pictures: PictureOptions = field(default_factory=PictureOptions)
    inputs: InputOptions = field(default_factory=InputOptions)
    processes: Processes = field(default_factory=Processes)
    alone: Alone | None = None
    """The one picture, if ``--out`` names it; ``out`` is its folder then."""

    @property
    def results(self) -> Results:
        """The form of results on standard output."""
        from nstbatch.cli.console.results import Results

        if self.alone is not None and self.alone.to_stdout:
            return Results.NOTHING
        if self.as_json:
            return Results.JSON
        return Results.NULL if self.inputs.null else Results.LINES


def read_picture(path: Path, role: str, size: int | str | None = None) -> Picture:
    """Read a picture that the whole batch needs, such as "the style", to be seen at this size.

    Raises:
        UsageError: It cannot be read.
    """
    from nstbatch.runtime.pictures import images

    try:
        return images.as_picture(path, size)
    except ImageError as error:
        raise UsageError(f"{printable(path)} cannot be {role}: {error}") from error


def find_photos(
    inputs: Iterable[Path] | None,
    batch: BatchOptions,
    keep: Sequence[Path] = (),
    *,
    suffix: str | None = None,
    variations: int = 1,
    styles: Sequence[Path] = (),
) -> Plan:
    """Make the plan, or end the command with exit code 3 if there is no photo; see :func:`plan_of`.

    A worker process has the plan of the batch that it paints for.
    """
    if batch.invocation.call.service is not None:
        return batch.invocation.call.service.plan
    search = search_of(inputs, batch)
    plan = plan_of(search, batch, keep, suffix=suffix, variations=variations, styles=styles)
    if batch.invocation.call.only is None and not (plan.jobs or plan.unreadable):
        raise nothing_found(search, plan.left_out, batch)
    say_left_out(plan.left_out, batch)
    return chosen(plan, batch)


def plan_of(
    search: Search,
    batch: BatchOptions,
    keep: Sequence[Path] = (),
    *,
    suffix: str | None = None,
    variations: int = 1,
    styles: Sequence[Path] = (),
) -> Plan:
    """Make the plan of a search with the options of a batch; see :func:`make_plan`.

    ``--format`` wins over the verb's ``suffix``. With ``styles``, see :func:`make_cross_plan`.
    """
    from nstbatch.cli.jobs.cross_plan import make_cross_plan
    from nstbatch.cli.jobs.plan import make_plan

    make = partial(
        make_plan,
        search,
        batch.out if batch.alone is None else batch.alone.file,
        alone=batch.alone is not None,
        settings=batch.alone.settings if batch.alone else None,
        keep=keep,
        suffix=batch.pictures.suffix or suffix,
        variations=variations,
    )
    names = naming(batch)
    if styles:
        return make_cross_plan(styles, names, lambda each: make(naming=each))
    return make(naming=names)


def search_of(inputs: Iterable[Path] | None, batch: BatchOptions) -> Search:
    """Return the search for the inputs of a command, also those in its list.

    Raises:
        UsageError: There are no inputs, or the list cannot be read.
    """
    from nstbatch.cli.jobs.globs import Globs
    from nstbatch.cli.jobs.search import Search
    from nstbatch.cli.output.known_results import KnownResults

    options = batch.inputs
    if not (inputs or options.from_file):
        raise UsageError(
            "No photo is given. Name photos or folders of photos, or give a list of them with "
            "--from-file; - is a photo from standard input."
        )
    return Search(
        list(inputs or ()),
        listed=options.listed(),
        stored_in=options.stored_in,
        recursive=batch.recursive,
        globs=Globs(options.include, options.exclude),
        is_result=KnownResults(),
        # An earlier command goes on with those that have not been removed since.
        lenient=batch.invocation.call.only is not None,
    )


def naming(batch: BatchOptions, **more: str | int) -> Naming | None:
    """Return how the batch names its pictures, with further fields; None for default names."""
    from nstbatch.cli.jobs.naming import Naming, fields

    template = batch.pictures.name
    if template is None:
        return None
    return Naming(template, {**fields(batch.invocation.settings), **more})


def say_left_out(left_out: LeftOut, batch: BatchOptions) -> None:
    """Say on standard error what a search has left alone; not again for a retry or a recipe."""
    if not batch.quiet and batch.invocation.call.only is None:
        for line in left_out.lines():
            print(f"nstbatch: {line}", file=sys.stderr)


def nothing_found(search: Search, left_out: LeftOut, batch: BatchOptions) -> typer.Exit:
    """Say that there is no photo, and return the exit of the command."""
    listed = [] if batch.inputs.from_file is None else [batch.inputs.from_file]
    places = ", ".join(map(printable, [*search.inputs, *listed]))
    lines = left_out.lines()
    has_folder = any(path.is_dir() for path in (*search.inputs, *search.listed))
    is_deeper = has_folder and not search.recursive and not lines
    hint = " Give --recursive to look into subfolders." if is_deeper else ""
    print(f"nstbatch: No photo was found in {places}.{hint}", file=sys.stderr)
    for line in lines:
        print(f"nstbatch: {line}", file=sys.stderr)
    return typer.Exit(NOTHING_MATCHED)


def chosen(plan: Plan, batch: BatchOptions) -> Plan:
    """Return the part of a plan that a call is for, and say which of its pictures are not in it."""
    from nstbatch.cli.output.survey import key_of

    only = batch.invocation.call.only
    if only is None:
        return plan
    jobs = {key_of(job.output, batch.out): job for job in plan.jobs}
    for key in sorted(only - jobs.keys()):
        print(f"nstbatch: The photo of {printable(batch.out / key)} is gone.", file=sys.stderr)
    wanted = tuple(job for key, job in jobs.items() if key in only)
    others = tuple(job for key, job in jobs.items() if key not in only)
    return replace(plan, jobs=wanted, others=others)


def share(
    engine: Engine,
    together: int | None,
    objective: Objective,
    optimizer: str,
    pooling: Pooling,
    size: tuple[int, int],
) -> int:
    """Let an engine optimise pictures together, and return the number of jobs to run at a time.

    Args:
        engine: The engine.
        together: Largest number of pictures in a batch; None for :meth:`Engine.best_batch`.
        objective: The objective of the pictures.
        optimizer: The name of their optimiser.
        pooling: The variant of the network.
        size: Height and width of the largest picture, in pixels.
    """
    from nstbatch.runtime.descent.optimizers import optimizer_named

    batch = together or engine.best_batch(objective, optimizer_named(optimizer), pooling, size)
    engine.share(batch)
    # As many again are read, written, or wait for a place in the batch.
    return 2 * batch
