"""``nstbatch watch``: paints the photos that land in a folder."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nstbatch.cli.extras import extra_needed
from nstbatch.cli.options.computing import ComputingTogether
from nstbatch.cli.options.reporting import StepReporting
from nstbatch.cli.options.selection import Inputs, Selection
from nstbatch.cli.options.styles import Styles
from nstbatch.cli.options.stylize import DEFAULT_OUT, Stylizing
from nstbatch.cli.options.writing import PhotoWriting
from nstbatch.cli.parsing.refusal import refuse
from nstbatch.cli.parsing.with_groups import with_groups
from nstbatch.cli.text import printable
from nstbatch.runtime.errors import UsageError

from .batch_verb import batch_options
from .carry_out import fit, last_words, output_of, print_end, resilient_painter, terminate
from .prepare import search_of
from .style_work import finish_sheet, style_painting

if TYPE_CHECKING:
    from nstbatch.cli.batch.batch import Batch, Summary
    from nstbatch.cli.jobs.invocation import Invocation
    from nstbatch.cli.jobs.painting import Stop
    from nstbatch.cli.jobs.plan import Plan

    from .carry_out import Work
    from .prepare import BatchOptions
    from .style_work import StylePainting

NOT_HERE = ("from_file", "dry_run", "report", "watch_progress", "watch_port", "jobs", "gpus")


@with_groups
def watch(
    context: typer.Context,
    style: Styles,
    inputs: Inputs = None,
    selection: Selection = Selection(DEFAULT_OUT),
    stylizing: Stylizing = Stylizing(),
    computing: ComputingTogether = ComputingTogether(),
    writing: PhotoWriting = PhotoWriting(),
    reporting: StepReporting = StepReporting(),
) -> None:
    """Paint the photos that land in a folder, until Ctrl-C.

    Takes the options of `nstbatch stylize`, and is the same as calling it again
    whenever a photo has come. A photo is painted when it is complete, and again
    if it is replaced by another. Hidden files and unfinished downloads are left
    alone.

    Exit codes: 0 ended with nothing left to do, 1 some failed, 2 wrong usage,
    130 interrupted in the middle of a picture.
    """
    with extra_needed("watch", "Watching a folder"):
        import watchfiles  # noqa: F401  before a network is loaded
    from nstbatch.cli.jobs.plan import Plan

    refuse(context, NOT_HERE, "does not go with watch")
    batch = batch_options(context, selection, writing, reporting)
    folders = _folders(inputs, batch)
    batch = replace(batch, invocation=_as_stylize(batch.invocation))
    painting = style_painting(context, style, stylizing, computing, batch)
    find = partial(_find, painting, folders, batch)
    find()  # raises its errors before a network is loaded
    work = painting.work(Plan(()))
    summary = _watch(work, find, folders, batch)
    print_end(summary, batch)
    code = summary.exit_code
    finish_sheet(replace(work, plan=find()), code, batch)
    raise typer.Exit(code)


def _folders(inputs: list[Path] | None, batch: BatchOptions) -> list[Path]:
    """Return the folders to watch; a UsageError for anything else."""
    for path in inputs or ():
        if not path.is_dir():
            raise UsageError(f"{printable(path)} is no folder to watch.")
    if not inputs:
        raise UsageError("Name the folder to watch.")
    if batch.alone is not None:
        raise UsageError("Give --out a folder: many photos may come.")
    return inputs


def _as_stylize(run: Invocation) -> Invocation:
    """Return the call of ``nstbatch stylize`` that paints the same pictures.

    The ledger, the recipes and ``nstbatch retry`` then need not know of this verb.
    """
    words = run.call.arguments
    call = replace(run.call, arguments=("stylize", *words[1:]), resume=words)
    return replace(run, verb="stylize", call=call)


def _find(painting: StylePainting[Any], folders: list[Path], batch: BatchOptions) -> Plan:
    return painting.plan(search_of(folders, batch))


def _watch(
    work: Work, find: Callable[[], Plan], folders: list[Path], batch: BatchOptions
) -> Summary:
    """Paint what arrives until a signal, or a fault; a UsageError for a wrong option."""
    from nstbatch.cli.batch.batch import Batch, Summary
    from nstbatch.cli.batch.interrupt import Interrupt
    from nstbatch.cli.jobs.painting import Status
    from nstbatch.cli.watching.changes import batches
    from nstbatch.cli.watching.rounds import Rounds

    folder, origin, network = output_of(work, batch)
    begin = cache(partial(folder.begin, batch.invocation, origin, network))
    painter, began = resilient_painter(work), time.perf_counter()
    counts: Counter[Status] = Counter()
    left, interrupted, fault = 0, False, None
    stop_calls = partial(terminate, work.engines)
    with folder, Interrupt(stop_calls, partial(last_words, batch)) as interrupt:
        template = Batch((), painter, folder, origin, begin=begin, at_once=work.at_once)
        rounds = Rounds(template, find, overwrite=batch.overwrite)
        if not batch.quiet:
            names = ", ".join(map(printable, folders))
            print(f"watching {names}; Ctrl-C ends it", file=sys.stderr, flush=True)
        for jobs in batches(rounds, folders, batch.out, interrupt, recursive=batch.recursive):
            summary = _paint(jobs, work, batch, interrupt)
            counts.update(summary.counts)
            left, fault = summary.left, summary.fault
            interrupted = interrupt() and left > 0
            if fault or (batch.fail_fast and counts[Status.FAILED]):
                break
    return Summary(counts, left, interrupted, time.perf_counter() - began, fault)


def _paint(jobs: Batch, work: Work, batch: BatchOptions, stop: Stop) -> Summary:
    from nstbatch.cli.batch.batch import run
    from nstbatch.cli.console.reporters import reporter
    from nstbatch.cli.output.survey import Standing

    files = [each.job.file for each in jobs.entries if each.standing is Standing.TO_DO]
    if files and (said := fit(work, files, batch, 1)) and not batch.quiet:
        print(f"nstbatch: {said}", file=sys.stderr)
    total = len(jobs.entries) + len(jobs.unreadable)
    with reporter(
        total, jobs.to_do, results=batch.results, quiet=batch.quiet, preview=batch.preview
    ) as console:
        return run(jobs, console, fail_fast=batch.fail_fast, stop=stop)
