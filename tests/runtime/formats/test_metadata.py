"""The metadata that a picture keeps from its photo, read back by other libraries than ours.

exifread parses EXIF records; OpenCV finds EXIF records, XMP packets and colour profiles in files.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import exifread
import numpy as np
import pytest
from PIL import ExifTags, Image

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.formats import libvips, tiff
from nstbatch.runtime.formats.header import _iptc_of_tiff
from nstbatch.runtime.formats.metadata import Metadata, read_metadata, read_recipe
from nstbatch.runtime.pictures import images

LEVELS = np.random.default_rng(0).integers(0, 256, (10, 14, 3), np.uint8)
RECIPE = '{"input": "<img src=x onerror=alert(1)>\\n.jpg"}'
SUFFIXES = (".jpg", ".png", ".webp", ".tif", ".avif")

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/">
<rdf:RDF><rdf:Description rdf:about="" exif:GPSLatitude="48,51.5N" tiff:Orientation="6">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Eiffelturm</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def exif_record() -> bytes:
    """A camera's EXIF record: rotated, with date, exposure, place, serial number, notes, sizes."""
    within: tiff.Directory = {
        0x829A: tiff.Value(tiff.RATIONAL, struct.pack("<II", 1, 250)),
        0x9003: tiff.text("2024:05:06 07:08:09"),
        0x927C: tiff.Value(tiff.UNDEFINED, b"notes of the maker"),
        0xA001: tiff.shorts(0xFFFF),
        0xA002: tiff.longs(4000),
        0xA003: tiff.longs(3000),
        0xA431: tiff.text("SN123"),
    }
    place: tiff.Directory = {
        1: tiff.text("N"),
        2: tiff.Value(tiff.RATIONAL, bytes([48, 0, 0, 0, 1, 0, 0, 0]) * 3),
    }
    return tiff.record(
        {
            0x010F: tiff.text("Maker"),
            0x0110: tiff.text("Model 7"),
            0x0112: tiff.shorts(6),
            0x0131: tiff.text("Some editor"),
            0x013B: tiff.text("Zoë"),
            tiff.EXIF_DIRECTORY: within,
            tiff.GPS_DIRECTORY: place,
        }
    )


@pytest.fixture(params=SUFFIXES)
def photo(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One photo with the same metadata in every format, written by Pillow."""
    path = tmp_path / f"photo{request.param}"
    image = Image.fromarray(LEVELS)
    record = b"Exif\0\0" + exif_record()
    if request.param == ".png":
        image.save(path, exif=record)
        data = path.read_bytes()  # Pillow writes no XMP to this format
        text = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + XMP
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        path.write_bytes(data[:-12] + chunk + data[-12:])  # after the samples, which is allowed
    elif request.param == ".tif":
        exif = Image.Exif()
        exif.load(record)
        exif[700] = XMP
        image.save(path, exif=exif)
    else:
        image.save(path, exif=record, xmp=XMP)
    return path


def tags(path: Path) -> dict[str, str]:
    """The tags that exifread finds."""
    if path.suffix == ".avif":  # exifread expects JPEG's mark, which libheif does not write
        with Image.open(path) as image:
            record = image.info["exif"].removeprefix(b"Exif\0\0")
        found = exifread.process_file(BytesIO(record))
    else:
        with path.open("rb") as file:
            found = exifread.process_file(file)
    return {name: str(value) for name, value in found.items()}


def records(path: Path) -> Mapping[int, bytes]:
    """EXIF, XMP and ICC data as OpenCV finds them, by OpenCV's constants."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    _, kinds, found = cv2.imdecodeWithMetadata(data, flags=cv2.IMREAD_UNCHANGED)
    return {
        int(kind): np.asarray(value).tobytes() for kind, value in zip(kinds, found, strict=True)
    }


def paint(photo: Path, suffix: str, keep: str, **changes: object) -> Path:
    picture = images.read(photo)
    path = photo.with_name(f"picture{suffix}")
    metadata = replace(read_metadata(photo, keep), **changes)
    images.write(path, picture.pixels, metadata=metadata)
    return path


# --- EXIF and XMP -----------------------------------------------------------------------------

TELLING = {
    "Image Make": "Maker",
    "Image Model": "Model 7",
    "EXIF DateTimeOriginal": "2024:05:06 07:08:09",
    "EXIF ColorSpace": "sRGB",
    # The sizes of the picture, which stands upright.
    "EXIF ExifImageWidth": "10",
    "EXIF ExifImageLength": "14",
}
UPRIGHT = "Horizontal (normal)"
PERSONAL = {"EXIF BodySerialNumber", "GPS GPSLatitude", "GPS GPSLatitudeRef"}


def test_the_scene_and_the_maker_are_told_by_default(photo: Path) -> None:
    for suffix in SUFFIXES:
        found = tags(paint(photo, suffix, "telling"))
        assert found.items() >= TELLING.items()
        assert found["Image Software"].startswith("nstbatch ")
        assert "250" in found["EXIF ExposureTime"] or "0.004" in found["EXIF ExposureTime"]
        assert not found.keys() & {*PERSONAL, "EXIF MakerNote"}
        assert found.get("Image Orientation", UPRIGHT) == UPRIGHT


def test_everything_on_request(photo: Path) -> None:
    for suffix in SUFFIXES:
        found = tags(paint(photo, suffix, "everything"))
        assert found.items() >= TELLING.items()
        assert found.keys() >= {*PERSONAL, "EXIF MakerNote"}
        assert found.get("Image Orientation", UPRIGHT) == UPRIGHT


def test_the_title_stays_and_the_place_only_on_request(photo: Path) -> None:
    for keep, has_place in (("telling", False), ("everything", True)):
        packet = read_metadata(photo, keep).xmp
        assert b"Eiffelturm" in packet
        assert (b"GPSLatitude" in packet) == has_place
        assert b"Orientation" not in packet


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_opencv_finds_the_records(photo: Path, suffix: str) -> None:
    found = records(paint(photo, suffix, "telling"))
    assert b"Eiffelturm" in found[cv2.IMAGE_METADATA_XMP]
    assert found[cv2.IMAGE_METADATA_ICCP][36:40] == b"acsp"  # the mark of a profile


def test_nothing_on_request(photo: Path) -> None:
    for suffix in SUFFIXES:
        path = paint(photo, suffix, "nothing")
        with Image.open(path) as image:
            image.load()
            assert not image.info.keys() & {"exif", "xmp", "icc_profile", "nstbatch"}
            assert not set(image.getexif()) & {0x010F, 0x0131, 0x8769}


def test_a_photo_without_metadata(tmp_path: Path) -> None:
    Image.fromarray(LEVELS).save(tmp_path / "photo.png")
    metadata = read_metadata(tmp_path / "photo.png")
    assert (metadata.exif, metadata.xmp, metadata.bits) == ({}, b"", 8)
    path = paint(tmp_path / "photo.png", ".jpg", "telling")
    assert tags(path) == {}


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nothing", b"Exif\0\0"]
)
def test_broken_records_are_left_out(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(LEVELS).save(tmp_path / "photo.jpg", exif=exif, xmp=b"<x:xmpmeta")
    metadata = read_metadata(tmp_path / "photo.jpg", "everything")
    assert (metadata.exif, metadata.xmp) == ({}, b"")


def test_more_than_jpeg_can_hold_is_left_out_and_the_recipe_stays(tmp_path: Path) -> None:
    long_title = XMP.replace(b"Eiffelturm", b"x" * 70_000)
    Image.fromarray(LEVELS).save(tmp_path / "photo.webp", xmp=long_title)
    path = paint(
        tmp_path / "photo.webp",
        ".jpg",
        "everything",
        exif={0x010F: tiff.text("y" * 70_000)},
        recipe=RECIPE,
    )
    assert read_recipe(path) == RECIPE
    assert "Image Make" not in tags(path)


def test_the_stars_of_exif_become_those_of_xmp(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x4746] = 4
    own = XMP.replace(b'tiff:Orientation="6"', b'xmp:Rating="2"').replace(
        b"xmlns:tiff=", b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff='
    )
    for packet, stars in ((b"", 4), (XMP, 4), (own, 2)):
        Image.fromarray(LEVELS).save(tmp_path / "photo.jpg", exif=exif, xmp=packet)
        for suffix in SUFFIXES:
            painted = paint(tmp_path / "photo.jpg", suffix, "telling")
            assert f'xmp:Rating="{stars}"'.encode() in read_metadata(painted).xmp


# --- Resolution, IPTC and texts ---------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_resolution_is_kept_in_every_format_but_stripped(suffix: str, tmp_path: Path) -> None:
    Image.fromarray(LEVELS).save(tmp_path / "photo.jpg", dpi=(240, 240))
    painted = paint(tmp_path / "photo.jpg", suffix, "telling")
    assert read_metadata(painted).resolution == pytest.approx((240, 240), rel=1e-4)
    stripped = paint(tmp_path / "photo.jpg", suffix, "nothing")
    assert read_metadata(stripped).resolution in (None, pytest.approx((72, 72), rel=1e-4))


def test_the_resolution_turns_with_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for tag, value in zip((0x011A, 0x011B, 0x0128), (300.0, 150.0, 2), strict=True):
        exif[tag] = value
    Image.fromarray(LEVELS).save(tmp_path / "photo.jpg", exif=exif)
    assert read_metadata(tmp_path / "photo.jpg").resolution == (150, 300)


@pytest.mark.parametrize(
    ("numbers", "unit", "resolution"),
    [
        ((100.0, 100.0), 3, (254.0, 254.0)),  # per centimetre
        ((0.0, 0.0), 2, None),
        ((1.0, 1.0), 2, None),  # of programs that mean "unknown"
        ((4e9, 4e9), 2, None),
    ],
)
def test_a_resolution_has_to_make_sense(
    numbers: tuple[float, float], unit: int, resolution: tuple[float, float] | None, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = *numbers, unit
    Image.fromarray(LEVELS).save(tmp_path / "photo.webp", exif=exif)
    assert read_metadata(tmp_path / "photo.webp").resolution == resolution


def test_iptc_comes_from_a_tiff_in_either_byte_order(tmp_path: Path) -> None:
    records = b"\x1c\x02\x05\0\x06Title!\0"  # eleven bytes, and one to fill up a number
    for order in "<>":
        numbers = np.frombuffer(records, ">u4" if order == ">" else "<u4")
        directory = struct.pack(
            f"{order}HHHIIHHIII", 2, 262, 3, 1, 0, 33723, 4, len(numbers), 38, 0
        )
        file = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8) + directory
        found = tiff.read_directory(BytesIO(file + records))
        assert _iptc_of_tiff(found).startswith(b"\x1c\x02\x05\0\x06Title!")


def test_xmp_is_found_in_a_plain_text_of_a_png(tmp_path: Path) -> None:
    """Where libvips itself writes it."""
    image = libvips.from_levels(LEVELS, "srgb")
    libvips.put_blob(image, "xmp-data", XMP.replace(b"Eiffelturm", "Zoë".encode()))
    (tmp_path / "a.png").write_bytes(image.pngsave_buffer(keep="xmp"))
    assert "Zoë".encode() in read_metadata(tmp_path / "a.png").xmp


def test_png_texts_of_any_language_are_kept(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Author", "Zoë")  # Latin-1 in a tEXt chunk
    texts.add_itxt("Description", "東京")
    texts.add_text("Copyright", "a long one " * 9, zip=True)
    texts.add_text("Software", "Some editor")
    Image.fromarray(LEVELS).save(tmp_path / "photo.png", pnginfo=texts)
    telling = {"Author": "Zoë", "Description": "東京", "Copyright": "a long one " * 9}
    assert read_metadata(tmp_path / "photo.png").texts == telling
    with Image.open(paint(tmp_path / "photo.png", ".png", "everything")) as image:
        assert image.text == {**telling, "Software": "Some editor"}


# --- The recipe -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_recipe_goes_in_and_comes_out(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    images.write(path, LEVELS.astype(np.float32) / 255, metadata=Metadata(recipe=RECIPE))
    assert read_recipe(path) == RECIPE


def test_any_program_finds_the_recipe_in_a_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    images.write(path, LEVELS.astype(np.float32) / 255, metadata=Metadata(recipe=RECIPE))
    with Image.open(path) as image:
        assert image.text == {"nstbatch": RECIPE}


def test_a_picture_of_a_picture_has_its_own_recipe(photo: Path) -> None:
    first = paint(photo, ".webp", "everything", recipe="first")
    for suffix in SUFFIXES:
        second = first.rename(first.with_name("first.webp"))
        assert read_recipe(paint(second, suffix, "everything", recipe="second")) == "second"
        assert read_recipe(paint(second, suffix, "everything")) is None
        first = second


def test_no_recipe(photo: Path) -> None:
    assert read_recipe(photo) is None


# --- Bits, dates, errors ----------------------------------------------------------------------


def test_the_date_of_the_file_on_request(photo: Path) -> None:
    os.utime(photo, ns=(10**18, 10**18 + 5_000))
    assert paint(photo, ".png", "everything").stat().st_mtime_ns == 10**18 + 5_000
    assert paint(photo, ".png", "telling").stat().st_mtime_ns > 10**18 + 10**9


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_noticed(tmp_path: Path, suffix: str, channels: int) -> None:
    for dtype, bits in ((np.uint16, 16), (np.uint8, 8)):
        path = tmp_path / f"a{suffix}"
        cv2.imwrite(str(path), np.zeros((4, 5, channels), dtype))
        for keep in ("telling", "nothing"):
            assert read_metadata(path, keep).bits == bits


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"text")
    for function in (read_metadata, read_recipe):
        with pytest.raises(ImageError, match="Not recognised"):
            function(tmp_path / "a.png")
        with pytest.raises(ImageError, match="No such file"):
            function(tmp_path / "missing.png")


def test_the_tags_have_the_numbers_that_pillow_gives_them() -> None:
    from nstbatch.runtime.formats import metadata

    base = ExifTags.Base
    named = {base.ImageDescription, base.Make, base.Model, base.DateTime, base.Artist}
    assert {tag.value for tag in named} <= metadata._DESCRIBING
    personal = {base.MakerNote, base.ImageUniqueID, base.CameraOwnerName, base.LensSerialNumber}
    assert {tag.value for tag in personal} | {base.BodySerialNumber.value} == metadata._PERSONAL
    assert base.Software == metadata.SOFTWARE
    assert base.ColorSpace == metadata.COLOUR_SPACE
    assert (base.ExifImageWidth, base.ExifImageHeight) == (metadata.WIDTH, metadata.HEIGHT)
