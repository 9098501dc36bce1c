"""One command for a machine with an NVIDIA GPU: checks the results and measures the speed.

    python -m nstbatch.benchmarks.gpu_checks --out results.json

It writes to one JSON file after every check and every row. With the same options it goes on where
it was: ``--minutes 10`` ends it in time, as often as it takes. At the end it prints one table of
the checks and one of the speeds. It exits with 0 if no check failed, 1 if one did, 2 for wrong
usage, 3 if there is no GPU to check, and 4 if something is left for the next time.
**Nobody has run it on a GPU yet.** ``--devices cpu`` tries it on a processor, and says so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from nstbatch.benchmarks.gpu.probes import (
    AFTER_FIRST_CASE,
    AT_THE_END,
    CHECKS,
    Check,
    CheckJob,
    failed_check,
    run_check,
)
from nstbatch.benchmarks.gpu.progress import (
    Deadline,
    Item,
    Results,
    read_results,
    results_so_far,
)
from nstbatch.benchmarks.gpu.speed import Speed, SpeedJob, speed_jobs, switch_jobs
from nstbatch.benchmarks.gpu.switches import SWITCHES
from nstbatch.benchmarks.gpu.variants import VARIANTS, Variant
from nstbatch.benchmarks.reports.machine import describe_machine
from nstbatch.benchmarks.reports.report import Report, Row
from nstbatch.benchmarks.reports.table import NOTHING, Grid, milliseconds, plus_minus
from nstbatch.benchmarks.tasks.turns import OutOfTimeError
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import one_of
from nstbatch.runtime.devices.devices import check
from nstbatch.runtime.devices.processor import available_cores
from nstbatch.runtime.errors import NstbatchError, UsageError
from nstbatch.runtime.files import write_atomically

from .options import Entry, parse_numbers, words

ON_GPU = ("cuda", "tensorrt")
FAILED, NO_GPU, UNFINISHED = 1, 3, 4

# The cases of the speed table, the most telling first. These and the numbers of rounds and steps
# below are guesses.
SIZES = "512,1024,256,2048"
BATCHES = "1,8,2,4,16"

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Plan:
    """The settings of one run of the command."""

    devices: tuple[str, ...]
    model: str
    check_size: int
    check_steps: int
    checks: tuple[str, ...]
    speed: Speed


def run(
    plan: Plan,
    tell: Callable[[str], None],
    keep: Callable[[Results], None],
    results: Results,
    deadline: Deadline,
) -> tuple[Results, bool]:
    """Run the checks, then measure the speed, one thing after the other.

    Args:
        plan: The settings.
        tell: Called with the name of each check and row before it begins.
        keep: Called with all results after each of them.
        results: The results of earlier runs of the same plan, which are not made again.
        deadline: What is not made by then is left to the next run. If the first thing alone takes
            longer, it has failed.

    Returns:
        The results, and whether they are complete.
    """
    is_first = True
    for item in items(plan, results):
        tell(item.name)
        try:
            made = item.measure(deadline)
        except OutOfTimeError:
            if not is_first:
                return results, False
            made = item.failed(f"it did not end within {deadline.minutes:g} minutes")
        is_first = False
        results = results.with_one(made)
        keep(results)
    return results, True


def items(plan: Plan, results: Results) -> Iterator[Item]:
    """The checks and rows of a plan that are not among the results, the most telling first."""
    cases = plan.speed.cases
    late = AFTER_FIRST_CASE | AT_THE_END
    yield from _checks(plan, results, [name for name in plan.checks if name not in late])
    speed, rows = (
        plan.speed,
        {(row.provider, row.precision, row.case) for row in results.report.rows},
    )
    yield from _rows(speed_jobs(speed, cases[:1], rows))
    yield from _checks(plan, results, [name for name in plan.checks if name in AFTER_FIRST_CASE])
    for case in cases[:1]:
        yield from _rows(switch_jobs(speed, case, rows))
    yield from _rows(speed_jobs(speed, cases[1:], rows))
    yield from _checks(plan, results, [name for name in plan.checks if name in AT_THE_END])


def _checks(plan: Plan, results: Results, names: Sequence[str]) -> Iterator[Item]:
    made = {(check.name, check.device) for check in results.checks}
    speed = plan.speed
    for device, name in product(plan.devices, names):
        if (name, device) not in made:
            sizes = (plan.check_size, plan.check_steps)
            job = CheckJob(name, device, plan.model, *sizes, speed.threads, speed.peer_device)
            yield Item(
                f"{device}: {name}",
                lambda deadline, job=job: run_check(job, deadline.left),  # type: ignore[misc]
                lambda reason, job=job: failed_check(job, reason),  # type: ignore[misc]
            )


def _rows(jobs: Iterable[SpeedJob]) -> Iterator[Item]:
    for job_of in jobs:
        yield Item(
            f"{job_of.case.size} pixels, batch {job_of.case.batch}: {job_of.name}",
            lambda deadline, job=job_of: job.row(lambda: deadline.left),  # type: ignore[misc]
            lambda reason, job=job_of: job.unmeasured("failed", reason),  # type: ignore[misc]
        )


# --- For people -------------------------------------------------------------------------------


def checks_grid(checks: Sequence[Check]) -> Grid:
    """A table with one row for each check."""
    rows = tuple(
        (
            one.name,
            one.device,
            one.precision,
            one.status,
            ", ".join(f"{name} {value:.6g}" for name, value in one.values.items()) or NOTHING,
            one.reason or NOTHING,
        )
        for one in checks
    )
    return Grid(("check", "device", "precision", "status", "found", "reason"), rows, 6, 4)


def speed_grid(rows: Sequence[Row]) -> Grid:
    """A table of contestants and cases, with the ratio to each way to run PyTorch."""
    peers = [variant.name for variant in VARIANTS if any(variant.name in r.ratio for r in rows)]
    titles = ("contestant", "precision", "size", "batch", "ms/step", "images/s", "peak MB", "loss")
    lines = tuple((*_cells(row), *(_ratio(row, peer) for peer in peers), _why(row)) for row in rows)
    return Grid((*titles, *(f"x {peer}" for peer in peers), "status"), lines, 2, 4)


def as_markdown(path: Path) -> str:
    """The results in a file as Markdown, for docs/gpu.md.

    Raises:
        UsageError: It holds no results.
    """
    machine, results = read_results(path)
    rows = results.report.rows
    parts = [f"On {machine.get('gpu') or machine.get('processor')}:\n"]
    parts += [checks_grid(results.checks).to_markdown(), speed_grid(rows).to_markdown()]
    return "\n".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    case = (row.provider, row.precision or NOTHING, str(row.case.size), str(row.case.batch))
    if row.ms_per_step is None or row.images_per_second is None:
        return (*case, *[NOTHING] * 4)
    peak = NOTHING if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}"
    loss = NOTHING if row.loss is None else f"{row.loss:.5g}"
    return (*case, milliseconds(row.ms_per_step), f"{row.images_per_second:.4g}", peak, loss)


def _ratio(row: Row, peer: str) -> str:
    if peer not in row.ratio:
        return NOTHING
    return plus_minus(row.ratio[peer], *row.ratio_interval[peer])


def _why(row: Row) -> str:
    return row.status if row.reason is None else f"{row.status}: {row.reason}"


# --- The command ------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.markdown:
        try:
            print(as_markdown(Path(options.out)))
        except UsageError as error:
            parser.error(str(error))
        return 0
    asked = tuple(words(options.devices))
    unknown = [device for device in asked if device not in (*ON_GPU, "cpu")]
    if not Path(options.out).absolute().parent.is_dir():
        parser.error(f"the folder of --out {options.out} does not exist")
    if options.minutes is not None and options.minutes <= 0:
        parser.error(f"--minutes must be above 0, not {options.minutes:g}")
    if unknown or not asked:
        parser.error(f"--devices takes cuda, tensorrt and cpu, not {options.devices!r}")
    console = Console(stderr=True)
    findings = {device: check(device) for device in asked}
    for device, finding in findings.items():
        if not finding.usable:
            fix = f" To change that: {finding.fix}" if finding.fix else ""
            console.print(f"{device}: {finding.detail}.{fix}", markup=False, highlight=False)
    devices = tuple(device for device in asked if findings[device].usable)
    if not devices:
        console.print("There is no GPU to check, so nothing was checked and nothing is written.")
        return NO_GPU
    try:
        Bundle.load(options.model)
        plan = _plan(options, devices)
        machine = describe_machine(plan.speed.threads)
        nothing = Results((), Report(machine, asdict(plan), ()))
        results = results_so_far(Path(options.out), nothing)
    except NstbatchError as error:
        parser.error(str(error))
    results, is_complete = run(
        plan,
        lambda line: console.print(line, markup=False),
        lambda so_far: write_atomically(Path(options.out), so_far.to_json().encode()),
        results,
        Deadline(options.minutes),
    )
    out = Console(width=max(console.width, 200))
    out.print(checks_grid(results.checks).to_rich())
    if results.report.rows:
        out.print(speed_grid(results.report.rows).to_rich())
    if not is_complete:
        console.print("The time is over. The same command goes on from here.")
    if any(one.status == "failed" for one in results.checks):
        return FAILED
    return 0 if is_complete else UNFINISHED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nstbatch.benchmarks.gpu_checks",
        description="Check nstbatch on an NVIDIA GPU, and compare its speed with PyTorch.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    variants = ",".join(variant.name for variant in VARIANTS)
    add("--out", required=True, default=argparse.SUPPRESS, help="JSON file to write")
    add("--markdown", action="store_true", help="only print the tables of --out in Markdown")
    add("--minutes", type=float, help="end after this time; the same command then goes on")
    add("--devices", default=",".join(ON_GPU), help="devices to check; cpu only for a try")
    add("--model", default="vgg16", help="name of a bundle, or its folder")
    add("--sizes", default=SIZES, help="picture sides for the speed, in pixels")
    add("--batches", default=BATCHES, help="batch sizes for the speed")
    add("--rounds", type=int, default=5, help="rounds of each contestant; 0 measures no speed")
    add("--steps", type=int, default=5, help="timed steps in a round")
    add("--warm-up", type=int, default=10, help="steps before the first round")
    add("--check-size", type=int, default=256, help="picture side in the checks, in pixels")
    add("--check-steps", type=int, default=500, help="steps of the long run in fp16")
    add("--checks", default=",".join(CHECKS), help="checks to run")
    add("--against", default=variants, help="ways to run PyTorch to compare with")
    switches = ",".join(switch.name for switch in SWITCHES)
    add("--switches", default=switches, help="our choices on CUDA to switch, in the first case")
    return parser


def _plan(options: argparse.Namespace, devices: tuple[str, ...]) -> Plan:
    speed = Speed(
        options.model,
        tuple(Entry(device, precision) for device in devices for precision in _precisions(device)),
        _variants(options.against),
        parse_numbers("--sizes", options.sizes) if options.rounds else (),
        parse_numbers("--batches", options.batches),
        options.rounds,
        options.steps,
        options.warm_up,
        available_cores(),
        "cuda" if set(devices) & set(ON_GPU) else "cpu",
        tuple(_chosen("switch", options.switches, {each.name: each for each in SWITCHES})),
    )
    checks = tuple(words(options.checks))
    for name in checks:
        one_of("check", name, tuple(CHECKS))
    return Plan(devices, options.model, options.check_size, options.check_steps, checks, speed)


def _precisions(device: str) -> tuple[str, ...]:
    return ("fp32",) if device == "cpu" else ("fp16", "fp32")


def _variants(names: str) -> tuple[Variant, ...]:
    known = {variant.name: variant for variant in VARIANTS}
    return tuple(_chosen("way to run PyTorch", names, known))


def _chosen(kind: str, names: str, known: Mapping[str, Choice]) -> Iterator[Choice]:
    """Yield what is named; an UnknownNameError for an unknown name."""
    for name in words(names):
        one_of(kind, name, tuple(known))
        yield known[name]


if __name__ == "__main__":
    sys.exit(main())
