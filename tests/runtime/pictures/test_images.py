from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.pictures import images, sizes
from nstbatch.runtime.pictures.images import Picture

ROWS, COLUMNS = np.mgrid[0:40, 0:56]
SMOOTH = np.stack([COLUMNS / 56, ROWS / 40, (ROWS + COLUMNS) / 96], axis=-1).astype(np.float32)
ALPHA = (0.25 + 0.75 * COLUMNS / 55).astype(np.float32)

HALF_A_LEVEL = 0.5 / 255 + 1e-6
LOSSY = 0.06

unit_floats = st.floats(0, 1, width=32)
pictures = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3)), elements=unit_floats
)


# --- Reading ----------------------------------------------------------------------------------


def test_read_the_example_photos() -> None:
    picture = images.read(Path(__file__).parents[3] / "examples/photos/chelsea.jpg")
    assert picture.pixels.shape == (300, 451, 3)
    assert picture.pixels.dtype == np.float32
    assert picture.alpha is None


@pytest.mark.parametrize(
    "name",
    ["two words.png", "Zürich.png", "東京 タワー.png", "фото (1).png", "-dash.png", "b\nr.png"],
)
def test_any_name_can_be_written_and_read(tmp_path: Path, name: str) -> None:
    images.write(tmp_path / name, SMOOTH)
    np.testing.assert_allclose(images.read(tmp_path / name).pixels, SMOOTH, atol=HALF_A_LEVEL)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif", "gif", "bmp"])
def test_a_picture_can_be_read_at_a_fraction_of_its_size(tmp_path: Path, suffix: str) -> None:
    size = (120, 100)
    path = tmp_path / f"photo.{suffix}"
    ramp = np.linspace(0, 255, 400, dtype=np.uint8)[None, :, None].repeat(480, 0).repeat(3, 2)
    Image.fromarray(ramp).save(path)
    small = images.read(path, at_least=100).pixels
    assert small.shape == (*size, 3)
    whole = sizes.resize(images.read(path).pixels, size)
    np.testing.assert_allclose(small, whole, atol=0.03)


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    images.write(tmp_path / "really.png", SMOOTH)
    (tmp_path / "really.png").rename(tmp_path / "called.JPG")
    picture = images.read(tmp_path / "called.JPG")
    np.testing.assert_allclose(picture.pixels, SMOOTH, atol=HALF_A_LEVEL)


def test_bad_files_are_refused_with_a_reason(
    tmp_path: Path,
    write_unreadable: Callable[[Path], dict[str, str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, reason in write_unreadable(tmp_path).items():
        with pytest.raises(ImageError, match=reason) as caught:
            images.read(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_tiny_and_thin_pictures_can_be_read(
    tmp_path: Path, write_bad_inputs: Callable[[Path], dict[str, str]]
) -> None:
    write_bad_inputs(tmp_path)
    assert images.read(tmp_path / "1x1.png").pixels.shape == (1, 1, 3)
    assert images.read(tmp_path / "3x2000.png").pixels.shape == (2000, 3, 3)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        images.read(tmp_path / "missing.png")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="folder"):
        images.read(tmp_path)


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    (tmp_path / "private.png").write_bytes(b"anything")
    monkeypatch.setattr(Path, "open", refuse)  # permissions do not stop root
    with pytest.raises(ImageError, match=os.strerror(error)):
        images.read(tmp_path / "private.png")


def test_a_device_or_a_pipe_is_not_waited_for() -> None:
    with pytest.raises(ImageError, match="not a regular file"):
        images.read(os.devnull)


def test_hidden_colours_become_the_mean_of_the_visible(tmp_path: Path) -> None:
    stored = np.zeros((4, 4, 4), np.uint8)
    stored[..., :3] = [255, 0, 255]  # arbitrary hidden colour
    stored[0] = [0, 255, 0, 255]
    stored[1] = [0, 0, 255, 85]
    Image.fromarray(stored).save(tmp_path / "logo.png")
    picture = images.read(tmp_path / "logo.png")
    np.testing.assert_allclose(picture.pixels[0], [[0, 1, 0]] * 4)
    np.testing.assert_allclose(picture.pixels[1], [[0, 0, 1]] * 4)
    np.testing.assert_allclose(picture.pixels[2:], np.full((2, 4, 3), [0, 0.75, 0.25]))
    np.testing.assert_allclose(picture.alpha, np.repeat([1, 1 / 3, 0, 0], 4).reshape(4, 4))


def test_a_picture_with_nothing_visible_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (5, 3), (10, 20, 30, 0)).save(tmp_path / "nothing.png")
    picture = images.read(tmp_path / "nothing.png")
    assert (picture.pixels == 1).all()
    assert picture.alpha is not None
    assert not picture.alpha.any()


# --- Writing ----------------------------------------------------------------------------------


def read_back(
    path: Path, pixels: NDArray[np.float32], alpha: NDArray[np.float32] | None
) -> Picture:
    images.write(path, pixels, alpha)
    assert list(path.parent.iterdir()) == [path]
    return images.read(path)


@given(pixels=pictures)
def test_png_is_exact_to_half_a_level(pixels: NDArray[np.float32]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        picture = read_back(Path(folder) / "a.png", pixels, None)
    np.testing.assert_allclose(picture.pixels, pixels, atol=HALF_A_LEVEL)


@pytest.mark.parametrize("suffix", [*images.WRITABLE_SUFFIXES, ".JPG", ".Png"])
def test_every_format(tmp_path: Path, suffix: str) -> None:
    picture = read_back(tmp_path / f"a{suffix}", SMOOTH, None)
    np.testing.assert_allclose(picture.pixels, SMOOTH, atol=LOSSY)
    assert picture.alpha is None


@pytest.mark.parametrize(
    ("suffix", "name"),
    [(".png", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP"), (".tif", "TIFF"), (".avif", "AVIF")],
)
def test_the_suffix_decides_the_format(tmp_path: Path, suffix: str, name: str) -> None:
    images.write(tmp_path / f"a{suffix}", SMOOTH)
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.format == name


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif"])
def test_alpha_is_kept(tmp_path: Path, suffix: str) -> None:
    picture = read_back(tmp_path / f"a{suffix}", SMOOTH, ALPHA)
    np.testing.assert_allclose(picture.pixels, SMOOTH, atol=LOSSY)
    np.testing.assert_allclose(picture.alpha, ALPHA, atol=0.02)


def test_jpeg_lays_transparent_pictures_on_white(tmp_path: Path) -> None:
    picture = read_back(tmp_path / "a.jpg", SMOOTH, ALPHA)
    expected = SMOOTH * ALPHA[..., None] + 1 - ALPHA[..., None]
    np.testing.assert_allclose(picture.pixels, expected, atol=LOSSY)
    assert picture.alpha is None


def test_jpeg_keeps_full_colour_resolution(tmp_path: Path) -> None:
    images.write(tmp_path / "a.jpg", SMOOTH)
    with Image.open(tmp_path / "a.jpg") as image:
        assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4


def test_values_outside_the_range_are_clipped(tmp_path: Path) -> None:
    pixels = np.array([[[-0.5, 0.5, 1.5]]], np.float32)
    picture = read_back(tmp_path / "a.png", pixels, None)
    np.testing.assert_allclose(picture.pixels, [[[0, 128 / 255, 1]]])


@pytest.mark.parametrize("suffix", images.WRITABLE_SUFFIXES)
def test_the_same_picture_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{number}{suffix}" for number in range(2)]
    for path in paths:
        images.write(path, SMOOTH, ALPHA)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_every_writable_suffix_is_readable() -> None:
    assert set(images.WRITABLE_SUFFIXES) <= images.SUFFIXES


def test_an_unknown_suffix_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"'\.gif'.*\.jpg, \.jpeg, \.png") as caught:
        images.write(tmp_path / "a.gif", SMOOTH)
    assert all(suffix in str(caught.value) for suffix in images.WRITABLE_SUFFIXES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    pixels = SMOOTH.copy()
    pixels[3, 4, 1] = value
    with pytest.raises(ImageError, match="not finite"):
        images.write(tmp_path / "a.png", pixels)
    with pytest.raises(ImageError, match="not finite"):
        images.write(tmp_path / "a.png", SMOOTH, pixels[..., 1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 5), (0, 4, 3), (1, 4, 4, 3)])
def test_other_shapes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="shape"):
        images.write(tmp_path / "a.png", np.zeros(shape, np.float32))


def test_an_alpha_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not fit"):
        images.write(tmp_path / "a.png", SMOOTH, ALPHA[1:])


def test_a_picture_too_large_for_its_format(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="WEBP cannot hold this picture of 20000x1"):
        images.write(tmp_path / "a.webp", np.zeros((1, 20_000, 3), np.float32))
    assert not list(tmp_path.iterdir())


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be written: No such file"):
        images.write(tmp_path / "missing" / "a.png", SMOOTH)


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageError, match="cannot be written"):
        images.write(tmp_path / "a.png", SMOOTH)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.fixture
def old_picture(tmp_path: Path) -> Iterator[Path]:
    """A picture that must be unchanged, and the only file in its folder, after the test."""
    path = tmp_path / "a.png"
    images.write(path, SMOOTH[::-1])
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_picture(
    old_picture: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(ImageError, match="cannot be written: No space left"):
        images.write(old_picture, SMOOTH)


def test_an_interruption_leaves_the_old_picture(
    old_picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        images.write(old_picture, SMOOTH)


def test_a_folder_that_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)  # permissions do not stop root
    with pytest.raises(ImageError, match="cannot be written: Permission denied"):
        images.write(tmp_path / "a.png", SMOOTH)


def test_pictures_are_as_public_as_any_file_of_the_user(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        (tmp_path / "ordinary").touch()
        images.write(tmp_path / "a.png", SMOOTH)
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
