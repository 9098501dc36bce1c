"""The batch as an object: it paints what is missing, goes on after a stop, and keeps the ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nstbatch
from nstbatch.cli.jobs.painting import Status
from nstbatch.runtime.errors import UsageError

OPTIONS = nstbatch.StyleTransferOptions(size=48, iterations=4, scales=1)


@pytest.fixture(scope="module")
def transfer() -> nstbatch.StyleTransfer:
    return nstbatch.StyleTransfer("squeezenet1_1", device="cpu", threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos in a tree, a broken one, and a style."""
    random = np.random.default_rng(0)
    for name in ("photos/a.png", "photos/deep/b.png", "style.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nstbatch.write(path, random.random((40, 48, 3), np.float32))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    return tmp_path


@pytest.fixture
def batch_of(folder: Path, transfer: nstbatch.StyleTransfer) -> Callable[..., nstbatch.Batch]:
    def make(options: nstbatch.StyleTransferOptions = OPTIONS, **more: object) -> nstbatch.Batch:
        def paint(photo: Path, run: nstbatch.PictureRun) -> nstbatch.Result:
            return transfer(photo, folder / "style.png", options, **run.arguments)

        return nstbatch.Batch(
            folder / "photos",
            folder / "out",
            paint,
            transfer,
            options,
            sources={"style": folder / "style.png"},
            recursive=True,
            **more,
        )

    return make


def pictures(folder: Path) -> dict[str, bytes]:
    found = (folder / "out").rglob("*.png")
    return {path.relative_to(folder / "out").as_posix(): path.read_bytes() for path in found}


def test_a_batch_paints_what_is_missing_and_nothing_twice(
    folder: Path, batch_of: Callable[..., nstbatch.Batch]
) -> None:
    batch, seen, outcomes = batch_of(), [], []
    states = {path.name: state for path, state in batch.plan().items()}
    assert states == dict.fromkeys(("a.png", "b.png", "broken.jpg"), "To be painted.")
    assert not (folder / "out").exists()
    summary = batch.run(
        progress=lambda photo, now: seen.append((photo.name, now.step)), finished=outcomes.append
    )
    assert (summary.counts[Status.DONE], summary.counts[Status.FAILED]) == (2, 1)
    assert sorted(pictures(folder)) == ["a.png", "deep/b.png"]
    assert {name for name, _ in seen} == {"a.png", "b.png"}
    (failed,) = (each for each in outcomes if each.status is Status.FAILED)
    assert failed.input == folder / "photos" / "broken.jpg"
    before = pictures(folder)
    again = batch.run()
    assert (again.counts[Status.SKIPPED], again.counts[Status.DONE]) == (2, 0)
    assert pictures(folder) == before
    page = batch.write_report()
    assert "broken.jpg" in page.read_text()


def test_a_stopped_batch_goes_on_to_the_same_bytes(
    folder: Path, batch_of: Callable[..., nstbatch.Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_of().run()
    whole = pictures(folder)
    shutil.rmtree(folder / "out")
    steps = 0

    def count(photo: Path, now: nstbatch.Progress) -> None:
        nonlocal steps
        steps += 1

    summary = batch_of().run(progress=count, stop=lambda: steps >= 7)
    assert summary.interrupted
    assert summary.left > 0
    assert len(pictures(folder)) < 2
    batch_of().run()
    assert pictures(folder) == whole


def test_pictures_of_other_options_or_another_style_are_not_taken_for_these(
    folder: Path, batch_of: Callable[..., nstbatch.Batch]
) -> None:
    batch_of().run()
    fewer = nstbatch.StyleTransferOptions(size=48, iterations=3, scales=1)
    with pytest.raises(UsageError, match="iterations"):
        batch_of(fewer).run()
    nstbatch.write(folder / "style.png", np.zeros((40, 48, 3), np.float32))
    with pytest.raises(UsageError, match="made with other settings"):
        batch_of().run()
    assert batch_of(overwrite=True).run().counts[Status.DONE] == 2


def test_what_is_asked_of_the_files(
    folder: Path, transfer: nstbatch.StyleTransfer, batch_of: Callable[..., nstbatch.Batch]
) -> None:
    named = nstbatch.PictureOptions(format="jpg", name="{stem}-painted")
    batch = batch_of(pictures=named, exclude=["broken.*"], together=2)
    assert batch.run().exit_code == 0
    assert sorted(path.name for path in (folder / "out").rglob("*.jpg")) == [
        "a-painted.jpg",
        "b-painted.jpg",
    ]
    missing = nstbatch.Batch("nowhere", "out", lambda photo, run: 1 / 0, transfer, OPTIONS)
    with pytest.raises(UsageError, match="nowhere"):
        missing.plan()
