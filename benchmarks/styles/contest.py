"""Times every way to paint, in turns: A B C A B C ..., never two at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from nstbatch.benchmarks.contest.contest import find_providers
from nstbatch.benchmarks.contest.worker import Opened, Worker
from nstbatch.benchmarks.options import BenchOptions, Entry
from nstbatch.benchmarks.reports.machine import describe_machine, is_busy
from nstbatch.benchmarks.reports.statistics import (
    by_rounds,
    count_outliers,
    paired_ratio,
    percentile95,
)
from nstbatch.benchmarks.tasks.turns import ContestantError, Turn, play
from nstbatch.runtime.devices.processor import available_cores, threads_within

from .contestant import StyleJob, serve_style
from .report import StyleReport, StyleRow
from .ways import REFERENCE, Way, ways

Tell = Callable[[str], None]


def compare_ways(options: BenchOptions, size: int, tell: Tell = lambda line: None) -> StyleReport:
    """Measure every way on every device.

    Args:
        options: The model, the devices, the rounds and the steps; the rest is of other benchmarks.
        size: Side of the square picture, in pixels.
        tell: Called with each line of progress.
    """
    threads = threads_within(available_cores(), options.threads)
    machine = describe_machine(threads)
    warnings = ["The machine was busy before the benchmark began."] if is_busy(machine) else []
    found, absent = find_providers(options.providers)
    rows = [
        StyleRow("all", entry.name, None, size, error.status, str(error))
        for entry, error in absent.items()
    ]
    for entry in found:
        rows += _rows(entry, options, size, threads, tell)
    warnings += [
        f"{row.way} on {row.provider}: {outliers} of {len(row.samples_ms)} steps took far longer "
        "or shorter than the others. Something else may have been running."
        for row in rows
        if row.samples_ms and (outliers := count_outliers(row.samples_ms))
    ]
    settings = {"model": options.model, "size": size, "threads": threads}
    settings |= {"rounds": options.rounds, "steps": options.steps, "warm_up": options.warm_up}
    return StyleReport(machine, settings, tuple(rows), tuple(warnings))


def _rows(
    entry: Entry, options: BenchOptions, size: int, threads: int, tell: Tell
) -> list[StyleRow]:
    """Run the contest on one device; a row for each way, in the order of their turns."""
    workers, opened, failed = {}, dict[str, tuple[Opened, int, float]](), {}
    every = ways(size)
    with ExitStack() as stack:
        for way in every:
            tell(f"starting {way.name} on {entry}")
            job = StyleJob(way, entry, options.model, threads, options.warm_up, options.steps)
            try:
                worker = stack.enter_context(Worker(serve_style, job))
                opened[way.name] = worker.answer()
                workers[way.name] = worker
            except ContestantError as error:
                failed[way.name] = error
        turns, broken = play(workers, options.rounds, tell)
    failed |= broken
    rows = [
        _measured(way, entry, size, *opened[way.name], turns[way.name])
        if way.name in turns
        else StyleRow(way.name, entry.name, None, size, "failed", str(failed[way.name]))
        for way in every
    ]
    return _with_ratios(rows, options.rounds)


def _measured(
    way: Way,
    entry: Entry,
    size: int,
    opened: Opened,
    steps: int,
    work: float,
    turns: Sequence[Turn],
) -> StyleRow:
    samples = tuple(sample for turn in turns for sample in turn.samples_ms)
    median = float(np.median(samples))
    measured: dict[str, Any] = {"ms_per_step": median, "p95_ms": percentile95(samples)}
    measured |= {"steps": steps, "seconds_per_picture": work * median / 1e3}
    measured |= {"peak_bytes": opened.peak_bytes, "samples_ms": samples}
    return StyleRow(way.name, entry.name, opened.precision, size, **measured)


def _with_ratios(rows: list[StyleRow], rounds: int) -> list[StyleRow]:
    """Add the time of a step relative to that of the reference."""
    by_way = {row.way: by_rounds(row.samples_ms, rounds) for row in rows if row.samples_ms}
    if REFERENCE not in by_way:
        return rows
    ratios = {way: paired_ratio(times, by_way[REFERENCE]) for way, times in by_way.items()}
    return [
        replace(row, ratio=(ratio.value, ratio.low, ratio.high))
        if (ratio := ratios.get(row.way))
        else row
        for row in rows
    ]
