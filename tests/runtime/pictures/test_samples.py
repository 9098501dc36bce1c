"""Every kind of picture that the library takes, and what it says of the others."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.pictures import images
from nstbatch.runtime.pictures.images import Picture

LEVELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
WANTED = LEVELS.astype(np.float32) / np.float32(255)
OPACITY = np.random.default_rng(1).integers(1, 256, (6, 9), np.uint8)


class Exporter:
    """An object that only speaks DLPack, such as a tensor of CuPy."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self._array.__dlpack_device__()
        return device


class Holder:
    """An object that only numpy's protocol turns into an array."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return LEVELS


class Stream(io.RawIOBase):
    """A file that cannot go back, such as a pipe."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(LEVELS).save(buffer, "PNG")
    return buffer.getvalue()


def at_its_end() -> io.BytesIO:
    buffer = io.BytesIO(png())
    buffer.seek(0, io.SEEK_END)
    return buffer


ACCEPTED: dict[str, Callable[[], Any]] = {
    "uint8": lambda: LEVELS,
    "uint16": lambda: LEVELS.astype(np.uint16) * 257,
    "big-endian": lambda: LEVELS.astype(">u2") * 257,
    "float32": lambda: WANTED,
    "float64": lambda: WANTED.astype(np.float64),
    "float16": lambda: WANTED.astype(np.float16),
    "strided": lambda: np.asfortranarray(LEVELS)[::-1][::-1],
    "PIL image": lambda: Image.fromarray(LEVELS),
    "PIL image of a file": lambda: Image.open(io.BytesIO(png())),
    "BytesIO": lambda: io.BytesIO(png()),
    "BytesIO at its end": at_its_end,
    "stream": lambda: Stream(png()),
    "__array__": Holder,
    "DLPack": lambda: Exporter(WANTED),
    "PyTorch": lambda: torch.from_numpy(LEVELS),
    "picture of uint8": lambda: Picture(LEVELS),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_every_kind_gives_the_same_picture(kind: str, tmp_path: Path) -> None:
    tolerance = 1e-3 if kind == "float16" else 1e-7
    for picture in (images.as_picture(ACCEPTED[kind]()), images.read(ACCEPTED[kind]())):
        assert picture.pixels.dtype == np.float32
        assert picture.pixels.flags.c_contiguous
        assert picture.alpha is None
        np.testing.assert_allclose(picture.pixels, WANTED, atol=tolerance)
    images.write(tmp_path / "a.png", ACCEPTED[kind]())
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), LEVELS)


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 1)])
def test_grey_has_three_equal_channels(shape: tuple[int, ...], tmp_path: Path) -> None:
    pixels = images.as_picture(OPACITY.reshape(shape)).pixels
    np.testing.assert_array_equal(pixels, np.dstack([OPACITY] * 3) / np.float32(255))
    images.write(tmp_path / "a.png", OPACITY.reshape(shape))
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == np.dstack([OPACITY] * 3).tolist()


def test_a_fourth_channel_is_opacity(tmp_path: Path) -> None:
    levels = np.dstack([LEVELS, OPACITY])
    for given in (levels, Image.fromarray(levels), levels / 255):
        picture = images.as_picture(given)
        np.testing.assert_allclose(picture.pixels, WANTED, atol=1e-7)
        assert picture.alpha is not None
        np.testing.assert_allclose(picture.alpha, OPACITY / 255, atol=1e-7)
        images.write(tmp_path / "a.png", given)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), levels)


def test_an_alpha_may_be_uint8_and_is_given_once(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", LEVELS, OPACITY)
    written = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(written, np.dstack([LEVELS, OPACITY]))
    with pytest.raises(ImageError, match="an opacity of its own"):
        images.write(tmp_path / "a.png", written, OPACITY)


def test_a_picture_writes_its_own_alpha(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", images.as_picture(np.dstack([LEVELS, OPACITY])))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png"))[..., 3], OPACITY)


def test_hidden_colours_of_an_array_do_not_show() -> None:
    levels = np.full((4, 4, 4), 255, np.uint8)
    levels[0, 0] = 0
    np.testing.assert_array_equal(images.as_picture(levels).pixels, 1)


@pytest.mark.parametrize("beyond", [1.0000001, 1.0009, -0.0009])
def test_a_rounding_outside_the_range_is_clipped(beyond: float) -> None:
    pixels = images.as_picture(np.full((2, 2, 3), beyond)).pixels
    np.testing.assert_array_equal(pixels, round(beyond))


def test_a_picture_in_order_is_not_copied() -> None:
    picture = Picture(WANTED, np.ones((6, 9), np.float32))
    assert images.as_picture(picture) is picture
    assert images.as_picture(WANTED).pixels is WANTED


def test_a_pil_image_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF 2.32, Orientation: to be turned by a quarter
    buffer = io.BytesIO()
    Image.fromarray(LEVELS).save(buffer, "PNG", exif=exif)
    turned = images.as_picture(Image.open(buffer))
    np.testing.assert_array_equal(turned.pixels, np.rot90(WANTED, -1))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "None": (lambda: None, r"must be a path, .*a PIL image.*__dlpack__.*, not NoneType\."),
    "number": (lambda: 3, r"not int\."),
    "dict": (dict, r"not dict\."),
    "bytes": (png, r"not bytes\. Wrap the bytes of a file in io\.BytesIO\."),
    "list": (LEVELS.tolist, r"not list\. Make an array of it with numpy\.asarray\."),
    "int64": (lambda: LEVELS.astype(np.int64), "uint8, uint16 or floats, not of int64"),
    "text": (lambda: np.array([["a"]]), "not of <U1"),
    "0 to 255": (lambda: LEVELS * 1.0, r"floats in \[0, 1\], and .* from 0 to 249\."),
    "-1 to 1": (lambda: WANTED * 2 - 1, r"floats in \[0, 1\], and .* from -1 to 0\.952941\."),
    "not finite": (lambda: np.full((2, 2, 3), np.nan), "some of this one are not finite"),
    "two channels": (lambda: LEVELS[..., :2], r"\(H, W, 3\), .* this one is \(6, 9, 2\)\.$"),
    "channels first": (lambda: LEVELS.transpose(2, 0, 1), r"array\.transpose\(1, 2, 0\)"),
    "batch": (lambda: LEVELS[None], r"\(1, 6, 9, 3\)"),
    "no pixels": (lambda: LEVELS[:0], "at least one pixel"),
    "gradient": (lambda: torch.ones(2, 2, 3, requires_grad=True), r"torch\.Tensor .*detach"),
    "text file": (lambda: io.StringIO("a"), r"binary mode \('rb'\)"),
    "empty file": (io.BytesIO, r"empty \(0 bytes\)"),
    "no picture": (lambda: io.BytesIO(b"nothing of the kind"), "Not recognised as a picture"),
    "empty PIL image": (lambda: Image.new("RGB", (0, 3)), "has no pixels"),
    "PIL image of floats": (lambda: Image.new("F", (2, 2)), "no defined white"),
    "name with a zero": (lambda: "a\0.jpg", "embedded null"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_accepted_is_said(kind: str, tmp_path: Path) -> None:
    make, message = REFUSED[kind]
    for take in (images.as_picture, images.read):
        with pytest.raises(ImageError, match=message):
            take(make())
    with pytest.raises(ImageError, match=message):
        images.write(tmp_path / "a.png", make())


def test_a_closed_file_is_an_image_error() -> None:
    file = io.BytesIO(png())
    file.close()
    with pytest.raises(ImageError, match="cannot be read: I/O operation on closed file"):
        images.read(file)


@pytest.mark.parametrize("quality", [0, 101, "high", 90.5])
def test_a_quality_out_of_range_is_refused(quality: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quality must be a whole number from 1 to 100"):
        images.write(tmp_path / "a.jpg", LEVELS, quality=quality)


def test_a_path_of_another_kind_is_refused() -> None:
    with pytest.raises(ImageError, match=r"path must be a str or an os\.PathLike, not 3"):
        images.write(3, LEVELS)  # type: ignore[arg-type]


def test_an_image_in_memory_is_no_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    assert images.as_picture(Image.fromarray(LEVELS)).pixels.shape == LEVELS.shape
