"""Carries a batch out, or only shows it, and tells how it goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from nstbatch.cli.exit_codes import DONE, FAILED
from nstbatch.cli.jobs.memory_budget import ONLY_WHOLE, MemoryBudget
from nstbatch.cli.text import printable, shell
from nstbatch.runtime.storage.addresses import RemotePath
from nstbatch.runtime.storage.local_copies import scratch_folder

if TYPE_CHECKING:
    from pathlib import Path

    from nstbatch.cli.batch.batch import Batch, Summary
    from nstbatch.cli.jobs.effort import Effort
    from nstbatch.cli.jobs.painting import Painter
    from nstbatch.cli.jobs.plan import Plan
    from nstbatch.cli.jobs.reporter import Reporter
    from nstbatch.cli.output.fingerprint import Origin, Source
    from nstbatch.cli.output.output_folder import NetworkRecord, OutputFolder
    from nstbatch.cli.output.picture_writer import PictureWriter
    from nstbatch.cli.output.survey import Entry
    from nstbatch.runtime.engine.engine import Engine

    from .prepare import BatchOptions

STDERR = 2
# DECTCEM of ECMA-48 terminals: a bar that is shown hides the cursor.
SHOW_CURSOR = "\x1b[?25h"


@dataclass(frozen=True)
class Work:
    """A plan, and all that it is carried out with.

    Attributes:
        plan: The pictures to make.
        painter: Makes one picture.
        engines: The networks that the painter computes with. A picture that fails gets a second
            try with less memory, or in fp32. A list may grow while the painter opens more.
        sources: The pictures that every photo is painted with, by the names of their options;
            their bytes count, not their names.
        effort: The work for one picture, for the estimate of a dry run.
        at_once: Number of jobs that the painter may work on at a time.
        budget: The memory that they may take.
    """

    plan: Plan
    painter: Painter
    engines: Sequence[Engine] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    effort: Effort | None = None
    at_once: int = 1
    budget: MemoryBudget = ONLY_WHOLE

    @property
    def gpu(self) -> int | None:
        """The number of the GPU that this process paints on; None for a processor."""
        providers = (engine.provider for engine in self.engines)
        return next((each.gpu for each in providers if each.memory == "cuda"), None)


def carry_out(work: Work, batch: BatchOptions) -> int:
    """Make the pictures of a plan, or only show the plan, and return the exit code.

    Raises:
        UsageError: Pictures are there that were made otherwise, or nothing can be written.
    """
    from nstbatch.cli.batch.batch import Batch
    from nstbatch.cli.jobs.painting import Status
    from nstbatch.cli.output.survey import Photos, survey

    plan, painter = work.plan, resilient_painter(work)
    stop_calls: Callable[[], None] = partial(terminate, work.engines)
    if (service := batch.invocation.call.service) is not None:
        fit(work, [job.file for job in service.plan.jobs], batch, service.processes)
        service.serve(painter, stop_calls, work.at_once)
        raise typer.Exit(DONE)
    folder, origin, network = output_of(work, batch)
    photos = Photos()

    def entries() -> list[Entry]:
        return survey(plan, batch.out, folder.ledger, origin, photos, overwrite=batch.overwrite)

    if batch.dry_run:
        return _show(work, entries(), folder, batch, network.name)
    with folder:
        begin = partial(folder.begin, batch.invocation, origin, network)
        jobs = Batch(
            entries(), painter, folder, origin, photos, plan.unreadable, begin, work.at_once
        )
        processes = len(batch.processes.at_most(jobs.to_do))
        said = fit(work, _to_do(jobs.entries), batch, processes)
        if said is not None and not batch.quiet:
            print(f"nstbatch: {said}", file=sys.stderr)
        with _divided(jobs, work, folder.writer, batch) as (jobs, stop_calls):
            summary, lost = _paint(jobs, batch, stop_calls)
    if batch.alone is not None and batch.alone.to_stdout and summary.counts[Status.DONE]:
        batch.alone.print()
    print_end(summary, batch)
    if batch.report:
        _make_page(summary, batch)
    if lost and batch.as_json:
        print(f"nstbatch: Lines of JSON could not be printed: {lost.strerror}.", file=sys.stderr)
        return summary.exit_code or FAILED
    return summary.exit_code


def resilient_painter(work: Work) -> Painter:
    """Return the painter of a batch, which gives a picture that fails a second try."""
    from nstbatch.cli.batch.faults import resilient

    painter = work.painter
    for engine in work.engines:
        painter = resilient(painter, engine, has_tiles=work.budget.has_tiles)
    return painter


def output_of(work: Work, batch: BatchOptions) -> tuple[OutputFolder, Origin, NetworkRecord]:
    """Return the output folder of a batch, what its pictures are made from, and its network."""
    from nstbatch.cli.output.fingerprint import origin_of
    from nstbatch.cli.output.output_folder import NetworkRecord, OutputFolder
    from nstbatch.cli.output.picture_writer import PictureWriter

    networks = [engine.bundle for engine in work.engines]
    network = NetworkRecord.of(networks)
    writer = PictureWriter(batch.pictures, batch.invocation, networks)
    is_alone = batch.alone is not None
    folder = OutputFolder(batch.out, writer, alone=is_alone, snapshots=batch.snapshots)
    return folder, origin_of(batch.invocation, work.sources, network.sha256), network


@contextmanager
def _divided(
    jobs: Batch, work: Work, writer: PictureWriter, batch: BatchOptions
) -> Iterator[tuple[Batch, Callable[[], None]]]:
    """Let workers paint, if the options ask for some.

    Yields the batch with its painter, and what ends the painter's calls under way.
    """
    processes = batch.processes.at_most(jobs.to_do)
    if not processes.paint:
        yield jobs, partial(terminate, work.engines)
        return
    from nstbatch.cli.jobs.effort import HANDED
    from nstbatch.cli.jobs.plan import Plan
    from nstbatch.cli.options.defaults import environment
    from nstbatch.cli.output.survey import Standing
    from nstbatch.cli.workers.pool import Pool

    to_do = [entry.job for entry in jobs.entries if entry.standing is Standing.TO_DO]
    plan = Plan(work.effort.sample(to_do) if work.effort else tuple(to_do[:HANDED]))
    starts = list(processes.starts(batch.invocation.call.words, plan, writer))
    shows = bool(batch.snapshots or batch.preview or batch.watch_progress or batch.watch_port)
    with processes.opened(environment()) as opener, Pool(starts, opener, shows=shows) as pool:

        def begin() -> None:
            pool.start()
            jobs.begin()

        at_once = processes.at_once(jobs.at_once)
        yield replace(jobs, painter=pool.paint, begin=begin, at_once=at_once), pool.terminate


def terminate(engines: Sequence[Engine]) -> None:
    """End the calls under way in all engines; may be called from any thread."""
    for engine in engines:
        engine.terminate()


def _show(
    work: Work, entries: list[Entry], folder: OutputFolder, batch: BatchOptions, network: str
) -> int:
    from nstbatch.cli.console.dry_run import print_totals, show
    from nstbatch.cli.output.survey import refuse_outdated, refuse_unknown

    show(work.plan, entries, as_json=batch.as_json, quiet=batch.quiet)
    photos = _to_do(entries)
    said = fit(work, photos, batch, len(batch.processes.at_most(len(photos))))
    if not batch.quiet:
        if said is not None:
            print(f"nstbatch: {said}", file=sys.stderr)
        print_totals(
            entries, folder.ledger, work.effort, network, batch.processes, work.gpu is not None
        )
    refuse_outdated(entries)
    if batch.alone is not None:
        refuse_unknown(entries)
    return FAILED if work.plan.unreadable else DONE


def _paint(
    jobs: Batch, batch: BatchOptions, terminate: Callable[[], None]
) -> tuple[Summary, OSError | None]:
    """Paint the pictures; also returns why results could not be printed, if so."""
    from nstbatch.cli.batch.batch import run
    from nstbatch.cli.batch.interrupt import Interrupt
    from nstbatch.cli.console.reporters import reporter
    from nstbatch.cli.output.survey import refuse_outdated, refuse_unknown

    refuse_outdated(jobs.entries)
    if batch.alone is not None:
        refuse_unknown(jobs.entries)
    if jobs.to_do and not batch.quiet:
        _print_what_is_faster(batch)
    total = len(jobs.entries) + len(jobs.unreadable)
    with (
        Interrupt(terminate, partial(last_words, batch)) as interrupt,
        reporter(
            total,
            jobs.to_do,
            results=batch.results,
            quiet=batch.quiet,
            preview=batch.preview,
        ) as console,
        _watched(console, jobs.to_do, batch) as report,
    ):
        summary = run(jobs, report, fail_fast=batch.fail_fast, stop=interrupt)
    return summary, console.lost


def last_words(batch: BatchOptions) -> None:
    """Print how to resume, when the process is about to end in the middle of a call."""
    cursor = SHOW_CURSOR if os.isatty(STDERR) else ""
    with suppress(OSError):  # whoever read it may be gone
        os.write(STDERR, f"{cursor}{way_on(batch)}".encode())


@contextmanager
def _watched(console: Reporter, to_do: int, batch: BatchOptions) -> Iterator[Reporter]:
    """Serve the page of the batch while it runs, if the options say so."""
    if not (batch.watch_progress or batch.watch_port):
        yield console
        return
    from nstbatch.cli.jobs.reporter import Tee
    from nstbatch.cli.report.live_batch import LiveBatch
    from nstbatch.cli.report.progress_server import serving

    live = LiveBatch(batch.out, to_do)
    with serving(live, batch.watch_port) as address:
        print(f"progress at {address}", file=sys.stderr, flush=True)
        yield Tee(console, live)


def _to_do(entries: Sequence[Entry]) -> list[Path]:
    from nstbatch.cli.output.survey import Standing

    return [entry.job.file for entry in entries if entry.standing is Standing.TO_DO]


def fit(work: Work, photos: Sequence[Path], batch: BatchOptions, processes: int) -> str | None:
    """Choose tiles by the memory that there is, and return a sentence about it; None without."""
    if work.effort is None or not photos or batch.processes.are_elsewhere:
        return None
    engine = work.engines[0] if work.engines else None
    folder = scratch_folder() if isinstance(batch.out, RemotePath) else batch.out
    return work.budget.fit(engine, work.effort, photos, folder, processes)


def _print_what_is_faster(batch: BatchOptions) -> None:
    """Name a faster device that this machine has and "auto" could not use, before the wait."""
    from nstbatch.runtime.devices.providers import within_reach

    asked = batch.invocation.settings
    is_told = (asked.get("device"), asked.get("precision")) != ("auto", "auto")
    if is_told or batch.processes.are_elsewhere:
        return
    missing = within_reach()
    if missing is not None:
        print(
            f"nstbatch: The device {missing.device!r} would be faster and cannot be used: "
            f"{missing.detail}. To change that: {missing.fix}",
            file=sys.stderr,
        )


def print_end(summary: Summary, batch: BatchOptions) -> None:
    """Say how a batch has ended, and how it can be resumed if it was stopped."""
    from nstbatch.cli.console.reporters import summary_line

    if summary.fault:
        print(f"nstbatch: The batch was stopped. {summary.fault}", file=sys.stderr)
    if not batch.quiet:
        print(summary_line(summary), file=sys.stderr)
    if summary.fault or summary.interrupted:
        print(way_on(batch), file=sys.stderr, end="")


def _make_page(summary: Summary, batch: BatchOptions) -> None:
    """Write the page; after an interrupt only say how."""
    if summary.interrupted:
        words = ["nstbatch", "report", os.fspath(batch.out)]
        print(f"for the page: {shell(words)}", file=sys.stderr)
        return
    from nstbatch.cli.report.page import write_page

    from .report import tracked

    page = write_page(batch.out, None if batch.quiet else tracked)
    if not batch.quiet:
        print(f"the page is {printable(page)}", file=sys.stderr)


def way_on(batch: BatchOptions) -> str:
    """Return the command that resumes a stopped batch, for a shell; empty if none can."""
    if not batch.invocation.verb or (batch.alone is not None and batch.alone.to_stdout):
        return ""
    piped = ", with the same standard input" if batch.inputs.are_piped else ""
    return f"to go on{piped}: {shell(batch.invocation.resume)}\n"
