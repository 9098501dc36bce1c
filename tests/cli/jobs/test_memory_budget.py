"""Budgets of memory: their spelling, and the tiles that they lead to."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from nstbatch.cli.jobs.effort import Effort
from nstbatch.cli.jobs.memory_budget import MemoryBudget, parse_bytes
from nstbatch.runtime import scratch
from nstbatch.runtime.devices import free_memory, gpu_memory
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2 * 10**9),
        ("2G", 2 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        ("800mb", 8 * 10**8),
        ("512MiB", 2**29),
        ("4096", 4096),
    ],
)
def test_sizes_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "2XB", "-1GB", "0GB", "2GBs", "two"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match="such as 2GB"):
        parse_bytes(text)


@pytest.fixture
def engine():
    return SimpleNamespace(tile_size=None, provider=Provider("cpu", "fp32"))


def effort(engine):
    """Pictures of 2000x1000 pixels of 10 GB as a whole, and 1 MB for each pixel of a tile."""
    return Effort(1, lambda photo: (1000, 2000), lambda *_: (engine.tile_size or 10_000) * 10**6)


@pytest.fixture
def photos(tmp_path):
    yield [tmp_path / "absent.jpg"]
    scratch.keep_in(None)


def on_disk(engine):
    """Pictures of 8 GB in any tiles, unless they lie in files."""
    return Effort(
        1,
        lambda photo: (1000, 2000),
        lambda *_: (engine.tile_size or 10_000) * 10**6 + (not scratch.is_in_use()) * 8 * 10**9,
    )


def test_what_is_too_large_in_tiles_lies_on_disk(engine, photos):
    said = MemoryBudget(6 * 10**8).fit(engine, on_disk(engine), photos, photos[0].parent / "new")
    assert scratch.is_in_use()
    assert engine.tile_size == 512
    assert said.endswith("tiles of 512 pixels, in about 0.5 GB, with up to 8.0 GB of files.")
    MemoryBudget(10**11).fit(engine, on_disk(engine), photos, photos[0].parent)
    assert not scratch.is_in_use()


def test_a_disk_that_is_too_small_is_told_before_the_first_step(engine, photos, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10**9))
    with pytest.raises(UsageError, match=r"needs 8\.0 GB on the disk of .*, and 1\.0 GB are free"):
        MemoryBudget(6 * 10**8).fit(engine, on_disk(engine), photos, photos[0].parent)


def test_a_picture_that_fits_stays_whole(engine, photos):
    assert MemoryBudget(10**10).fit(engine, effort(engine), photos, photos[0].parent) is None
    assert engine.tile_size is None


def test_a_picture_that_does_not_fit_is_tiled_by_itself(engine, photos):
    said = MemoryBudget(6 * 10**8).fit(engine, effort(engine), photos, photos[0].parent)
    assert engine.tile_size == 512
    assert said == (
        "A picture of 2000x1000 pixels would need about 10.0 GB of memory at once, so it is "
        "computed in tiles of 512 pixels, in about 0.5 GB."
    )


def test_without_a_limit_what_is_free_counts(engine, photos, monkeypatch):
    monkeypatch.setattr(free_memory, "free_memory", lambda: 3 * 10**8)
    MemoryBudget().fit(engine, effort(engine), photos, photos[0].parent)
    assert engine.tile_size == 256


def test_a_limit_below_the_smallest_tile_says_what_works(engine, photos):
    with pytest.raises(UsageError, match=r"at least 0\.1 GB of memory, in tiles of 64 pixels"):
        MemoryBudget(10**7).fit(engine, effort(engine), photos, photos[0].parent)


def test_nothing_is_said_or_refused_for_a_photo_that_tells_no_size(engine, tmp_path):
    empty = tmp_path / "empty.png"
    empty.touch()
    asked = replace(effort(engine), follows_photos=True)
    for limit in (6 * 10**8, 10**7):
        assert MemoryBudget(limit).fit(engine, asked, [empty], tmp_path) is None


@pytest.mark.parametrize(
    "budget", [MemoryBudget(10**9, tile_size=2048), MemoryBudget(10**9, None, False)]
)
def test_a_chosen_tile_and_a_loss_without_tiles_are_left_alone(engine, photos, budget):
    engine.tile_size = budget.tile_size
    with pytest.raises(UsageError, match="may be taken"):
        budget.fit(engine, effort(engine), photos, photos[0].parent)
    assert engine.tile_size == budget.tile_size


def test_little_free_memory_is_only_a_warning(engine, photos, monkeypatch):
    monkeypatch.setattr(free_memory, "free_memory", lambda: 10**7)
    said = MemoryBudget().fit(engine, effort(engine), photos, photos[0].parent)
    assert engine.tile_size == 64
    assert "are free" in said


def test_processes_share_the_memory(engine, photos):
    """What one process may take is in tiles of half the side if there are two."""
    budget = MemoryBudget(limit=6 * 10**8)
    budget.fit(engine, effort(engine), photos * 2, photos[0].parent)
    assert engine.tile_size == 512
    budget.fit(engine, effort(engine), photos * 2, photos[0].parent, processes=2)
    assert engine.tile_size == 256


def test_on_a_gpu_its_own_memory_counts_and_there_are_no_tiles(engine, photos, monkeypatch):
    engine.provider = Provider("cuda", "fp16", 1)
    monkeypatch.setattr(gpu_memory, "gpu_memory", lambda which, gpu: {1: 8 * 10**9}[gpu])
    said = MemoryBudget().fit(engine, effort(engine), photos, photos[0].parent, processes=2)
    assert "10.0 GB of GPU memory, and 8.0 GB are free." in said
    assert engine.tile_size is None
