"""Dry runs: the plan of a batch, and an estimate of its time and memory."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nstbatch.cli.batch.batch import skipped
from nstbatch.cli.jobs.effort import OF_FULL_SIZE, Effort, Shape
from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.output.survey import Entry, Standing
from nstbatch.cli.text import count, duration, gigabytes
from nstbatch.cli.workers.processes import ALONE, Processes

from .reporters import outcome_line
from .results import print_json

if TYPE_CHECKING:
    from nstbatch.cli.jobs.plan import Plan
    from nstbatch.cli.output.kept import KeptLedger

# Seconds for a step of a megapixel, from README.md: up to four minutes for 300 steps at 512 pixels
# with vgg16, on two cores.
ROUGH_SECONDS = 230 / (300 * OF_FULL_SIZE * 0.512 * 0.341)
ROUGH_CORES = 2

# A guess, per picture: reading, opening sessions, writing.
OVERHEAD_SECONDS = 1.0

# Time of a step relative to vgg16, measured at 1024x768 pixels on the CPU provider with Adam.
SMALL_NETWORKS = {"squeezenet1_1": 0.15, "alexnet": 0.08}


def show(plan: Plan, entries: Sequence[Entry], *, as_json: bool, quiet: bool = False) -> None:
    """Print a line for every photo with the result that a real run would give it.

    With ``quiet``, the lines are those of failures alone.
    """
    outcomes = [
        Outcome(folder.path, None, Status.FAILED, folder.reason) for folder in plan.unreadable
    ]
    for entry in entries:
        if entry.standing is Standing.TO_DO:
            outcomes.append(Outcome.of(entry.job, Status.PLANNED))
        else:
            outcomes.append(skipped(entry))
    for outcome in outcomes:
        if as_json:
            print_json(outcome)
        elif quiet and outcome.status is Status.FAILED:
            print(outcome_line(outcome), file=sys.stderr)
        elif not quiet:
            print(outcome_line(outcome))


def print_totals(
    entries: Sequence[Entry],
    ledger: KeptLedger,
    effort: Effort | None,
    network: str,
    processes: Processes,
    gpu: bool,
) -> None:
    """Print on standard error the number of pictures, and an estimate of time and memory."""
    photos = [entry.job.file for entry in entries if entry.standing is Standing.TO_DO]
    line = f"{count(len(entries), 'picture')}, {len(photos)} to paint"
    processes = processes.at_most(len(photos))
    if len(processes) > 1:
        line += f" in {processes.description}"
    if effort is not None and photos:
        shapes = effort.shapes(photos)
        line += estimate(len(photos), shapes, effort, ledger, network, processes, on_gpu=gpu)
    print(f"{line}; a dry run, nothing was painted", file=sys.stderr)


def estimate(
    pictures: int,
    shapes: Sequence[Shape],
    effort: Effort,
    ledger: KeptLedger,
    network: str,
    processes: Processes = ALONE,
    *,
    on_gpu: bool = False,
) -> str:
    """Return an estimate of time and memory in words, and its basis, after a colon.

    Args:
        pictures: Number of pictures to paint.
        shapes: Height and width of these pictures, or of some of them.
        effort: The work for the pictures.
        ledger: Holds the times of earlier pictures with the same network.
        network: Name of the network.
        processes: The processes that paint them.
        on_gpu: True if the memory is that of a GPU, or of each of several.
    """
    needed = effort.memory(max(shapes, key=math.prod), -(-pictures // len(processes)))
    if needed is not None and not on_gpu:
        needed *= len(processes)
    kind = "memory" if not on_gpu else "GPU memory" + (" each" if len(processes) > 1 else "")
    if effort.steps is None:
        return "" if needed is None else f": about {gigabytes(needed)} of {kind}"
    memory = "" if needed is None else f", and {gigabytes(needed)} of {kind}"
    megapixels = statistics.mean(effort.megapixels(shape, effort.steps) for shape in shapes)
    # Processes on one processor are together no faster than one, as far as is known before.
    apart = 1 if processes.on_processor else len(processes)
    work = pictures * megapixels / apart
    measured = _seconds_before(ledger, network, effort)
    if measured is not None:
        return f": about {duration(work * measured)}, estimated from the ledger{memory}"
    seconds = work * step_seconds(network) + pictures * OVERHEAD_SECONDS
    return f": very roughly {duration(seconds)} on the CPU{memory}"


def step_seconds(network: str) -> float:
    """Return a rough estimate of the seconds for a step of a megapixel on the processor."""
    from nstbatch.runtime.devices.processor import available_cores

    seconds = ROUGH_SECONDS * SMALL_NETWORKS.get(network, 1.0)
    return seconds * ROUGH_CORES / available_cores()


def _seconds_before(ledger: KeptLedger, network: str, effort: Effort) -> float | None:
    """Return the median time for a step of a megapixel; None without earlier pictures.

    It is that of a whole processor, if processes divided it among themselves then.
    """
    times = [
        line.seconds
        / (effort.megapixels(_square(line.megapixels), line.steps) * _jobs(ledger, line.run))
        for line in ledger.finished
        if line.steps and line.megapixels and _network(ledger, line.run) == network
    ]
    return statistics.median(times) if times else None


def _square(megapixels: float) -> Shape:
    side = round(math.sqrt(megapixels * 1e6))
    return side, side


def _jobs(ledger: KeptLedger, run: str) -> int:
    line = ledger.runs.get(run)
    jobs = line.settings.get("jobs") if line else None
    return jobs if isinstance(jobs, int) and jobs > 0 else 1


def _network(ledger: KeptLedger, run: str) -> str | None:
    line = ledger.runs.get(run)
    return line.bundle if line else None
