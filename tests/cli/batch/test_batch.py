import json
import math
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.batch import batch
from nstbatch.cli.batch.batch import Batch, Summary
from nstbatch.cli.jobs.painting import Outcome, Painting, Status
from nstbatch.cli.jobs.plan import Job, Plan
from nstbatch.cli.jobs.search import Unreadable
from nstbatch.cli.output import local_place
from nstbatch.cli.output.fingerprint import Origin
from nstbatch.cli.output.ledger import Ledger
from nstbatch.cli.output.output_folder import OutputFolder
from nstbatch.cli.output.survey import Photos, survey
from nstbatch.runtime.descent.progress import Progress
from nstbatch.runtime.errors import ImageError, ProviderError, StoppedError
from nstbatch.runtime.pictures import images


class Recorder:
    """A reporter that records its calls."""

    def __init__(self):
        self.started_with: list[Job] = []
        self.outcomes: list[Outcome] = []

    def started(self, job):
        self.started_with.append(job)

    def progressed(self, job, progress):
        pass

    def finished(self, outcome):
        self.outcomes.append(outcome)

    @property
    def statuses(self) -> dict[str, str]:
        return {outcome.input.name: outcome.status.value for outcome in self.outcomes}


def painting() -> Painting:
    grey = np.full((4, 6, 3), 0.5, np.float32)
    return Painting(grey, None, {"total": 2.5, "style": math.nan}, 7, "cpu", "fp32")


def paint(job, progress, stop) -> Painting:
    return painting()


def failing(**errors: BaseException):
    """Return a painter that raises errors for the photos of some names."""

    def painter(job, progress, stop):
        if job.input.stem in errors:
            raise errors[job.input.stem]
        return painting()

    return painter


@pytest.fixture
def plan(tmp_path, monkeypatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        Path(f"{name}.png").write_text(name)
    jobs = [Job(Path(f"{n}.png"), tmp_path / "out" / "deep" / f"{n}.png") for n in "abc"]
    return Plan(tuple(jobs))


def run(
    plan: Plan, painter, reporter, *, overwrite=False, out=Path("out"), at_once=1, **options
) -> Summary:
    """Survey the plan and paint it."""
    origin, photos = Origin("stylize", {"size": 512}), Photos()
    with OutputFolder(out.absolute()) as folder:
        entries = survey(plan, folder.path, folder.ledger, origin, photos, overwrite=overwrite)
        work = Batch(entries, painter, folder, origin, photos, plan.unreadable, at_once=at_once)
        return batch.run(work, reporter, **options)


def lines(out: Path = Path("out")) -> list[dict]:
    return [json.loads(line) for line in (out / "nstbatch.jsonl").read_text().splitlines()]


@pytest.fixture
def reporter() -> Recorder:
    return Recorder()


def test_every_photo_becomes_a_picture_in_a_folder_made_for_it(plan, reporter):
    summary = run(plan, paint, reporter)
    assert summary.exit_code == 0
    assert (summary.counts, summary.left) == ({Status.DONE: 3}, 0)
    assert [images.read(job.output).pixels.shape for job in plan.jobs] == [(4, 6, 3)] * 3
    assert reporter.started_with == list(plan.jobs)


class OnnxRuntimesError(Exception):
    __module__ = "onnxruntime.capi.onnxruntime_pybind11_state"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImageError("The file is empty."), "The file is empty."),
        (OSError(5, "Input/output error", "b.png"), "Input/output error: b.png."),
        (OSError(5, "Input/output error"), "Input/output error."),
        (MemoryError(), "not enough memory"),
        (OnnxRuntimesError("Fail in Conv\nat 0x0"), "ONNX Runtime failed: Fail in Conv. Another"),
        (RuntimeError("Conv failed"), "RuntimeError: Conv failed"),
    ],
)
def test_a_bad_photo_does_not_stop_the_others(plan, reporter, error, reason):
    summary = run(plan, failing(b=error), reporter)
    assert reporter.statuses == {"a.png": "done", "b.png": "failed", "c.png": "done"}
    assert reason in reporter.outcomes[1].reason
    assert not plan.jobs[1].output.exists()
    assert summary.exit_code == 1


def test_a_fault_of_the_whole_batch_stops_it(plan, reporter):
    with pytest.raises(ProviderError):
        run(plan, failing(a=ProviderError("no such device")), reporter)
    assert reporter.outcomes == []


def test_fail_fast_stops_at_the_first_failure(plan, reporter):
    summary = run(plan, failing(b=ImageError("bad")), reporter, fail_fast=True)
    assert reporter.statuses == {"a.png": "done", "b.png": "failed"}
    assert (summary.left, summary.exit_code) == (1, 1)


def test_existing_pictures_are_skipped_by_default(plan, reporter):
    there = plan.jobs[1].output
    there.parent.mkdir(parents=True)
    there.write_bytes(b"precious")
    summary = run(plan, paint, reporter)
    assert there.read_bytes() == b"precious"
    assert reporter.statuses["b.png"] == "skipped"
    assert plan.jobs[1] not in reporter.started_with
    assert summary.exit_code == 0
    again = Recorder()
    run(plan, paint, again, overwrite=True)
    assert set(again.statuses.values()) == {"done"}
    assert there.read_bytes() != b"precious"


def test_a_second_run_finds_everything_there(plan, reporter):
    run(plan, paint, Recorder())
    summary = run(plan, failing(), reporter)
    assert (summary.counts, summary.exit_code) == ({Status.SKIPPED: 3}, 0)


def test_a_picture_that_cannot_be_written_is_a_failure(plan, tmp_path, reporter):
    out = tmp_path / "out"
    out.mkdir()
    (out / "file").touch()
    jobs = (Job(Path("a.png"), out / "file" / "a.png"), Job(Path("b.png"), out / "b.png"))
    (out / "b.png").mkdir()
    summary = run(Plan(jobs), paint, reporter)
    assert reporter.statuses == {"a.png": "failed", "b.png": "failed"}
    assert summary.exit_code == 1
    assert sorted(path.name for path in out.iterdir()) == ["b.png", "file", "nstbatch.jsonl"]


def test_an_interrupted_photo_is_not_written_and_the_rest_left(plan, reporter):
    summary = run(plan, failing(b=KeyboardInterrupt()), reporter)
    assert reporter.statuses == {"a.png": "done"}
    assert (summary.left, summary.exit_code) == (2, 130)
    assert [job.output.exists() for job in plan.jobs] == [True, False, False]


def test_stop_is_asked_before_every_photo(plan, reporter):
    summary = run(plan, paint, reporter, stop=lambda: len(reporter.outcomes) == 2)
    assert (len(reporter.outcomes), summary.left, summary.exit_code) == (2, 1, 130)


def test_companions_are_written_before_the_picture(plan, reporter, monkeypatch):
    write = local_place.write_atomically

    def refuse(path, data, token, **options):
        if path.suffix == ".png":
            assert path.with_suffix(".json").read_bytes() == b"{}"
            raise OSError(5, "Input/output error")
        write(path, data, token, **options)

    monkeypatch.setattr(local_place, "write_atomically", refuse)

    def painter(job, progress, stop):
        return replace(painting(), companions={".json": b"{}"})

    assert run(plan, painter, reporter).exit_code == 1
    assert set(reporter.statuses.values()) == {"failed"}
    assert not list(
        plan.jobs[0].output.parent.glob("*.json")
    )  # they would be in the next one's way


def test_companions_of_a_killed_process_are_removed_and_no_others(plan, reporter, monkeypatch):
    write = local_place.write_atomically

    def die(path, data, token, **options):
        if path.suffix == ".png":
            raise SystemExit
        write(path, data, token, **options)

    def painter(job, progress, stop):
        return replace(painting(), companions={".json": b"{}"})

    out = plan.jobs[0].output.parent
    with monkeypatch.context() as patch:
        patch.setattr(local_place, "write_atomically", die)
        with pytest.raises(SystemExit):
            run(plan, painter, reporter)
    assert (out / "a.json").is_file()
    (out / "b.json").write_text("mine")
    assert run(plan, painter, reporter).exit_code == 1
    assert reporter.statuses == {"a.png": "done", "b.png": "failed", "c.png": "done"}
    assert (out / "b.json").read_text() == "mine"


def test_stop_reaches_the_painter(plan, reporter):
    def painter(job, progress, stop):
        assert stop() is (job.input.stem == "b")
        if stop():
            raise KeyboardInterrupt
        return painting()

    stop = lambda: len(reporter.started_with) == 2  # noqa: E731
    assert run(plan, painter, reporter, stop=stop).exit_code == 130
    assert reporter.statuses == {"a.png": "done"}


def test_an_unreadable_folder_is_a_failure_and_the_photos_are_painted(plan, reporter):
    plan = Plan(plan.jobs, (Unreadable(Path("private"), "The folder cannot be read."),))
    assert run(plan, paint, reporter).exit_code == 1
    assert reporter.statuses == {
        "private": "failed",
        "a.png": "done",
        "b.png": "done",
        "c.png": "done",
    }
    assert reporter.outcomes[0].record()["output"] is None


def test_the_record_is_what_other_programs_rely_on(plan, reporter):
    run(Plan(plan.jobs[:2]), failing(b=ImageError("The file is empty.")), reporter)
    done, failed = (json.loads(json.dumps(o.record(), allow_nan=False)) for o in reporter.outcomes)
    assert done.pop("seconds") >= 0
    assert done == {
        "input": "a.png",
        "output": str(plan.jobs[0].output),
        "status": "done",
        "reason": None,
        "steps": 7,
        "losses": {"total": 2.5, "style": None},
        "provider": "cpu",
        "precision": "fp32",
    }
    assert failed.pop("seconds") >= 0
    assert failed == {
        "input": "b.png",
        "output": str(plan.jobs[1].output),
        "status": "failed",
        "reason": "The file is empty.",
        "steps": 0,
        "losses": {},
        "provider": None,
        "precision": None,
    }


# ---- the ledger -------------------------------------------------------------------------------


def test_every_photo_that_was_tried_has_a_line(plan, reporter):
    def painter(job, progress, stop):
        for step, total in enumerate((9.0, 4.0, 2.5)):
            progress(Progress(1, 1, step, 2, step / 2, 4, 6, {"total": total}))
        return failing(b=ImageError("The file is empty."))(job, progress, stop)

    run(plan, painter, reporter)
    done, failed, _ = lines()
    assert (done["status"], failed["status"]) == ("done", "failed")
    assert done["curve"] == [[0, 9.0], [1, 4.0], [2, 2.5]]
    assert failed["reason"] == "The file is empty."
    assert [len(line["fingerprint"]) for line in lines()] == [64] * 3


def test_a_photo_that_failed_is_tried_again_and_others_are_not(plan, reporter):
    run(plan, failing(b=ImageError("bad")), Recorder())
    run(plan, paint, reporter)
    assert reporter.statuses == {"a.png": "skipped", "b.png": "done", "c.png": "skipped"}
    assert [line["output_in_folder"] for line in lines()] == [
        f"deep/{name}.png" for name in ("a", "b", "c", "b")
    ]


def test_a_full_disk_stops_the_batch_and_blames_no_photo(plan, reporter):
    full = OSError(28, "No space left on device", "out")
    summary = run(plan, failing(b=full), reporter)
    assert reporter.statuses == {"a.png": "done"}
    assert summary.fault == "Nothing more can be written, No space left on device: out."
    assert (summary.left, summary.exit_code) == (2, 1)
    assert len(lines()) == 1


def test_a_device_that_is_gone_stops_it_too(plan, reporter):
    class FailError(Exception):
        """ONNX Runtime's errors derive from Exception directly."""

    summary = run(plan, failing(b=FailError("CUDA failure 719: launch failure")), reporter)
    assert reporter.statuses == {"a.png": "done"}
    assert summary.fault == "The device is gone: CUDA failure 719: launch failure."
    assert (summary.left, summary.exit_code) == (2, 1)


def test_so_does_a_ledger_that_cannot_be_written_any_more(plan, reporter, monkeypatch):
    def refuse(self, record):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Ledger, "append", refuse)
    summary = run(plan, failing(a=ImageError("bad")), reporter)
    assert reporter.statuses == {}
    assert "out cannot be used: Input/output error." in summary.fault
    assert summary.exit_code == 1


def test_a_pass_that_was_ended_is_an_interruption(plan, reporter):
    summary = run(plan, failing(b=StoppedError()), reporter)
    assert reporter.statuses == {"a.png": "done"}
    assert (summary.exit_code, summary.left) == (130, 2)
    assert len(lines()) == 1


# ---- other processes --------------------------------------------------------------------------


def meanwhile(plan, painter, **options):
    """Return a painter; during its first photo, another process does the whole plan."""
    others = []

    def paint_with_company(job, progress, stop):
        if not others:
            others.append(Recorder())
            rest = Plan(plan.jobs[1:])
            run(rest, painter, others[0], **options)
        return painting()

    return paint_with_company


def test_a_picture_painted_by_another_process_is_skipped(plan, reporter):
    summary = run(plan, meanwhile(plan, paint), reporter)
    assert reporter.statuses == {"a.png": "done", "b.png": "skipped", "c.png": "skipped"}
    assert reporter.outcomes[1].reason == "Another process has painted it."
    assert summary.exit_code == 0
    assert len(lines()) == 3


@pytest.mark.parametrize("overwrite", [False, True])
def test_with_overwrite_each_is_painted_once_too(plan, reporter, overwrite):
    run(plan, paint, Recorder())
    other = meanwhile(plan, paint, overwrite=overwrite)
    run(plan, other, reporter, overwrite=overwrite)
    assert reporter.statuses["b.png"] == "skipped"


def test_a_failure_of_another_process_is_a_failure(plan, reporter):
    summary = run(plan, meanwhile(plan, failing(b=ImageError("It is bad."))), reporter)
    assert reporter.statuses == {"a.png": "done", "b.png": "failed", "c.png": "skipped"}
    assert reporter.outcomes[1].reason == "Another process could not paint it: It is bad."
    assert summary.exit_code == 1
    assert len(lines()) == 3


def test_a_picture_painted_differently_by_another_process_is_a_failure(plan, reporter, monkeypatch):
    def otherwise(job, progress, stop):
        with monkeypatch.context() as patch:
            patch.setattr(Origin, "fingerprint", lambda *_: "0" * 64)
            run(Plan(plan.jobs[1:2]), paint, Recorder())
        return painting()

    run(Plan(plan.jobs[:2]), otherwise, reporter)
    assert reporter.statuses == {"a.png": "done", "b.png": "failed"}
    assert "with other settings" in reporter.outcomes[1].reason


# --- Several at once ----------------------------------------------------------------------------


def test_several_photos_are_under_way_at_once(plan, reporter):
    together = threading.Barrier(3)

    def painter(job, progress, stop):
        together.wait(20)
        return painting()

    assert run(plan, painter, reporter, at_once=3).exit_code == 0
    assert sorted(reporter.statuses.items()) == [(f"{n}.png", "done") for n in "abc"]
    assert sorted(line["input"] for line in lines() if line["kind"] == "image") == [
        f"{n}.png" for n in "abc"
    ]


def test_fail_fast_gives_up_what_is_under_way_beside_the_failure(plan, reporter):
    together = threading.Barrier(2)

    def painter(job, progress, stop):
        together.wait(20)
        if job.input.stem == "a":
            raise ImageError("bad")
        while not stop():
            time.sleep(0.001)
        raise KeyboardInterrupt

    summary = run(plan, painter, reporter, at_once=2, fail_fast=True)
    assert reporter.statuses == {"a.png": "failed"}
    assert (summary.left, summary.exit_code, summary.interrupted) == (2, 1, False)


def test_an_interruption_gives_up_all_that_is_under_way(plan, reporter):
    together, asked = threading.Barrier(2), threading.Event()

    def painter(job, progress, stop):
        together.wait(20)
        asked.set()
        while not stop():
            time.sleep(0.001)
        raise KeyboardInterrupt

    summary = run(plan, painter, reporter, at_once=2, stop=asked.is_set)
    assert (summary.left, summary.exit_code, summary.interrupted) == (3, 130, True)
    assert reporter.outcomes == []
    assert not list(Path("out").glob("**/*.png"))
