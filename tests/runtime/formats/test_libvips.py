"""How libvips is set up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.formats import libvips
from nstbatch.runtime.formats.content import Content
from nstbatch.runtime.pictures import images

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8))
LOADERS = {
    "jpg": "jpegload",
    "png": "pngload",
    "webp": "webpload",
    "tif": "tiffload",
    "avif": "heifload",
    "gif": "gifload",
}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux alone says what is mapped")
@pytest.mark.parametrize("suffix", LOADERS)
def test_no_file_is_mapped_since_it_may_shrink(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    NOISE.save(path)
    image = libvips.load(Content(path), LOADERS[suffix])
    assert path.name not in Path("/proc/self/maps").read_text()
    assert image.copy_memory().width == 300
    assert path.name not in Path("/proc/self/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux alone lists open files")
@pytest.mark.parametrize("suffix", LOADERS)
def test_no_file_stays_open(suffix: str, tmp_path: Path) -> None:
    path, cut = tmp_path / f"a.{suffix}", tmp_path / f"cut.{suffix}"
    NOISE.save(path)
    cut.write_bytes(path.read_bytes()[:3000])
    before = open_files()
    for _ in range(5):
        images.read(path)
        with pytest.raises(ImageError):
            images.read(cut)
    assert open_files() <= before + 1


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_untrusted_loaders_are_blocked_and_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    )
    with pytest.raises(pyvips.Error, match="blocked"):
        pyvips.Operation.call("svgload", str(tmp_path / "a.svg"))
    with pytest.raises(ImageError, match="Not recognised"):
        images.read(tmp_path / "a.svg")
    assert pyvips.cache_get_max() == 0


@pytest.mark.parametrize(("wanted", "threads"), [(None, range(1, 5)), ("7", [7])])
def test_threads_are_few_unless_the_user_says_so(wanted: str | None, threads: range) -> None:
    code = """
import pyvips
import nstbatch.runtime.formats.libvips
print(pyvips.concurrency_get())"""
    environment = {key: value for key, value in os.environ.items() if key != "VIPS_CONCURRENCY"}
    environment |= {} if wanted is None else {"VIPS_CONCURRENCY": wanted}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) in threads


def test_the_command_line_answers_without_it() -> None:
    code = """
import sys
from nstbatch.cli.main import run
run(["--help"])
print("pyvips" in sys.modules)"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "False"
