"""The size of a picture file is read from its head."""

from __future__ import annotations

import os
from pathlib import Path

import camera_files
import numpy as np
from PIL import Image

from nstbatch.runtime.formats.dimensions import dimensions

LEVELS = np.zeros((40, 60, 3), np.uint8)


def test_the_head_tells_height_and_width(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".webp", ".tif", ".avif", ".bmp", ".gif"):
        path = tmp_path / f"photo{suffix}"
        Image.fromarray(LEVELS).save(path)
        assert dimensions(path) == (40, 60), suffix


def test_it_may_tell_nothing(tmp_path: Path) -> None:
    """A raw file has the head of its thumbnail, of 30x20 pixels."""
    for name, content in {
        "raw.dng": camera_files.dng(LEVELS),
        "raw_as.tif": camera_files.dng(LEVELS),
        "text.jpg": b"not a picture",
        "empty.png": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert dimensions(tmp_path / name) is None, name
    os.mkfifo(tmp_path / "pipe.jpg")
    assert dimensions(tmp_path / "pipe.jpg") is None
    assert dimensions(tmp_path / "gone.jpg") is None
