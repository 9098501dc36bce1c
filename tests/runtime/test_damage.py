"""Damaged pictures are read, or refused with the project's own error; nothing else may happen.

The file is also a fuzzer: ``python tests/runtime/test_damage.py 2000 [seed]`` tries 2000 damaged
files and counts the outcomes. The seed alone decides which files are tried.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import camera_files
import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.formats import tiff
from nstbatch.runtime.formats.metadata import Metadata, read_metadata, read_recipe
from nstbatch.runtime.pictures import images

resource = pytest.importorskip("resource")  # not on Windows

# The largest picture that is read has 89 million pixels of 12 bytes, and is copied while it is
# read. Nothing here may come near that: the sources have a few thousand pixels, and a size field
# that was damaged is followed by too few samples.
MAX_BYTES = 1 << 30
MAX_SECONDS = 10.0

HEIGHT, WIDTH = 48, 64


@cache
def sources() -> dict[str, bytes]:
    """One undamaged file of every readable format, with all the metadata that the format holds."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    levels = np.stack([columns * 4, rows * 5, rows + columns], axis=-1).astype(np.uint8)
    image = Image.fromarray(levels)
    exif = tiff.record(
        {
            0x0112: tiff.shorts(6),
            0x010F: tiff.text("Maker"),
            tiff.EXIF_DIRECTORY: {0x9003: tiff.text("2024")},
        }
    )
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    def pillow(name: str, picture: Image.Image = image, **options: object) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, name, **options)
        return buffer.getvalue()

    def opencv(suffix: str, *options: int) -> bytes:
        return cv2.imencode(suffix, levels.astype(np.uint16) * 257, options)[1].tobytes()

    records = {"exif": b"Exif\0\0" + exif, "icc_profile": profile}
    frames = {"save_all": True, "append_images": [image.rotate(90)]}
    found = {
        "jpeg": pillow("JPEG", xmp=packet, **records),
        "jpeg progressive": pillow("JPEG", progressive=True),
        "jpeg cmyk": pillow("JPEG", image.convert("CMYK")),
        "mpo": pillow("MPO", **frames),
        "png": pillow("PNG", **records),
        "png palette": pillow("PNG", image.quantize(16), transparency=3),
        "png 16": opencv(".png"),
        "apng": pillow("PNG", **frames),
        "webp": pillow("WEBP", xmp=packet, **records),
        "webp lossless": pillow("WEBP", lossless=True),
        "webp animation": pillow("WEBP", **frames),
        "tiff": pillow("TIFF", icc_profile=profile),
        "tiff lzw": pillow("TIFF", compression="tiff_lzw"),
        "tiff jpeg": pillow("TIFF", compression="jpeg"),
        "tiff 16": opencv(".tif", cv2.IMWRITE_TIFF_COMPRESSION, 1),
        "avif": pillow("AVIF", xmp=packet, **records),
        "bmp": pillow("BMP"),
        "gif": pillow("GIF", **frames),
        "heic": camera_files.heic(levels, exif=exif, xmp=packet),
        "jxl": camera_files.jxl(levels, exif=exif),
        "dng": camera_files.dng(levels, orientation=6),
    }
    # Files written by this project as well, since it also has readers of its own for some parts.
    metadata = Metadata(
        exif={0x010F: tiff.text("Maker")},
        iptc=b"\x1c\x02\x05\0\x05Title",
        texts={"Title": "a"},
        resolution=(300, 300),
        recipe="{}",
        profiled=True,
        bits=16,
    )
    with tempfile.TemporaryDirectory() as folder:
        for suffix in images.WRITABLE_SUFFIXES:
            path = Path(folder, f"a{suffix}")
            images.write(path, levels.astype(np.float32) / 255, metadata=metadata)
            found[f"ours {suffix}"] = path.read_bytes()
    return found


# --- Damage -----------------------------------------------------------------------------------

Damage = Callable[[random.Random, bytearray], None]


def place(chance: random.Random, data: bytearray) -> int:
    """A random position, more often in the header."""
    return int(chance.random() ** 3 * len(data))


def flip_bytes(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.choice((1, 3, 20))):
        data[place(chance, data)] = chance.randrange(256)


def set_extremes(chance: random.Random, data: bytearray) -> None:
    """Write a number that is extreme for a size, an offset or a count."""
    start = place(chance, data)
    extremes = (
        bytes(4),
        b"\xff" * 4,
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\x7f",
        b"\x00\x01\x00\x00",
    )
    data[start : start + 4] = chance.choice(extremes)


def cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


def cut_out(chance: random.Random, data: bytearray) -> None:
    start = place(chance, data)
    del data[start : start + chance.choice((1, 2, 7, 100))]


def repeat(chance: random.Random, data: bytearray) -> None:
    start = place(chance, data)
    piece = data[start : start + chance.choice((1, 8, 64, 500))]
    data[start:start] = piece * chance.choice((1, 2, 50))


def splice(chance: random.Random, data: bytearray) -> None:
    """Replace the rest of the file with the end of another."""
    other = chance.choice(list(sources().values()))
    data[place(chance, data) :] = other[int(chance.random() * len(other)) :]


KINDS: tuple[Damage, ...] = (flip_bytes, flip_bytes, set_extremes, cut, cut_out, repeat, splice)


def damaged(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield ``count`` pairs: the name of a source, and a damaged copy of it."""
    chance = random.Random(seed)
    names = list(sources())
    for number in range(count):
        name = names[number % len(names)]
        data = bytearray(sources()[name])
        for kind in chance.sample(KINDS, chance.choice((1, 1, 2, 3))):
            if data:
                kind(chance, data)
        yield name, bytes(data)


# --- Outcomes ---------------------------------------------------------------------------------


def outcome(path: Path) -> str:
    """Read a file in every way the library offers, and return "read" or "refused"."""
    try:
        picture = images.read(path)
    except ImageError:
        result = "refused"
    else:
        assert picture.pixels.dtype == np.float32
        assert picture.pixels.shape[2] == 3
        assert 0 <= picture.pixels.min() <= picture.pixels.max() <= 1
        if picture.alpha is not None:
            assert picture.alpha.shape == picture.pixels.shape[:2]
        result = "read"
    for also in (lambda: read_metadata(path, "everything"), lambda: read_recipe(path)):
        try:
            also()
        except ImageError:
            continue
    return result


def fuzz(seed: int, count: int, folder: Path) -> tuple[Counter[str], float]:
    """Try ``count`` files; return the count of each outcome and the seconds of the slowest file."""
    found: Counter[str] = Counter()
    slowest = 0.0
    path = folder / "damaged"
    for number, (name, data) in enumerate(damaged(seed, count)):
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            found[outcome(path)] += 1
        except Exception as error:
            kept = folder / f"failed-{seed}-{number}"
            kept.write_bytes(data)
            raise AssertionError(f"{name}, kept as {kept}") from error
        slowest = max(slowest, time.perf_counter() - start)
    return found, slowest


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    """Make allocations fail beyond :data:`MAX_BYTES` more than the process uses now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def check(seed: int, count: int, folder: Path) -> None:
    found, slowest = fuzz(seed, count, folder)
    assert found.total() == count
    assert min(found["read"], found["refused"]) > count / 20  # damage of both kinds
    assert slowest < MAX_SECONDS


@pytest.mark.usefixtures("bounded_memory")
def test_200_damaged_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check(0, 200, tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.replication
@pytest.mark.usefixtures("bounded_memory")
def test_2000_damaged_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check(1, 2000, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_the_sources_are_good(tmp_path: Path) -> None:
    for data in sources().values():
        (tmp_path / "good").write_bytes(data)
        assert outcome(tmp_path / "good") == "read"


if __name__ == "__main__":
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    start = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print(*fuzz(start, files, Path(tempfile.mkdtemp())))
