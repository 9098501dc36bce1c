"""The cache gives back what it was given or nothing, and never stands in the way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nstbatch.runtime.cache.cache import Cache, current_cache, provider_folder
from nstbatch.runtime.user_folders import OFF, cache_folder

KEY = "0" * 64
ROOT = os.geteuid() == 0 if hasattr(os, "geteuid") else False


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "new" / "cache")


def only_file(cache: Cache) -> Path:
    (path,) = cache.folder.iterdir()
    return path


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


# --- Entries ----------------------------------------------------------------------------------


def test_an_entry_is_given_back(cache):
    assert cache.read(KEY) is None
    cache.write(KEY, b"graph")
    assert cache.read(KEY) == b"graph"
    assert cache.read("1" * 64) is None
    assert Cache(cache.folder).read(KEY) == b"graph"


def test_the_later_of_two_entries_counts(cache):
    cache.write(KEY, b"one")
    cache.write(KEY, b"another")
    assert cache.read(KEY) == b"another"


@pytest.mark.parametrize("damage", [flip_a_bit, lambda path: path.write_bytes(b"")])
def test_a_damaged_entry_is_none(cache, damage):
    cache.write(KEY, b"a graph that is long enough to have a middle")
    damage(only_file(cache))
    assert cache.read(KEY) is None
    cache.write(KEY, b"whole")
    assert cache.read(KEY) == b"whole"


def test_an_entry_cut_short_is_none(cache):
    cache.write(KEY, b"graph")
    path = only_file(cache)
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.read(KEY) is None


# --- Blobs ------------------------------------------------------------------------------------


def test_a_blob_lies_there_as_it_is_and_once(cache):
    name = cache.write_blob(b"weights")
    assert cache.write_blob(b"weights") == name != cache.write_blob(b"other")
    assert (cache.folder / name).read_bytes() == b"weights"
    assert cache.has_blob(name)
    assert len(list(cache.folder.iterdir())) == 2


@pytest.mark.parametrize("damage", [flip_a_bit, lambda path: path.write_bytes(b""), os.unlink])
def test_a_damaged_blob_is_none(cache, damage):
    name = cache.write_blob(b"weights")
    damage(cache.folder / name)
    later = Cache(cache.folder)
    assert not later.has_blob(name)
    assert later.write_blob(b"weights") == name
    assert later.has_blob(name)


def test_a_blob_that_another_process_removed_is_gone(cache):
    name = cache.write_blob(b"weights")
    assert cache.has_blob(name)
    (cache.folder / name).unlink()
    assert not cache.has_blob(name)


# --- Room -------------------------------------------------------------------------------------


def test_the_files_unused_the_longest_go(tmp_path):
    cache = Cache(tmp_path, largest=1000)
    for age, key in enumerate("abc"):
        cache.write(key, bytes(250))
        os.utime(tmp_path / f"{key}.entry", (1000 + age, 1000 + age))
    assert cache.read("a") is not None  # and is in use, from now on
    cache.write("d", bytes(250))
    assert cache.size <= 750
    assert [key for key in "abcd" if cache.read(key) is not None] == ["a", "d"]


def test_what_a_killed_process_left_goes_too(tmp_path):
    left = tmp_path / ".nstbatch-0123.tmp"
    left.write_bytes(bytes(800))
    os.utime(left, (1000, 1000))
    Cache(tmp_path, largest=1000).write(KEY, bytes(300))
    assert not left.exists()


def test_an_entry_larger_than_the_cache_is_not_kept(tmp_path):
    cache = Cache(tmp_path, largest=100)
    cache.write(KEY, bytes(200))
    assert cache.read(KEY) is None
    assert cache.size == 0


# --- What is in the way -----------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_none(tmp_path):
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "cache")
    cache.write(KEY, b"graph")
    assert cache.read(KEY) is None
    assert not cache.has_blob(cache.write_blob(b"weights"))
    assert cache.size == 0


@pytest.mark.skipif(ROOT, reason="root may write anywhere")
def test_a_folder_for_reading_only_is_read(cache):
    cache.write(KEY, b"graph")
    cache.folder.chmod(0o555)
    cache.write("1" * 64, b"other")
    assert cache.read(KEY) == b"graph"
    assert cache.read("1" * 64) is None
    cache.folder.chmod(0o755)


def test_a_full_disk_leaves_nothing(cache, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    cache.write(KEY, b"graph")
    assert cache.read(KEY) is None
    assert list(cache.folder.iterdir()) == []


# --- Several processes ------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from nstbatch.runtime.cache.cache import Cache
cache = Cache(Path(sys.argv[1]))
print("ready", flush=True)
for count in range(int(sys.argv[2])):
    for key in "abcd":
        cache.write(key, key.encode() * 100_000)
        assert cache.read(key) == key.encode() * 100_000
        assert cache.has_blob(cache.write_blob(key.encode() * 100_000))
"""


def writer(folder: Path, rounds: int) -> subprocess.Popen:
    arguments = [sys.executable, "-c", WRITER, str(folder), str(rounds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_two_processes_share_it(tmp_path):
    processes = [writer(tmp_path, 20) for _ in range(2)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".blob"] * 4 + [".entry"] * 4


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of POSIX")
def test_killing_a_process_that_writes_leaves_nothing_bad(tmp_path):
    for _ in range(5):
        process = writer(tmp_path, 10_000)
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        cache = Cache(tmp_path)
        for key in "abcd":
            assert cache.read(key) in (None, key.encode() * 100_000)
        for path in tmp_path.glob("*.blob"):
            assert cache.has_blob(path.name)


# --- Where it is ------------------------------------------------------------------------------


def test_it_lies_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path / "chosen"))
    assert cache_folder() == tmp_path / "chosen" / "nstbatch"  # nothing of somebody else's
    assert current_cache() is current_cache()
    monkeypatch.setenv("NSTBATCH_CACHE", "")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, appauthor: tmp_path / name)
    assert cache_folder() == tmp_path / "nstbatch"


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("NSTBATCH_CACHE", OFF)
    assert cache_folder() is None
    assert current_cache() is None


def test_a_provider_has_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path))
    folder = provider_folder("tensorrt")
    assert folder == tmp_path / "nstbatch" / "tensorrt"
    assert folder.is_dir()


@pytest.mark.parametrize("cache", ["off", __file__])
def test_a_provider_has_no_folder_where_nothing_can_be_kept(monkeypatch, cache):
    monkeypatch.setenv("NSTBATCH_CACHE", cache)
    assert provider_folder("tensorrt") is None
