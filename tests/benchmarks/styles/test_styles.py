"""The comparison of ways to paint: what takes part, how a picture is estimated, and the report."""

import json
import os
from dataclasses import replace

import pytest

from nstbatch.benchmarks.contest.worker import Opened
from nstbatch.benchmarks.options import BenchOptions, parse_entries
from nstbatch.benchmarks.styles import contest
from nstbatch.benchmarks.styles.contest import compare_ways
from nstbatch.benchmarks.styles.contestant import StyleContestant, StyleJob, work_of
from nstbatch.benchmarks.styles.report import StyleReport, StyleRow
from nstbatch.benchmarks.styles.ways import REFERENCE, ways
from nstbatch.benchmarks.tasks.turns import ContestantError, Turn
from nstbatch.runtime.checks import STYLE_LOSS_NAMES
from nstbatch.runtime.descent.pyramid import OPENING, Level
from nstbatch.runtime.style.nearest_neighbor_presets import PRESETS as OF_NEIGHBORS
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.style.style_transfer_presets import PRESET_NAMES

CPU = BenchOptions(
    model="squeezenet1_1", providers=parse_entries("cpu"), against=(), rounds=3, steps=2, warm_up=1
)


def test_every_preset_loss_and_method_takes_part():
    names = [way.name for way in ways(256)]
    assert len(names) == len(set(names))
    expected = [f"preset {name}" for name in PRESET_NAMES]
    expected += [f"style-loss {name}" for name in STYLE_LOSS_NAMES if name != "gram"]
    expected += [f"nnst {name}" for name in OF_NEIGHBORS]
    assert names == expected
    assert REFERENCE in names
    options = {way.name: way.options for way in ways(256)}
    assert {each.size for each in options.values()} == {256}
    assert options["preset default"] == StyleTransferOptions(size=256)
    assert options["preset crowson"].average_decay == 0.99


def test_the_work_of_a_picture_counts_steps_by_their_pixels():
    levels = [Level(10, 10, 0, 4), Level(20, 20, 0, 6)]
    assert work_of(levels) == (OPENING + 4) / 4 + OPENING + 6


@pytest.mark.parametrize("name", ["preset crowson", "style-loss wasserstein", "nnst default"])
def test_a_contestant_takes_the_steps_of_the_product(name):
    (way,) = (each for each in ways(48) if each.name == name)
    contestant = StyleContestant(StyleJob(way, CPU.entries[0], CPU.model, 1, 1, 1))
    before = contestant.images
    contestant.step()
    assert (contestant.precision, contestant.device) == ("fp32", "cpu")
    assert abs(contestant.images - before).max() > 1e-4
    assert contestant.steps == way.options.iterations
    # Smaller sizes are cheaper, so a picture is less work than as many steps of the last size.
    assert OPENING < contestant.work <= 5 * OPENING + way.options.iterations


class StandIn:
    """A worker whose steps take longer with each way, and with every round."""

    log: list[str]

    def __init__(self, target, job):
        self.name, self.turns = job.way.name, 0
        self.ms = 10.0 * (1 + [way.name for way in ways(64)].index(self.name))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def answer(self):
        if self.name == "style-loss sliced":
            raise ContestantError("no columns")
        return Opened("bf16", "cpu", 1.0, 10**9, None), 200, 100.0

    def turn(self):
        self.log.append(self.name)
        self.turns += 1
        return Turn((self.ms * self.turns,) * 2, 1e12)


@pytest.fixture
def report(monkeypatch) -> StyleReport:
    monkeypatch.setattr(StandIn, "log", [], raising=False)
    monkeypatch.setattr(contest, "Worker", StandIn)
    return compare_ways(replace(CPU, providers=parse_entries("cpu,cuda")), 64)


def test_contestants_take_turns(report):
    names = [way.name for way in ways(64) if way.name != "style-loss sliced"]
    assert StandIn.log == 3 * names


def test_times_are_compared_within_rounds(report):
    rows = {row.way: row for row in report.rows if row.provider == "cpu"}
    fast, default = rows["preset fast"], rows["preset default"]
    assert fast.samples_ms == (10, 10, 20, 20, 30, 30)
    assert (fast.ms_per_step, default.ms_per_step) == (20, 40)
    assert fast.ratio == (0.5, 0.5, 0.5)  # in every round, though the rounds differ
    assert default.ratio == (1, 1, 1)
    assert default.seconds_per_picture == pytest.approx(100 * 0.040)
    assert default.steps == 200


def test_what_is_missing_says_why(report):
    absent = next(row for row in report.rows if row.provider == "cuda")
    failed = next(row for row in report.rows if row.way == "style-loss sliced")
    assert (absent.status, failed.status, failed.reason) == ("absent", "failed", "no columns")
    assert any("no columns" in note for note in report.notes)
    markdown = report.to_markdown()
    assert "| style-loss sliced | cpu | - | failed |" in markdown
    assert "squeezenet1_1, 64 pixels" in report.headline


def test_the_report_is_json(report):
    read = json.loads(report.to_json())
    assert [row["way"] for row in read["rows"]] == [row.way for row in report.rows]
    assert read["options"]["size"] == 64
    assert StyleRow(**read["rows"][-1]).way == "nnst fine"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes take long to start elsewhere")
def test_two_ways_in_processes_of_their_own(monkeypatch):
    monkeypatch.setattr(contest, "ways", lambda size: ways(size)[:2])
    lines = []
    made = compare_ways(replace(CPU, rounds=1, steps=1, threads=1), 48, lines.append)
    assert [row.status for row in made.rows] == ["done", "done"]
    assert all(row.ms_per_step > 0 and row.peak_bytes > 2**24 for row in made.rows)
    assert "starting preset fast on cpu" in lines
