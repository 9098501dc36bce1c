"""Measures the speed of steps on a GPU beside PyTorch, for all cases that fit into its memory.

Contestants run one after the other, each alone on the GPU: together they would share its memory,
which large cases need. So a slow minute does not cancel out as in
:mod:`nstbatch.benchmarks.contest`, and ratios are those of two runs. **Not run on a GPU yet.**
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TypeAlias

import numpy as np

from nstbatch.benchmarks.contest.contest import measured_row
from nstbatch.benchmarks.contest.judge import JudgeJob, Verdict, serve_judge
from nstbatch.benchmarks.contest.worker import Job, Opened, Worker, serve
from nstbatch.benchmarks.options import Entry
from nstbatch.benchmarks.reports.report import Case, Row
from nstbatch.benchmarks.reports.statistics import unpaired_ratio
from nstbatch.benchmarks.tasks.tasks import make_task
from nstbatch.benchmarks.tasks.turns import AbsentError, ContestantError
from nstbatch.runtime.devices.gpu_memory import gpu_memory
from nstbatch.runtime.devices.processor import available_cores
from nstbatch.runtime.needs.batch_size import OVERHEAD, bytes_of_step
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer

from .switches import Switch, serve_switched
from .variants import VARIANTS, Variant, VariantJob

RowKey: TypeAlias = tuple[str, str | None, Case]
"""A contestant, its precision and its case."""

# Side of the picture, in pixels, from which the memory of larger ones is estimated. A guess.
COUNTED_SIDE = 256

# Larger cases are not judged: it takes the processor seconds, and their pictures come from the same
# graphs.
JUDGED_PIXELS = 512**2


@dataclass(frozen=True)
class Speed:
    """The settings of the measurement."""

    model: str
    entries: tuple[Entry, ...]
    """Devices and their precisions."""
    variants: tuple[Variant, ...]
    sizes: tuple[int, ...]
    batches: tuple[int, ...]
    rounds: int
    steps: int
    warm_up: int
    threads: int
    peer_device: str
    """Device of PyTorch: "cuda", or "cpu" to try it out."""
    switches: tuple[Switch, ...] = ()
    """Our own choices to switch, in the first case."""

    @property
    def cases(self) -> list[Case]:
        """All cases, in the order of sizes and batches."""
        pairs = product(self.sizes, self.batches)
        return [Case("stylize", self.model, size, batch) for size, batch in pairs]


@dataclass(frozen=True)
class SpeedJob:
    """One contestant in one case, to be measured."""

    name: str
    precision: str
    case: Case
    rounds: int
    open_it: Callable[[], Worker]
    lack: str | None = None
    """The reason why it does not fit into memory."""

    @property
    def key(self) -> RowKey:
        """The key of its row."""
        return self.name, self.precision, self.case

    def row(self, left: Callable[[], float | None]) -> Row:
        """Measure it.

        Args:
            left: Returns the seconds that are left; None for any number.

        Raises:
            OutOfTimeError: The time was over.
        """
        if self.lack is not None:
            return self.unmeasured("skipped", self.lack)
        try:
            with self.open_it() as worker:
                opened = worker.answer(left())
                turns = [worker.turn(left()) for _ in range(self.rounds)]
        except ContestantError as error:
            status = "skipped" if _is_memory(str(error)) else error.status
            return self.unmeasured(status, str(error))
        return self._judged(measured_row(self.name, self.case, opened, turns, None), opened, left)

    def _judged(self, row: Row, opened: Opened, left: Callable[[], float | None]) -> Row:
        """The row with the loss of its pictures, if the case is small."""
        if self.case.batch * self.case.size**2 > JUDGED_PIXELS:
            return row
        task = make_task(self.case.verb, self.case.model, self.case.size, self.case.batch)
        job = JudgeJob(task, {self.name: opened.images}, available_cores())
        try:
            with Worker(serve_judge, job) as judge:
                verdict: Verdict = judge.answer(left())
        except ContestantError:  # the times are useful anyway
            return row
        return replace(row, loss=verdict.losses[self.name])

    def unmeasured(self, status: str, reason: str) -> Row:
        """Its row without numbers."""
        return Row(self.name, self.precision, self.case, status, reason)


def speed_jobs(speed: Speed, cases: Sequence[Case], done: Collection[RowKey]) -> Iterator[SpeedJob]:
    """One job for each contestant in each case, without those that are done.

    A job of a case that does not fit into memory makes a row that says so.
    """
    one = None
    for case in cases:
        jobs = [job for job in _jobs_of(case, speed) if job.key not in done]
        if jobs:
            one = bytes_of_one(speed.model) if one is None else one
            lack = memory_lack(one, case.size, case.batch, gpu_memory("free"))
            yield from (replace(job, lack=lack) for job in jobs)


def switch_jobs(speed: Speed, case: Case, done: Collection[RowKey]) -> Iterator[SpeedJob]:
    """One job for each switch in a case, without those that are done; none without CUDA."""
    task = make_task(case.verb, case.model, case.size, case.batch)
    entries = {entry.precision: entry for entry in speed.entries if entry.name == "cuda"}
    for switch in speed.switches:
        if switch.precision not in entries:
            continue
        usual = Job(entries[switch.precision], task, speed.threads, speed.warm_up, speed.steps)
        open_it = partial(Worker, serve_switched, (usual, switch))
        job = SpeedJob(switch.contestant, switch.precision, case, speed.rounds, open_it)
        if job.key not in done:
            yield job


def bytes_of_one(model: str) -> int:
    """Memory of a step with one picture of :data:`COUNTED_SIDE`, in float32."""
    options = StyleTransferOptions()
    transfer = StyleTransfer(model, device="cpu", precision="fp32")
    size = (COUNTED_SIDE, COUNTED_SIDE)
    bundle, terms = transfer.engine.bundle, transfer.objective(options).terms
    return bytes_of_step(bundle, terms, options.pooling, size)


def memory_lack(one: int, size: int, batch: int, free: int | None) -> str | None:
    """The reason why a case does not fit into memory, or None; memory grows with the pixels."""
    wanted = OVERHEAD * one * batch * (size / COUNTED_SIDE) ** 2
    if free is None or wanted <= free:
        return None
    return f"it needs about {wanted / 1e9:.0f} GB in fp32, and {free / 1e9:.0f} GB are free"


def with_ratios(rows: Sequence[Row]) -> list[Row]:
    """Add to each row of a case its speed relative to each variant of PyTorch."""
    rounds = {row.provider: _rounds(row) for row in rows if row.rounds}
    peers = [variant.name for variant in VARIANTS if variant.name in rounds]
    return [_with_ratios(row, peers, rounds) if row.rounds else row for row in rows]


def _rounds(row: Row) -> list[list[float]]:
    """The samples of each round."""
    samples: list[list[float]] = np.reshape(row.samples_ms, (row.rounds, -1)).tolist()
    return samples


def _with_ratios(
    row: Row, peers: Sequence[str], rounds: Mapping[str, Sequence[Sequence[float]]]
) -> Row:
    own = _rounds(row)
    ratios = {peer: unpaired_ratio(rounds[peer], own) for peer in peers if peer != row.provider}
    return replace(
        row,
        ratio={peer: ratio.value for peer, ratio in ratios.items()},
        ratio_interval={peer: (ratio.low, ratio.high) for peer, ratio in ratios.items()},
    )


def _jobs_of(case: Case, speed: Speed) -> Iterator[SpeedJob]:
    task = make_task(case.verb, case.model, case.size, case.batch)
    for entry in speed.entries:
        job = Job(entry, task, speed.threads, speed.warm_up, speed.steps)
        open_it = partial(Worker, serve, job)
        yield SpeedJob(entry.name, entry.precision, case, speed.rounds, open_it)
    for variant in speed.variants:
        job_of = VariantJob(
            variant, task, speed.threads, speed.warm_up, speed.steps, speed.peer_device
        )
        open_peer = partial(_peer, job_of)
        yield SpeedJob(variant.name, variant.precision, case, speed.rounds, open_peer)


def _peer(job: VariantJob) -> Worker:
    try:
        from .peers import serve_variant
    except ImportError as error:
        raise AbsentError(f"PyTorch does not load ({error})") from error
    return Worker(serve_variant, job)


def _is_memory(reason: str) -> bool:
    """True if the GPU ran out of memory, in the words of PyTorch or ONNX Runtime's arena."""
    return "out of memory" in reason.lower() or "Failed to allocate memory" in reason
