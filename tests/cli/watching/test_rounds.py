"""Rounds: what is new is to be painted, what is there is skipped once, what changes comes again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.batch.batch import Batch, run
from nstbatch.cli.jobs.painting import Outcome, Painting, Status
from nstbatch.cli.jobs.plan import Job, Plan, make_plan
from nstbatch.cli.jobs.search import Search
from nstbatch.cli.output.fingerprint import Origin
from nstbatch.cli.output.output_folder import OutputFolder
from nstbatch.cli.watching.arrivals import Arrivals
from nstbatch.cli.watching.rounds import Rounds
from nstbatch.runtime.errors import UsageError


def paint(job: Job, progress: object, stop: object) -> Painting:
    if job.file.read_bytes() == b"broken":
        raise ValueError("broken")
    return Painting(np.zeros((4, 4, 3), np.float32), None, {}, 1, "cpu", "fp32")


class Reporter:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def started(self, job: Job) -> None: ...

    def progressed(self, job: Job, progress: object) -> None: ...

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class Watch:
    """A folder under watch, whose files need not settle."""

    def __init__(self, root: Path, seed: int = 0, **options: bool) -> None:
        self.photos, self.out = root / "in", root / "out"
        self.photos.mkdir(exist_ok=True)
        self.arrivals = Arrivals(
            lambda path: path.read_bytes() != b"half", settling=0, patience=1e9
        )
        folder = OutputFolder(self.out)
        folder.__enter__()
        batch = Batch((), paint, folder, Origin("stylize", {"seed": seed}))
        self.rounds = Rounds(batch, self._plan, self.arrivals, **options)

    def _plan(self) -> Plan:
        return make_plan(Search([self.photos], recursive=True), self.out)

    def put(self, name: str, data: bytes = b"photo") -> None:
        (self.photos / name).write_bytes(data)
        os.utime(self.photos / name, ns=(len(data), len(data)))

    def round(self) -> dict[str, Status]:
        """Paint what has arrived; the statuses of all that was reported."""
        reporter = Reporter()
        run(self.rounds.next(), reporter)
        return {each.name.name: each.status for each in reporter.outcomes}


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., Watch]:
    return lambda **options: Watch(tmp_path, **options)


def test_what_comes_is_painted_once(watch: Callable[..., Watch]) -> None:
    here = watch()
    assert here.round() == {}
    here.put("a.png")
    assert here.round() == {"a.png": Status.DONE}
    here.put("b.png")
    here.put(".hidden.png")
    here.put("c.png.part")
    assert here.round() == {"b.png": Status.DONE}
    assert here.round() == {}
    assert sorted(path.name for path in here.out.glob("*.png")) == ["a.png", "b.png"]


def test_started_again_only_what_is_new_is_painted(watch: Callable[..., Watch]) -> None:
    first = watch()
    first.put("a.png")
    first.put("broken.png", b"broken")
    assert first.round() == {"a.png": Status.DONE, "broken.png": Status.FAILED}
    assert first.round() == {}
    second = watch()
    second.put("b.png")
    assert second.round() == {
        "a.png": Status.SKIPPED,
        "b.png": Status.DONE,
        "broken.png": Status.FAILED,  # as with a command that is called again
    }
    assert second.round() == {}


def test_a_photo_that_is_replaced_is_painted_again(watch: Callable[..., Watch]) -> None:
    here = watch()
    here.put("a.png")
    here.round()
    here.put("a.png", b"another photo")
    assert here.round() == {"a.png": Status.DONE}
    assert here.round() == {}
    here.put("a.png", b"a third one")
    assert watch().round() == {"a.png": Status.DONE}  # while nobody watched


def test_half_a_photo_is_waited_for(watch: Callable[..., Watch]) -> None:
    here = watch()
    here.put("a.png", b"half")
    assert here.round() == {}
    assert here.rounds.are_due
    here.put("a.png", b"all of it")
    assert here.round() == {"a.png": Status.DONE}
    assert not here.rounds.are_due


def test_other_settings_are_refused_at_the_start(watch: Callable[..., Watch]) -> None:
    here = watch()
    here.put("a.png")
    here.round()
    with pytest.raises(UsageError, match="other settings"):
        watch(seed=1).round()
    again = watch(seed=1, overwrite=True)
    assert again.round() == {"a.png": Status.DONE}
    assert again.round() == {}


def test_a_clash_of_names_is_an_error_until_it_is_mended(watch: Callable[..., Watch]) -> None:
    here = watch()
    here.put("a.png")
    here.round()
    here.put("a.bmp", b"the same name")
    with pytest.raises(UsageError, match="both become"):
        here.round()
    (here.photos / "a.bmp").rename(here.photos / "b.bmp")
    assert here.round() == {"b.bmp": Status.DONE}


def test_a_folder_that_cannot_be_read_is_told_once(
    watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = watch()
    (here.photos / "locked").mkdir()
    scan = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert here.round() == {"locked": Status.FAILED}
    assert here.round() == {}
