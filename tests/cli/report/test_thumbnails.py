import base64
import io

import numpy as np
import pytest
from PIL import Image

from nstbatch.cli.report.thumbnails import LEAST, MOST, PAGE_BUDGET, budget, thumbnail


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.fixture
def noisy(tmp_path):
    """Write a picture of noise, which compresses worst, and return its path."""
    path = tmp_path / "noise.png"
    samples = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    Image.fromarray(samples).save(path)
    return path


@pytest.mark.parametrize("size", [LEAST, 12_000, MOST])
def test_it_keeps_to_its_budget(noisy, size):
    made = thumbnail(noisy, size)
    assert size / 4 < len(made.uri) <= size
    assert decode(made.uri).size == (made.width, made.height)
    assert made.width / made.height == pytest.approx(500 / 400, rel=0.02)


def test_a_photo_on_its_side_is_turned_upright_and_keeps_its_colours(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    Image.new("RGB", (2000, 1000), (200, 40, 90)).save(tmp_path / "a.jpg", exif=exif)
    made = thumbnail(tmp_path / "a.jpg")
    assert (made.width, made.height) == (320, 640)
    small = np.asarray(decode(made.uri), np.float32)
    np.testing.assert_allclose(small.mean((0, 1)), (200, 40, 90), atol=2)


def test_a_small_picture_is_not_enlarged(tmp_path):
    Image.new("RGB", (31, 17)).save(tmp_path / "a.png")
    made = thumbnail(tmp_path / "a.png")
    assert (made.width, made.height) == (31, 17)


def test_transparency_is_kept(tmp_path):
    Image.new("RGBA", (64, 64), (200, 40, 90, 128)).save(tmp_path / "a.png")
    made = thumbnail(tmp_path / "a.png")
    assert made.uri.startswith("data:image/webp;base64,")
    assert decode(made.uri).convert("RGBA").getpixel((9, 9))[3] == pytest.approx(128, abs=3)


def test_an_unreadable_file_has_no_thumbnail(tmp_path, write_unreadable):
    for name in write_unreadable(tmp_path):
        assert thumbnail(tmp_path / name) is None
    assert thumbnail(tmp_path / "gone.png") is None
    assert thumbnail(tmp_path) is None
    assert thumbnail(tmp_path / "a\0b.png") is None


def test_a_thousand_pictures_share_less_than_a_page_may_weigh():
    assert 2 * 1000 * budget(1000) <= PAGE_BUDGET < 30e6
    assert budget(0) == budget(1) == MOST
    assert budget(1_000_000) == LEAST
