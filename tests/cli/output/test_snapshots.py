"""The snapshots of one picture, as its painter's reports come."""

from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.output.known_results import KnownResults
from nstbatch.cli.output.snapshots import Snapshots
from nstbatch.runtime.descent.progress import Progress
from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.files import temporary_name


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "deep/a.jpg"


@pytest.fixture
def folder(output) -> Path:
    return output.with_name("a.jpg.snapshots")


def snapshots(output: Path, count: int, **changes) -> Snapshots:
    """Files that hold the first value of the picture."""
    return Snapshots(
        **{"output": output, "count": count, "encode": lambda image: b"%d" % image[0, 0, 0]}
        | {"token": "token"}
        | changes
    )


def at(step: int, steps: int = 12) -> Progress:
    """A step, whose picture has its number as first value."""

    def picture() -> np.ndarray:
        return np.full((1, 1, 3), step, np.float32)

    return Progress(1, 1, step, steps, step / steps, 1, 1, {}, picture=picture)


def taken(folder: Path) -> dict[str, int]:
    return {path.name: int(path.read_text()) for path in sorted(folder.glob("[!.]*"))}


def test_they_lie_evenly_on_the_way(output, folder):
    take = snapshots(output, 3)
    for step in range(13):
        take(at(step))
    assert taken(folder) == {"000001.jpg": 3, "000002.jpg": 6, "000003.jpg": 9}


def test_a_step_without_a_snapshot_makes_no_picture(output):
    def picture() -> None:
        raise AssertionError

    take = snapshots(output, 3)
    take(Progress(1, 1, 2, 12, 0.1, 1, 1, {}, picture=picture))
    take(Progress(1, 1, 6, 12, 0.1, 1, 1, {}))  # such as a pass over images


def test_no_number_is_left_out_where_steps_are_skipped(output, folder):
    take = snapshots(output, 3)
    for step in (0, 1, 7, 12):  # a size ended early; a GPU looks only now and then
        take(at(step))
    assert taken(folder) == {"000001.jpg": 7, "000002.jpg": 7, "000003.jpg": 12}


def test_there_are_no_more_than_steps(output, folder):
    take = snapshots(output, 100)
    for step in range(5):
        take(at(step, 4))
    assert taken(folder) == {"000001.jpg": 1, "000002.jpg": 2, "000003.jpg": 3}
    take = snapshots(output.with_name("b.jpg"), 100)
    for step in range(2):
        take(at(step, 1))
    assert not output.with_name("b.jpg.snapshots").exists()


def test_a_resumed_run_goes_on_with_the_numbers(output, folder):
    take = snapshots(output, 3)
    for step in range(10):
        take(at(step))
    (folder / temporary_name("token")).touch()  # killed while it wrote
    take = snapshots(output, 3)
    take(at(7))
    assert taken(folder) == {"000001.jpg": 3, "000002.jpg": 6}
    take(at(12))
    assert taken(folder) == {"000001.jpg": 3, "000002.jpg": 6, "000003.jpg": 12}


def test_a_new_painting_or_another_number_begins_anew(output, folder):
    for step in range(13):
        snapshots(output, 3)(at(step))
    take = snapshots(output, 3)
    take(at(0))
    assert taken(folder) == {}
    take(at(3))
    take(at(1))  # tried again, with less memory
    assert taken(folder) == {}
    take(at(4))
    take = snapshots(output, 5)
    take(at(4))
    assert taken(folder) == {}  # those before are gone


def test_a_painting_without_snapshots_removes_those_of_the_one_before(output, folder):
    take = snapshots(output, 3)
    for step in range(13):
        take(at(step))
    (folder / "mine.jpg").touch()
    snapshots(output, 0)
    assert [path.name for path in folder.iterdir()] == ["mine.jpg"]
    (folder / "000001.jpg").touch()  # no longer ours
    snapshots(output, 0)
    assert len(list(folder.iterdir())) == 2
    with pytest.raises(ImageError, match=r"a\.jpg\.snapshots is there already"):
        snapshots(output, 3)(at(0))
    assert len(list(folder.iterdir())) == 2


def test_they_are_results_also_before_the_picture_is_finished(output, folder):
    take = snapshots(output, 3)
    for step in range(7):
        take(at(step))
    known = KnownResults()
    assert [known(str(path)) for path in sorted(folder.glob("[!.]*"))] == [True, True]
    assert not known(str(output))
