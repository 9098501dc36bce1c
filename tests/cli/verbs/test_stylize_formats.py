"""Photos as phones, cameras, agencies and scanners leave them, painted from the command line."""

import io
import struct
import sys
from pathlib import Path

import camera_files
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nstbatch.cli.main import run
from nstbatch.runtime.formats.metadata import read_metadata, read_recipe
from nstbatch.runtime.pictures import images

QUICK = ("--model", "squeezenet1_1", "--size", "64", "-n", "1", "--scales", "1", "--device", "cpu")
ROWS, COLUMNS = np.mgrid[0:60, 0:80]
LEVELS = np.stack([COLUMNS * 3, ROWS * 4, 255 - COLUMNS * 3], axis=-1).astype(np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # restored afterwards
    Path("photos").mkdir()
    Image.fromarray(LEVELS[::-1]).save("style.png")
    return tmp_path


def stylize(*arguments: str, style: str = "style.png") -> int:
    return run(["stylize", "photos", "--style", style, *QUICK, *arguments])


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(LEVELS).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_what_phones_and_cameras_write_is_painted(capsys):
    Path("photos/a.HEIC").write_bytes(camera_files.heic(LEVELS))
    Path("photos/b.dng").write_bytes(camera_files.dng(LEVELS, orientation=6))
    Path("photos/c.jxl").write_bytes(camera_files.jxl(LEVELS))
    Path("photos/d.jpg").write_bytes(jpeg()[:-2])
    Path("style.tif").write_bytes(camera_files.dng(LEVELS))  # no thumbnail of 30x20 either
    assert stylize(style="style.tif") == 0
    out, err = capsys.readouterr()
    assert sorted(Path(line).name for line in out.split()) == ["a.png", "b.png", "c.png", "d.jpg"]
    assert "left alone" not in err.lower()
    upright = {"a.png": (48, 64, 3), "b.png": (64, 48, 3), "c.png": (48, 64, 3)}
    for name, shape in upright.items():
        assert images.read(Path("stylized", name)).pixels.shape == shape
    assert "photos/b.dng" in read_recipe("stylized/b.png")


def test_without_an_extra_its_photos_fail_with_the_command_and_others_are_painted(
    monkeypatch, capsys
):
    Path("photos/a.heic").write_bytes(camera_files.heic(LEVELS))
    Path("photos/b.nef").write_bytes(camera_files.dng(LEVELS))
    Path("photos/c.jpg").write_bytes(jpeg())
    for package in ("pillow_heif", "rawpy"):
        monkeypatch.setitem(sys.modules, package, None)
    assert stylize() == 1
    out, err = capsys.readouterr()
    assert out.split() == [str(Path("stylized/c.jpg"))]
    for extra in ("heic", "raw"):
        assert f"install 'nstbatch[{extra}]'" in err
    monkeypatch.undo()


def test_resolution_captions_and_texts_are_kept_by_level():
    caption = b"\x1c\x02\x78\0\x09A caption"
    place = b"\x1c\x02\x5a\0\x05Paris"
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", 24) + caption + place
    segment = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    data = jpeg(dpi=(300, 300))
    Path("photos/a.jpg").write_bytes(data[:2] + segment + data[2:])
    texts = PngInfo()
    texts.add_text("Title", "Zoë's title")
    texts.add_text("parameters", "a prompt")
    Image.fromarray(LEVELS).save("photos/b.png", pnginfo=texts, dpi=(300, 300))
    assert stylize("-o", "usual") == stylize("-o", "all", "--preserve") == 0
    assert stylize("-o", "none", "--strip") == 0
    found = {
        (out, name): read_metadata(Path(out, name), "everything")
        for out in ("usual", "all", "none")
        for name in ("a.jpg", "b.png")
    }
    for (out, _), metadata in found.items():
        expected = None if out == "none" else pytest.approx((300, 300), rel=1e-4)
        assert metadata.resolution == expected
    iptc = {out: found[out, "a.jpg"].iptc for out in ("usual", "all", "none")}
    assert iptc == {"usual": caption, "all": caption + place, "none": b""}
    assert found["usual", "b.png"].texts == {"Title": "Zoë's title"}
    assert found["all", "b.png"].texts == {"Title": "Zoë's title", "parameters": "a prompt"}
    assert found["none", "b.png"].texts == {}
    assert read_recipe("usual/b.png") is not None


def test_the_limit_on_pixels_is_an_option_that_the_recipe_keeps(capsys):
    Path("photos/a.jpg").write_bytes(jpeg())
    assert stylize("--max-pixels", "4799") == 2  # the style
    assert "4,800 pixels" in capsys.readouterr().err
    Image.fromarray(LEVELS[:50, :50]).save("style.png")
    assert stylize("--max-pixels", "4799") == 1
    err = capsys.readouterr().err
    assert "4,800 pixels" in err
    assert "--max-pixels" in err
    assert stylize("--max-pixels", "4800") == 0
    assert '"--max-pixels", "4800"' in read_recipe("stylized/a.jpg")


def test_photo_and_style_are_read_at_a_fraction(monkeypatch):
    large = Image.fromarray(LEVELS).resize((800, 600))
    large.save("photos/a.jpg")
    large.save("style.png")
    seen = []
    real = images.decode

    def decode(content, at_least):
        pixels, alpha = real(content, at_least)
        seen.append((at_least, pixels.shape))
        return pixels, alpha

    monkeypatch.setattr(images, "decode", decode)
    assert stylize() == 0
    assert seen == [(128, (150, 200, 3))] * 2
