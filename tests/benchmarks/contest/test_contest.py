"""A contest and its results; stand-ins play the contestants' processes."""

from dataclasses import replace

import numpy as np
import pytest

from nstbatch.benchmarks.contest import contest
from nstbatch.benchmarks.contest.contest import find_providers, outlier_warnings, run, with_ratios
from nstbatch.benchmarks.contest.judge import Verdict, serve_judge
from nstbatch.benchmarks.contest.worker import Opened
from nstbatch.benchmarks.options import BenchOptions, Entry, parse_entries
from nstbatch.benchmarks.tasks.turns import AbsentError, ContestantError, Turn
from nstbatch.runtime.devices.processor import available_cores
from nstbatch.runtime.errors import ImageError

SPEEDS = {"cpu": 10.0, "torch": 40.0, "torch-bf16": 20.0}


class StandIn:
    """A worker that takes the time in SPEEDS, and a tenth longer with every round."""

    log: list[str]
    fails: dict[str, str]
    """Contestants that fail, by name: while opening, or in a turn."""

    def __init__(self, target, job):
        self.is_judge = target is serve_judge
        self.name = "judge" if self.is_judge else job.entry.name
        self.job, self.turns = job, 0

    def __enter__(self):
        self.log.append(f"+{self.name}")
        return self

    def __exit__(self, *error):
        self.log.append(f"-{self.name}")

    def answer(self):
        if self.fails.get(self.name) == "open":
            raise AbsentError("not installed")
        if self.is_judge:
            moved = {
                n: float(abs(i - self.job.task.images).max()) for n, i in self.job.images.items()
            }
            return Verdict(moved, 10**9, 10**6)
        moved = self.job.task.images + np.float32(SPEEDS[self.name] / 1000)
        return Opened("fp32", "cpu", 1.0, 10**6, np.clip(moved, 0, 1))

    def turn(self):
        self.log.append(self.name)
        self.turns += 1
        if self.fails.get(self.name) == "turn" and self.turns == 2:
            raise ContestantError("ran out of steam")
        return Turn((SPEEDS[self.name] * 1.1**self.turns,) * self.job.steps, 1e12)


@pytest.fixture
def stand_ins(monkeypatch):
    monkeypatch.setattr(StandIn, "log", [], raising=False)
    monkeypatch.setattr(StandIn, "fails", {}, raising=False)
    monkeypatch.setattr(contest, "Worker", StandIn)
    return StandIn


OPTIONS = BenchOptions(
    model="squeezenet1_1",
    providers=parse_entries("cpu"),
    against=parse_entries("torch,torch-bf16"),
    sizes=(48,),
    rounds=3,
    steps=2,
    threads=1,
    stages=False,
)


def test_everybody_starts_one_by_one_and_takes_turns(stand_ins):
    lines = []
    report = run(OPTIONS, lines.append)
    names = ["cpu", "torch", "torch-bf16"]
    assert stand_ins.log[:-5] == [*(f"+{name}" for name in names), *(names * 3)]
    assert set(stand_ins.log[-5:-2]) == {f"-{name}" for name in names}
    assert stand_ins.log[-2:] == ["+judge", "-judge"]
    assert [row.provider for row in report.rows] == names
    assert lines[0] == "48 pixels, batch 1: starting cpu"
    assert lines[-1] == "48 pixels, batch 1: round 3 of 3"

    cpu, torch, bf16 = report.rows
    assert cpu.ratio == pytest.approx({"torch": 4, "torch-bf16": 2})
    assert cpu.ratio_interval["torch"] == pytest.approx((4, 4))  # the drift cancels
    assert torch.ratio == pytest.approx({"torch-bf16": 0.5})
    assert bf16.ratio == pytest.approx({"torch": 2})
    assert len(cpu.samples_ms) == 6
    assert torch.max_difference == 0
    assert cpu.max_difference == pytest.approx(0.03, abs=1e-6)
    assert [row.loss for row in report.rows] == pytest.approx([0.01, 0.04, 0.02], abs=1e-6)
    assert cpu.tflops == pytest.approx(0.1 / 1.1**2)
    assert cpu.share_of_peak == pytest.approx(cpu.tflops)  # of 1 TFLOP/s
    assert [row.activation_bytes for row in report.rows] == [10**6, None, None]


@pytest.mark.parametrize(
    ("when", "status", "reason"),
    [("open", "absent", "not installed"), ("turn", "failed", "ran out of steam")],
)
def test_who_fails_is_a_row_that_says_why(stand_ins, when, status, reason):
    stand_ins.fails["torch"] = when
    report = run(OPTIONS)
    cpu, torch, bf16 = report.rows
    assert (torch.status, torch.reason, torch.precision) == (status, reason, "fp32")
    assert torch.samples_ms == ()
    assert cpu.status == bf16.status == "done"
    assert cpu.ratio == pytest.approx({"torch-bf16": 2})
    # Pictures are compared with those it made before it failed, if it made any.
    assert (cpu.max_difference is None) == (when == "open")


def test_without_a_judge_the_times_are_there(stand_ins):
    stand_ins.fails["judge"] = "open"
    report = run(OPTIONS)
    cpu = report.rows[0]
    assert (cpu.status, cpu.loss, cpu.tflops, cpu.share_of_peak) == ("done", None, None, None)
    assert cpu.ratio == pytest.approx({"torch": 4, "torch-bf16": 2})
    assert "48 pixels, batch 1: the pictures were not judged: not installed" in report.warnings


def test_a_report_may_have_no_measurement_at_all(stand_ins):
    stand_ins.fails["torch"] = "open"
    only = replace(OPTIONS, providers=(), against=parse_entries("torch"))
    assert [row.status for row in run(only).rows] == ["absent"]


def test_cases_are_sizes_times_batches(stand_ins):
    alone = replace(OPTIONS, against=(), sizes=(48, 64), batches=(1, 2))
    report = run(alone)
    assert [(row.case.size, row.case.batch) for row in report.rows] == [
        (48, 1),
        (48, 2),
        (64, 1),
        (64, 2),
    ]
    assert report.rows[1].images_per_second == pytest.approx(2 * report.rows[0].images_per_second)
    assert [row.max_difference for row in report.rows] == [None] * 4


def test_a_size_that_is_too_small_is_said_before_anything_is_measured(stand_ins):
    with pytest.raises(ImageError, match="at least 9"):
        run(replace(OPTIONS, sizes=(8, 48)))
    assert stand_ins.log == []


def test_a_device_or_precision_that_is_not_there_is_absent():
    there, absent = find_providers([Entry("cpu"), Entry("cpu", "bf16")])
    assert (there[Entry("cpu")].device, there[Entry("cpu")].precision) == ("cpu", "fp32")
    assert "not in bf16" in str(absent[Entry("cpu", "bf16")])


def test_outliers_are_warned_of(make_row):
    quiet = make_row("cpu", [[10, 10.1], [9.9, 10], [10, 10.05]])
    disturbed = make_row("cpu", [[10, 10.1], [9.9, 30], [10, 10.05]])
    (line,) = outlier_warnings([quiet, disturbed])
    assert line.startswith("cpu fp32, 512 pixels, batch 1: 1 of 6 steps")


def test_ratios_are_taken_within_rounds(make_row):
    rows = with_ratios(
        {
            "cpu": make_row("cpu", [[10, 10], [100, 100], [20, 20]]),
            "torch": make_row("torch", [[30, 30], [300, 300], [60, 66]]),
        }
    )
    assert rows["cpu"].ratio["torch"] == pytest.approx(3)
    assert rows["cpu"].ratio_interval["torch"] == pytest.approx((3, 3.15))
    assert rows["torch"].ratio == {}


def test_a_benchmark_has_no_more_threads_than_cores(stand_ins):
    report = run(replace(OPTIONS, threads=1000))
    assert report.options["threads"] == report.machine["threads"] == available_cores()
