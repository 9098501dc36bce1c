"""The sizes of the pictures of a batch, before any photo is decoded."""

from pathlib import Path

import numpy as np
import pytest

from nstbatch.cli.jobs.effort import HANDED, SAMPLE, TYPICAL_PHOTO, Effort, effort_of_photos
from nstbatch.cli.jobs.plan import Job
from nstbatch.runtime.pictures import images


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    """A tall photo, a wide one, and one that cannot be read."""
    paths = [tmp_path / name for name in ("tall.png", "wide.jpg", "broken.png")]
    images.write(paths[0], np.zeros((40, 20, 3), np.float32))
    images.write(paths[1], np.zeros((30, 90, 3), np.float32))
    paths[2].write_bytes(b"no picture")
    return paths


@pytest.mark.parametrize(
    ("size", "max_size", "shapes"),
    [
        (60, None, [(60, 30), (20, 60), (20, 60)]),
        ("own", None, [(40, 20), (30, 90), (30, 90)]),
        ("own", 60, [(40, 20), (20, 60), (20, 60)]),
        (60, 30, [(30, 15), (10, 30), (10, 30)]),
    ],
)
def test_sizes_are_read_from_the_heads_of_the_photos(photos, size, max_size, shapes):
    effort = effort_of_photos(size, max_size, 1, lambda shape, pictures: None)
    assert effort.shapes(photos) == shapes
    assert effort.shapes([]) == []
    follows = size == "own" or max_size is not None
    assert effort.follows_photos is follows
    largest = max(shapes, key=lambda shape: shape[0] * shape[1])
    assert effort.largest(photos) == (largest if follows else (60, 60))


def test_a_photo_that_tells_no_size_counts_as_the_largest_of_the_others(photos):
    effort = effort_of_photos("own", None, 1, lambda shape, pictures: None)
    broken = photos[2]
    assert effort.largest([broken, *photos[:2]]) == (30, 90)
    assert effort.largest([broken]) == TYPICAL_PHOTO


def test_many_photos_are_looked_at_only_where_each_counts(photos, monkeypatch):
    monkeypatch.setattr("nstbatch.runtime.formats.dimensions.dimensions", lambda path: (3, 4))
    many = photos * 100
    assert len(Effort(1, tuple).shapes(many)) == SAMPLE
    assert len(Effort(1, tuple, follows_photos=True).shapes(many)) == len(many)


@pytest.mark.parametrize("size", [60, "own"])
def test_a_part_of_the_jobs_has_the_largest_picture(size, tmp_path, photos):
    """Workers get this part of a large batch; all else about a photo comes with the request."""
    small, wide = photos[:2]
    effort = effort_of_photos(size, None, 1, lambda shape, pictures: None)
    jobs = [Job(small, tmp_path / f"{number}.png") for number in range(HANDED)]
    assert effort.sample(jobs) == tuple(jobs)
    jobs *= 2
    jobs[778] = Job(wide, tmp_path / "wide.png")
    some = effort.sample(jobs)
    assert HANDED // 2 < len(some) <= HANDED
    assert (jobs[778] in some) == (size == "own")
