"""What tests in several folders share: pictures that are broken in every way a batch may meet."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

# A step that took 200 ms (the default deadline) says more of the machine than of the code.
hypothesis.settings.register_profile("nstbatch", deadline=None)
hypothesis.settings.load_profile("nstbatch")

BadInputs = Callable[[Path], dict[str, str]]


@pytest.fixture
def write_bad_inputs() -> BadInputs:
    """A function that fills a folder with files no picture comes of: {name: part of the reason}.

    ``1x1.png`` and ``3x2000.png`` (width x height) can be read, but not stylized.
    """
    return _write_bad_inputs


@pytest.fixture
def write_unreadable() -> BadInputs:
    """The same, without the two that can be read."""
    return _write_unreadable


def _write_bad_inputs(folder: Path) -> dict[str, str]:
    _noise(1, 1).save(folder / "1x1.png")
    _noise(3, 2000).save(folder / "3x2000.png")
    return _write_unreadable(folder) | {"1x1.png": "1x1", "3x2000.png": "3x2000"}


def _write_unreadable(folder: Path) -> dict[str, str]:
    (folder / "zero.jpg").touch()
    (folder / "text.jpg").write_text("Dear diary, today I pretended to be a picture.\n" * 20)
    (folder / "bomb.png").write_bytes(bomb(20_000))
    for name in ("truncated.jpg", "truncated.png"):
        path = folder / name
        _noise(96, 64).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return {
        "zero.jpg": "empty",
        "text.jpg": "Not recognised as a picture",
        "bomb.png": "too many",
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
    }


@pytest.fixture
def make_bomb() -> Callable[[int], bytes]:
    """A function that gives a small, valid PNG of so many pixels a side."""
    return bomb


def bomb(side: int) -> bytes:
    """A black square of 1 bit a pixel, which compresses a thousandfold."""
    compressor = zlib.compressobj()
    row = bytes(1 + (side + 7) // 8)
    data = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": data, b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)
