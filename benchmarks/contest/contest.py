"""Runs the whole benchmark: finds the contestants, lets them take turns, reports the results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import product

import numpy as np

from nstbatch.benchmarks.options import PEERS, BenchOptions, Entry
from nstbatch.benchmarks.reports.machine import describe_machine, is_busy
from nstbatch.benchmarks.reports.report import Case, Report, Row, Stages
from nstbatch.benchmarks.reports.statistics import (
    by_rounds,
    count_outliers,
    paired_ratio,
    percentile95,
)
from nstbatch.benchmarks.tasks.tasks import make_task
from nstbatch.benchmarks.tasks.turns import AbsentError, ContestantError, Turn, play
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.devices.processor import available_cores, threads_within
from nstbatch.runtime.devices.providers import Provider, resolve
from nstbatch.runtime.errors import ProviderError

from .judge import JudgeJob, Verdict, serve_judge
from .stages import StageJob, measure_stages
from .worker import Job, Opened, Worker, serve

log = logging.getLogger(__name__)

Tell = Callable[[str], None]

REFERENCE = "torch"  # the baseline whose pictures all others are compared with


def run(options: BenchOptions, tell: Tell = lambda line: None) -> Report:
    """Measure every contestant in every case.

    Args:
        options: What to measure.
        tell: Called with each line of progress.

    Raises:
        UnknownNameError: There is no such model.
        ImageError: A size is too small for the layers of the objective.
    """
    threads = threads_within(available_cores(), options.threads)
    machine = describe_machine(threads)
    warnings = ["The machine was busy before the benchmark began."] if is_busy(machine) else []
    providers, absent = find_providers(options.providers)
    rows: list[Row] = []
    for size, batch in product(options.sizes, options.batches):
        case = Case(options.verb, options.model, size, batch)
        contest = _Contest(case, options, threads, providers, absent, tell)
        rows += contest.rows()
        warnings += contest.warnings
    warnings += outlier_warnings(rows)
    stages: list[Stages] = []
    for provider in providers.values() if options.stages else ():
        tell(f"{provider.device} {provider.precision}: timing the stages of one picture")
        try:
            stages.append(
                measure_stages(StageJob(options.model, provider, max(options.sizes), threads))
            )
        except ContestantError as error:
            warnings.append(f"{provider.device}: the stages of one picture were not timed: {error}")
    settings = {**asdict(options), "providers": [*map(str, options.providers)]}
    settings |= {"against": [*map(str, options.against)], "threads": threads}
    return Report(machine, settings, tuple(rows), tuple(stages), tuple(warnings))


def find_providers(
    entries: Sequence[Entry],
) -> tuple[dict[Entry, Provider], dict[Entry, AbsentError]]:
    """Resolve devices with their precisions; returns those found, and the errors of the others."""
    providers: dict[Entry, Provider] = {}
    absent: dict[Entry, AbsentError] = {}
    for entry in entries:
        try:
            providers[entry] = resolve(entry.name, entry.precision)
        except ProviderError as error:
            absent[entry] = AbsentError(str(error))
    return providers, absent


def outlier_warnings(rows: Sequence[Row]) -> list[str]:
    """One warning for every row with samples far from the others."""
    return [
        f"{row.provider} {row.precision}, {row.case.size} pixels, batch {row.case.batch}: "
        f"{outliers} of {len(row.samples_ms)} steps took far longer or shorter than the others. "
        "Something else may have been running."
        for row in rows
        if row.samples_ms and (outliers := count_outliers(row.samples_ms))
    ]


class _Contest:
    """One case and its contestants."""

    def __init__(
        self,
        case: Case,
        options: BenchOptions,
        threads: int,
        providers: Mapping[Entry, Provider],
        absent: Mapping[Entry, AbsentError],
        tell: Tell,
    ) -> None:
        self._case, self._options, self._threads = case, options, threads
        self._absent = absent
        self._on_gpu = any(provider.memory == "cuda" for provider in providers.values())
        self._task = make_task(case.verb, case.model, case.size, case.batch)
        self._tell = tell
        self._name = f"{case.size} pixels, batch {case.batch}"
        self.warnings: list[str] = []

    def _say(self, line: str) -> None:
        self._tell(f"{self._name}: {line}")

    def rows(self) -> list[Row]:
        """Run the contest; one row for each contestant, in the order of their turns."""
        opened: dict[str, Opened] = {}
        failures: dict[str, ContestantError] = {}
        with ExitStack() as stack:
            workers = {}
            for entry in self._options.entries:
                name = str(entry)
                try:
                    worker = stack.enter_context(self._start(entry))
                    opened[name] = worker.answer()
                    workers[name] = worker
                except ContestantError as error:
                    failures[name] = error
            turns, broken = play(workers, self._options.rounds, self._say)
        failures |= broken
        for name, failure in failures.items():
            log.debug("%s: %s", name, failure.details or failure)
        measured = self._measured(opened, turns)
        return [
            measured.get(str(entry)) or self._missing(entry, failures[str(entry)])
            for entry in self._options.entries
        ]

    def _start(self, entry: Entry) -> Worker:
        if entry in self._absent:
            raise self._absent[entry]
        self._say(f"starting {entry}")
        job = Job(
            entry,
            self._task,
            self._threads,
            self._options.warm_up,
            self._options.steps,
            peer_device="cuda" if self._on_gpu else "cpu",
        )
        return Worker(serve, job)

    def _missing(self, entry: Entry, error: ContestantError) -> Row:
        asked = None if entry.precision == "auto" else entry.precision
        precision = PEERS.get(entry.name, asked)
        return Row(entry.name, precision, self._case, error.status, str(error))

    def _measured(
        self, opened: Mapping[str, Opened], turns: Mapping[str, Sequence[Turn]]
    ) -> dict[str, Row]:
        """The rows of the contestants that did not fail, with their ratios."""
        if not turns:
            return {}
        images = {name: opened[name].images for name in turns}
        verdict = self._verdict(images)
        reference = opened[REFERENCE].images if REFERENCE in opened else None
        rows = {}
        for name, taken in turns.items():
            provider = name.partition(":")[0]
            row = measured_row(provider, self._case, opened[name], taken, verdict.operations)
            rows[name] = replace(
                row,
                loss=verdict.losses.get(name),
                activation_bytes=None if provider in PEERS else verdict.activation_bytes,
                max_difference=None if reference is None else _difference(images[name], reference),
            )
        return with_ratios(rows)

    def _verdict(self, images: Mapping[str, Array]) -> Verdict:
        """The judge's verdict; an empty one if the judge fails, as the times are useful anyway."""
        try:
            with Worker(serve_judge, JudgeJob(self._task, images, self._threads)) as worker:
                verdict: Verdict = worker.answer()
                return verdict
        except ContestantError as error:
            log.debug("judge: %s", error.details or error)
            self.warnings.append(f"{self._name}: the pictures were not judged: {error}")
            return Verdict({}, None)


def measured_row(
    provider: str, case: Case, opened: Opened, turns: Sequence[Turn], operations: int | None
) -> Row:
    """The row of one contestant, without ratios to others.

    Args:
        provider: Name of the contestant.
        case: The measured case.
        opened: The contestant's state after its warm-up.
        turns: One for each round.
        operations: Floating-point operations of a step; None if unknown.
    """
    samples = tuple(sample for turn in turns for sample in turn.samples_ms)
    median = float(np.median(samples))
    rates = [turn.matrix_rate for turn in turns]
    share = None
    if operations is not None and all(rates):
        reached = [1e3 * operations / ms for ms in by_rounds(samples, len(turns))]
        share = paired_ratio(reached, rates).value
    return Row(
        provider,
        opened.precision,
        case,
        device=opened.device,
        ms_per_step=median,
        p95_ms=percentile95(samples),
        images_per_second=1e3 * case.batch / median,
        start_seconds=opened.start_seconds,
        peak_bytes=opened.peak_bytes,
        tflops=None if operations is None else 1e3 * operations / median / 1e12,
        matrix_tflops=float(np.median(rates)) / 1e12,
        share_of_peak=share,
        rounds=len(turns),
        samples_ms=samples,
    )


def with_ratios(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Add to each row its speed relative to each baseline among the rows."""
    by_round = {name: by_rounds(row.samples_ms, row.rounds) for name, row in rows.items()}
    return {name: _with_ratios(row, name, by_round) for name, row in rows.items()}


def _with_ratios(row: Row, name: str, by_round: Mapping[str, Sequence[float]]) -> Row:
    baselines = [peer for peer in PEERS if peer in by_round and peer != name]
    ratios = {peer: paired_ratio(by_round[peer], by_round[name]) for peer in baselines}
    return replace(
        row,
        ratio={peer: ratio.value for peer, ratio in ratios.items()},
        ratio_interval={peer: (ratio.low, ratio.high) for peer, ratio in ratios.items()},
    )


def _difference(images: Array, reference: Array) -> float:
    return float(np.abs(images - reference).max())
