"""HEIC, JPEG XL and raw files, which need packages that are extras."""

from __future__ import annotations

import sys
from pathlib import Path

import camera_files
import numpy as np
import pytest
from PIL import ExifTags, Image

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.formats.content import Content
from nstbatch.runtime.formats.decoding import decode
from nstbatch.runtime.formats.jxl_size import size
from nstbatch.runtime.formats.metadata import read_metadata
from nstbatch.runtime.installing import install_command
from nstbatch.runtime.pictures import images

HEIGHT, WIDTH = 64, 96
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
LEVELS = np.stack([COLUMNS * 2, ROWS * 3, np.full_like(ROWS, 40)], axis=-1).astype(np.uint8)
# In a raw file, colours are mixed with their neighbours'.
HALVES = np.where(COLUMNS[..., None] < WIDTH // 2, (200, 40, 40), (40, 40, 200)).astype(np.uint8)
FILES = {
    "heic": camera_files.heic(LEVELS),
    "jxl": camera_files.jxl(LEVELS),
    "raw": camera_files.dng(HALVES),
}


def exif(orientation: int) -> bytes:
    record = Image.Exif()
    record[ExifTags.Base.Make] = "Maker"
    record[ExifTags.Base.Orientation] = orientation
    return record.tobytes()


def test_heic_and_jpeg_xl_are_read() -> None:
    pixels, alpha = decode(Content(data=FILES["heic"]))
    assert alpha is None
    np.testing.assert_allclose(pixels, LEVELS / 255, atol=0.06)
    np.testing.assert_allclose(decode(Content(data=FILES["jxl"]))[0], LEVELS / 255, atol=1e-6)


def test_heic_of_10_bits_keeps_them(tmp_path: Path) -> None:
    import pillow_heif

    deep = np.broadcast_to(np.linspace(20_000, 20_600, WIDTH)[None, :, None], LEVELS.shape)
    data = np.ascontiguousarray(deep.astype(np.uint16)).tobytes()
    file = pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), data)
    file.save(tmp_path / "a.heic", quality=-1, bit_depth=10, chroma=444)
    pixels = images.read(tmp_path / "a.heic").pixels
    assert len(np.unique(pixels[..., 1])) > 4  # 8 bits have three levels there
    assert read_metadata(tmp_path / "a.heic").bits == 16


def test_heic_stands_upright_and_brings_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(camera_files.heic(LEVELS, exif=exif(6)))
    pixels = images.read(tmp_path / "a.heic").pixels
    np.testing.assert_allclose(pixels, np.rot90(LEVELS, -1) / 255, atol=0.06)
    assert 0x010F in read_metadata(tmp_path / "a.heic").exif


def test_jpeg_xl_is_not_turned_by_its_exif(tmp_path: Path) -> None:
    """It has a field of its own, which the decoder follows (ISO/IEC 18181-2)."""
    (tmp_path / "a.jxl").write_bytes(camera_files.jxl(LEVELS, exif=exif(6)))
    assert images.read(tmp_path / "a.jxl").pixels.shape == LEVELS.shape
    assert 0x010F in read_metadata(tmp_path / "a.jxl").exif


@pytest.mark.parametrize("name", ["a.dng", "a.tif", "a.JPG"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_raw_file_is_developed_whatever_its_name(
    tmp_path: Path, name: str, orientation: int
) -> None:
    (tmp_path / name).write_bytes(camera_files.dng(HALVES, orientation))
    pixels = images.read(tmp_path / name).pixels
    lying = pixels if orientation == 1 else np.rot90(pixels)
    assert lying.shape == HALVES.shape  # and not the thumbnail of 30x20
    left, right = lying[:, : WIDTH // 2 - 4], lying[:, WIDTH // 2 + 4 :]
    assert left[..., 0].min() > 2 * left[..., 1:].max()
    assert right[..., 2].min() > 2 * right[..., :2].max()
    metadata = read_metadata(tmp_path / name)
    assert metadata.bits == 16
    assert 0x010F in metadata.exif


@pytest.mark.parametrize(
    "start",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"IIU\0\x18\0\0\0",
        b"IIRO\x08\0\0\0",
        b"\0MRM" + bytes(8),
        b"FOVb" + bytes(8),
        b"II\x1a\0\0\0HEAPCCDR",
        b"\0\0\0\x18ftypcrx \0\0\0\x01",
        b"II*\0\x10\0\0\0CR\x02\0",
        b"II*\0\x08\0\0\0IIIIwaR\0",
    ],
)
def test_raw_files_of_makers_are_recognised(start: bytes) -> None:
    assert Content(data=start.ljust(500, b"\0")).kind == "RAW"


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1heix", "HEIC"),
        (b"hevc\0\0\0\0msf1hevc", "HEIC"),
        (b"avif\0\0\0\0mif1avif", "AVIF"),
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"isom\0\0\0\0isommp42", None),  # a film
    ],
)
def test_heic_and_avif_are_told_apart_by_their_brands(brands: bytes, kind: str | None) -> None:
    head = (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands
    assert Content(data=head + bytes(100)).kind == kind


# --- Without the packages ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "package", "name"),
    [
        ("heic", "pillow_heif", "an HEIC picture"),
        ("jxl", "pillow_jxl", "a JPEG XL picture"),
        ("raw", "rawpy", "a raw file"),
    ],
)
def test_without_the_extra_the_command_that_installs_it_is_named(
    extra: str, package: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImageError) as caught:
        decode(Content(data=FILES[extra]))
    assert name in str(caught.value)
    assert str(caught.value).endswith(install_command(extra))


# --- Limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", FILES)
def test_the_limit_on_pixels_holds_before_anything_is_decoded(
    extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH - 1)
    with pytest.raises(ImageError, match=r"6,144 pixels.*--max-pixels"):
        decode(Content(data=FILES[extra]))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH)
    assert decode(Content(data=FILES[extra]))[0].shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("use_container", [False, True])
@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (8, 8), (256, 256), (300, 200), (1920, 1080), (3, 9000), (20_000, 2)],
)
def test_the_header_of_jpeg_xl_tells_the_size(width: int, height: int, use_container: bool) -> None:
    black = np.zeros((height, width, 3), np.uint8)
    assert size(camera_files.jxl(black, use_container=use_container)) == (width, height)
