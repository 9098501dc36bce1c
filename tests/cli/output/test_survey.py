"""The survey before the first step: pictures to paint, finished pictures and obstacles."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.batch.batch import Batch, run
from nstbatch.cli.jobs.invocation import Invocation
from nstbatch.cli.jobs.painting import Painting
from nstbatch.cli.jobs.plan import Job, Plan, Source, make_plan
from nstbatch.cli.jobs.search import Search
from nstbatch.cli.output import survey as module
from nstbatch.cli.output.fingerprint import Origin
from nstbatch.cli.output.output_folder import NetworkRecord, OutputFolder
from nstbatch.cli.output.survey import Photos, Standing, refuse_outdated, survey
from nstbatch.runtime.errors import UsageError

OUT = Path("out")
ORIGIN = Origin("stylize", {"size": 512, "style": "monet.jpg"}, {"style": "5" * 64})
GREY = np.full((4, 6, 3), 0.5, np.float32)


class Quiet:
    def started(self, job): ...
    def progressed(self, job, progress): ...
    def finished(self, outcome): ...


def paint(job, progress, stop) -> Painting:
    return Painting(GREY, None, {"total": 1.0}, 3, "cpu", "fp32")


def look(origin=ORIGIN, *, overwrite=False, out=OUT, photos=None):
    plan = make_plan(Search([Path("photos")]), out)
    ledger = OutputFolder(out).ledger
    return survey(plan, out, ledger, origin, photos or Photos(), overwrite=overwrite)


def standings(origin=ORIGIN, **options) -> dict[str, Standing]:
    return {entry.key: entry.standing for entry in look(origin, **options)}


@pytest.fixture(autouse=True)
def painted(tmp_path, monkeypatch):
    """Make three photos, and paint the first two."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Path("photos", name).write_text(name)
    with OutputFolder(OUT) as folder:
        invocation = Invocation(ORIGIN.verb, ORIGIN.settings)
        folder.begin(invocation, ORIGIN, NetworkRecord())
        entries = look()[:2]
        run(Batch(entries, paint, folder, ORIGIN), Quiet())


def test_done_and_to_do():
    assert standings() == {
        "a.png": Standing.DONE,
        "b.png": Standing.DONE,
        "c.png": Standing.TO_DO,
    }
    assert set(standings(overwrite=True).values()) == {Standing.TO_DO}


def test_a_name_that_is_too_long_for_the_file_system_is_to_be_painted_and_fails_then():
    plan = Plan((Job(Path("photos/c.png"), OUT / ("c" * 300 + ".png")),))
    (entry,) = survey(plan, OUT, OutputFolder(OUT).ledger, ORIGIN, Photos(), overwrite=False)
    assert entry.standing is Standing.TO_DO


def test_a_picture_that_is_gone_is_to_be_painted_again():
    (OUT / "a.png").unlink()
    assert standings()["a.png"] is Standing.TO_DO


def test_another_setting_is_found_and_named():
    entries = look(replace(ORIGIN, settings={"size": 256, "style": "monet.jpg"}))
    assert [entry.standing for entry in entries][:2] == [Standing.OUTDATED] * 2
    with pytest.raises(
        UsageError, match=r"2 pictures .*\n.*a\.png: made with another --size \(512"
    ):
        refuse_outdated(entries)


def test_another_style_is_found_though_its_name_is_the_same():
    entries = look(replace(ORIGIN, files={"style": "6" * 64}))
    assert entries[0].standing is Standing.OUTDATED
    moved = replace(ORIGIN, settings={"size": 512, "style": "art/monet.jpg"})
    assert look(moved)[0].standing is Standing.DONE


def test_another_photo_is_found():
    Path("photos/a.png").write_text("another")
    (entry, *_) = look()
    assert entry.standing is Standing.OUTDATED
    with pytest.raises(UsageError, match=r"a\.png: made from another photo"):
        refuse_outdated([entry])


def test_a_photo_is_known_by_its_bytes_not_its_name():
    Path("photos/a.png").rename("a copy")
    shutil.copy("a copy", "photos/a.png")
    assert standings()["a.png"] is Standing.DONE


def test_a_file_that_was_not_painted_here_is_left_alone():
    (OUT / "c.png").write_text("a holiday photo")
    assert standings()["c.png"] is Standing.UNKNOWN


@pytest.mark.parametrize("data", [b"retouched", None])
def test_a_picture_that_was_changed_is_left_alone(data):
    path = OUT / "a.png"
    path.write_bytes(data or path.read_bytes()[::-1])  # the second has the size that it had
    assert standings()["a.png"] is Standing.CHANGED


def test_a_folder_that_was_copied_is_as_it_was():
    shutil.copytree(OUT, "copy")
    assert standings(out=Path("copy"))["a.png"] is Standing.DONE


def test_a_photo_that_cannot_be_read_any_more_is_told_by_its_painter():
    path = Path("photos/a.png")
    path.unlink()
    path.symlink_to("nowhere")
    assert standings()["a.png"] is Standing.TO_DO


def test_only_necessary_files_are_hashed(monkeypatch):
    hashed = []
    monkeypatch.setattr(module, "hash_file", hashed.append)
    photos = Photos()
    for name in "ab":  # old enough to be known by their stamps
        os.utime(Path("photos", f"{name}.png"))
    look(photos=photos)
    assert Path("photos/c.png") not in hashed
    assert OUT / "a.png" not in hashed


def test_a_photo_that_changes_while_the_batch_runs_is_hashed_again(monkeypatch):
    path, photos = Path("photos/c.png"), Photos()
    job = Job(path, OUT / "c.png")
    monkeypatch.setattr("time.time_ns", lambda: path.stat().st_ctime_ns * 2)  # long ago
    before = photos.hashed(job)
    assert photos.hashed(job) is before
    path.write_text("changed")
    assert photos.hashed(job).sha256 != before.sha256


def test_a_job_without_a_photo_has_a_name_in_its_place():
    photos = Photos()
    jobs = [
        Job(Path(name), OUT / "a.png", source=Source.NOTHING) for name in ("tabby", "tiger cat")
    ]
    tabby, tiger = (photos.hashed(job).sha256 for job in jobs)
    assert tabby != tiger
    assert photos.hashed(jobs[0]).sha256 == tabby


def test_many_are_told_in_a_few_lines():
    entries = [replace(look()[0], standing=Standing.OUTDATED, difference="otherwise")] * 12
    with pytest.raises(UsageError, match=r"12 pictures[\s\S]*\.\.\. and 7 more"):
        refuse_outdated(entries)
