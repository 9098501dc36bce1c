"""Dry runs: the plan of a batch, and an estimate of its time and memory."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nstbatch.cli.batch.batch import skipped
from nstbatch.cli.jobs.effort import ASPECT, Effort
from nstbatch.cli.jobs.painting import Outcome, Status
from nstbatch.cli.output.survey import Entry, Standing
from nstbatch.cli.text import count, duration

from .reporters import outcome_line
from .results import print_json

if TYPE_CHECKING:
    from nstbatch.cli.jobs.plan import Plan
    from nstbatch.cli.output.ledger import Ledger

# Seconds for a step of a megapixel, from README.md: up to four minutes for 300 steps at 512 pixels
# with vgg16, on two cores.
ROUGH_SECONDS = 230 / (300 * ASPECT * 0.512**2)
ROUGH_CORES = 2

# A guess, per picture: reading, opening sessions, writing.
OVERHEAD_SECONDS = 1.0

# Time of a step relative to vgg16. docs/usage.md: about a tenth.
SMALL_NETWORKS = {"squeezenet1_1": 0.1, "alexnet": 0.1}

# docs/usage.md: about 2 GB at 512 pixels with vgg16 on OpenVINO, and in proportion to the pixels.
ROUGH_BYTES = 2e9 / (ASPECT * 0.512**2)


def show(plan: Plan, entries: Sequence[Entry], *, as_json: bool) -> None:
    """Print a line for every photo with the result that a real run would give it."""
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
        else:
            print(outcome_line(outcome))


def print_totals(
    entries: Sequence[Entry], ledger: Ledger, effort: Effort | None, network: str
) -> None:
    """Print on standard error the number of pictures, and an estimate of the time and memory."""
    to_do = sum(entry.standing is Standing.TO_DO for entry in entries)
    line = f"{count(len(entries), 'picture')}, {to_do} to paint"
    if effort is not None and to_do:
        line += f": {estimate(to_do, effort, ledger, network)}"
    print(f"{line}; a dry run, nothing was painted", file=sys.stderr)


def estimate(pictures: int, effort: Effort, ledger: Ledger, network: str) -> str:
    """Return an estimate of time and memory in words, and its basis.

    Args:
        pictures: Number of pictures to paint.
        effort: The work for one picture.
        ledger: Holds the times of earlier pictures with the same network.
        network: Name of the network.
    """
    work = pictures * effort.steps * effort.megapixels
    memory = f"{max(effort.megapixels * ROUGH_BYTES, 5e8) / 1e9:.1f} GB of memory"
    measured = _seconds_before(ledger, network)
    if measured is not None:
        return f"about {duration(work * measured)}, estimated from the ledger, and {memory}"
    from nstbatch.runtime.devices.processor import available_cores

    seconds = ROUGH_SECONDS * SMALL_NETWORKS.get(network, 1.0)
    seconds *= ROUGH_CORES / available_cores()
    seconds = work * seconds + pictures * OVERHEAD_SECONDS
    return f"very roughly {duration(seconds)} on the CPU, and {memory}"


def _seconds_before(ledger: Ledger, network: str) -> float | None:
    """Return the median time for a step of a megapixel; None without earlier pictures."""
    times = [
        line.seconds / (line.steps * line.megapixels)
        for line in ledger.finished
        if line.steps and line.megapixels and _network(ledger, line.run) == network
    ]
    return statistics.median(times) if times else None


def _network(ledger: Ledger, run: str) -> str | None:
    line = ledger.runs.get(run)
    return line.bundle if line else None
