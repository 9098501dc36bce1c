from __future__ import annotations

import contextlib
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image
from smooth_picture import (
    COLUMNS,
    DEEP,
    HEIGHT,
    LEVELS,
    LOSSLESS,
    RGB,
    SMOOTH,
    WIDTH,
    decode_bytes,
    encode,
)

from nstbatch.runtime.errors import ImageError
from nstbatch.runtime.formats import libvips
from nstbatch.runtime.formats.content import Content
from nstbatch.runtime.formats.decoding import decode
from nstbatch.runtime.formats.metadata import read_metadata

LEFT_HALF = np.where(COLUMNS < WIDTH // 2, 255, 0).astype(np.uint8)

LOSSY = 0.06  # ten times the mean error of the lossy formats on this picture


def encode_deep(samples: NDArray[np.uint16], suffix: str, *options: int) -> bytes:
    """Encode 16-bit colour, which Pillow cannot write, with OpenCV (BGR)."""
    order = [2, 1, 0, 3][: samples.shape[2]]
    return cv2.imencode(suffix, np.ascontiguousarray(samples[..., order]), options)[1].tobytes()


FORMATS = {
    "jpeg": encode(RGB, "JPEG"),
    "progressive": encode(RGB, "JPEG", progressive=True),
    "png": encode(RGB, "PNG"),
    "webp": encode(RGB, "WEBP"),
    "webp lossless": encode(RGB, "WEBP", lossless=True),
    "tiff": encode(RGB, "TIFF"),
    "tiff lzw": encode(RGB, "TIFF", compression="tiff_lzw"),
    "tiff deflate": encode(RGB, "TIFF", compression="tiff_adobe_deflate"),
    "tiff jpeg": encode(RGB, "TIFF", compression="jpeg"),
    "avif": encode(RGB, "AVIF"),
    "bmp": encode(RGB, "BMP"),
    "gif": encode(RGB, "GIF"),
    "png 16": encode_deep(DEEP, ".png"),
    "tiff 16": encode_deep(DEEP, ".tif"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_decodes_to_the_same_picture(name: str) -> None:
    pixels, alpha = decode_bytes(FORMATS[name])
    assert pixels.dtype == np.float32
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert alpha is None
    np.testing.assert_allclose(pixels, SMOOTH, atol=LOSSY)


# --- Modes ------------------------------------------------------------------------------------


def test_grey_becomes_three_equal_channels() -> None:
    grey = LEVELS[..., 0]
    for image in (Image.fromarray(grey), Image.fromarray(grey).convert("LA")):
        pixels, _ = decode_bytes(encode(image, "PNG"))
        np.testing.assert_allclose(pixels, np.dstack([grey] * 3) / 255, atol=LOSSLESS)


def test_bilevel_is_black_and_white() -> None:
    pixels, _ = decode_bytes(encode(Image.fromarray(LEFT_HALF).convert("1"), "PNG"))
    np.testing.assert_array_equal(pixels, np.dstack([LEFT_HALF] * 3) / 255)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_kept(name: str) -> None:
    alpha = LEVELS[..., 1]
    image = Image.fromarray(np.dstack([LEVELS, alpha]))
    pixels, opacity = decode_bytes(encode(image, name, lossless=True, exact=True))
    np.testing.assert_allclose(pixels, LEVELS / 255, atol=LOSSLESS)
    np.testing.assert_allclose(opacity, alpha / 255, atol=LOSSLESS)


def test_alpha_of_grey_is_kept() -> None:
    image = Image.merge("LA", [Image.fromarray(LEVELS[..., 0]), Image.fromarray(LEVELS[..., 1])])
    pixels, opacity = decode_bytes(encode(image, "PNG"))
    np.testing.assert_allclose(pixels[..., 2], LEVELS[..., 0] / 255, atol=LOSSLESS)
    np.testing.assert_allclose(opacity, LEVELS[..., 1] / 255, atol=LOSSLESS)


def two_colours() -> Image.Image:
    """A palette picture, red on the left and blue on the right."""
    image = Image.fromarray((LEFT_HALF == 0).astype(np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    return image


@pytest.mark.parametrize(
    ("transparency", "right"), [(1, 0.0), (bytes([255, 51]), 51 / 255)], ids=["index", "table"]
)
def test_palette_with_transparency(transparency: int | bytes, right: float) -> None:
    pixels, alpha = decode_bytes(encode(two_colours(), "PNG", transparency=transparency))
    assert alpha is not None
    np.testing.assert_allclose(alpha, np.where(LEFT_HALF, 1, right), atol=LOSSLESS)
    np.testing.assert_array_equal(pixels[0, 0], [1, 0, 0])
    np.testing.assert_array_equal(pixels[0, -1], [0, 0, 1])


def test_palette_without_transparency_has_no_alpha() -> None:
    assert decode_bytes(encode(two_colours(), "PNG"))[1] is None


def test_one_transparent_colour() -> None:
    image = two_colours().convert("RGB")
    _, alpha = decode_bytes(encode(image, "PNG", transparency=(0, 0, 255)))
    np.testing.assert_array_equal(alpha, LEFT_HALF / 255)


def test_cmyk_without_a_profile() -> None:
    no_black = Image.new("L", (WIDTH, HEIGHT))
    ink = Image.merge("CMYK", [*Image.fromarray(255 - LEVELS).split(), no_black])
    for data in (encode(ink, "TIFF"), encode(ink, "JPEG", quality=95)):
        np.testing.assert_allclose(decode_bytes(data)[0], SMOOTH, atol=LOSSY)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_without_a_white_level_are_refused(mode: str) -> None:
    with pytest.raises(ImageError, match="32-bit"):
        decode_bytes(encode(Image.new(mode, (4, 4)), "TIFF"))


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
def test_first_picture_of_an_animation(name: str) -> None:
    colours = ("red", "lime", "blue")
    frames = [Image.new("RGB", (8, 8), colour) for colour in colours]
    data = encode(frames[0], name, save_all=True, append_images=frames[1:], duration=50)
    pixels, alpha = decode_bytes(data)
    np.testing.assert_allclose(pixels[4, 4], [1, 0, 0], atol=0.01)
    assert alpha is None


def test_first_picture_of_a_multi_picture_jpeg() -> None:
    data = encode(RGB, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    np.testing.assert_allclose(decode_bytes(data)[0], SMOOTH, atol=LOSSY)


def test_a_reduced_copy_before_the_picture_is_passed_over() -> None:
    copy = np.full_like(LEVELS, 9)
    both = libvips.from_levels(np.concatenate([copy, LEVELS]), "srgb")
    file = both.tiffsave_buffer(page_height=HEIGHT)
    np.testing.assert_allclose(decode_bytes(file)[0] * 255, copy, atol=LOSSLESS)
    page, reduced_page = (struct.pack("<HHII", 254, 4, 1, kind) for kind in (2, 3))
    assert file.count(page) == 2
    # The directory of the first page comes first.
    marked = file.replace(page, reduced_page, 1)
    np.testing.assert_allclose(decode_bytes(marked)[0], LEVELS / 255, atol=LOSSLESS)


def test_premultiplied_colours_are_divided_by_their_opacity() -> None:
    rgba = np.full((4, 6, 4), (200, 100, 50, 128), np.uint8)
    image = libvips.from_levels(rgba, "srgb")
    pixels, alpha = decode_bytes(image.tiffsave_buffer(premultiply=True))
    np.testing.assert_allclose(pixels[0, 0] * 255, (200, 100, 50), atol=2)
    np.testing.assert_allclose(alpha, 128 / 255, atol=LOSSLESS)


@pytest.mark.parametrize("at_least", [None, 8])
def test_hidden_colours_do_not_bleed_into_a_reduced_picture(at_least: int | None) -> None:
    rgba = np.zeros((256, 256, 4), np.uint8)
    rgba[::2] = (0, 255, 0, 255)
    rgba[1::2] = (255, 0, 255, 0)  # hidden
    pixels, alpha = decode(Content(data=encode(Image.fromarray(rgba), "PNG")), at_least)
    assert alpha is not None
    np.testing.assert_allclose(pixels[alpha > 0], [[0, 1, 0]] * (alpha > 0).sum(), atol=0.01)


# --- Orientation ------------------------------------------------------------------------------

# Layout of the upright array in the file, by the EXIF specification's "row 0 is, column 0 is".
STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}


def exif(orientation: int) -> Image.Exif:
    record = Image.Exif()
    record[ExifTags.Base.Orientation] = orientation
    return record


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_pictures_come_out_upright(name: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](LEVELS)))
    pixels, _ = decode_bytes(encode(stored, name, exif=exif(orientation)))
    np.testing.assert_allclose(pixels, SMOOTH, atol=LOSSY)


@pytest.mark.parametrize("orientation", [3, 6])
def test_16_bit_pictures_come_out_upright(orientation: int) -> None:
    plain = encode_deep(np.ascontiguousarray(STORED[orientation](DEEP)), ".png")
    record = exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    pixels, _ = decode_bytes(insert_chunk(plain, b"eXIf", record))
    np.testing.assert_allclose(pixels, DEEP / 65535, atol=LOSSLESS)


@pytest.mark.parametrize(
    "record", [b"Exif\0\0", b"Exif\0\0not a record", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_a_broken_exif_record_does_not_cost_the_picture(record: bytes) -> None:
    pixels, _ = decode_bytes(encode(RGB, "JPEG", exif=record))
    np.testing.assert_allclose(pixels, SMOOTH, atol=LOSSY)


def insert_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """Insert a chunk after the header of a PNG file."""
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return png[:33] + struct.pack(">I", len(data)) + kind + data + checksum + png[33:]


# --- 16 bits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".png", ())] + [(".tif", (cv2.IMWRITE_TIFF_COMPRESSION, c)) for c in (1, 5, 8)],
    ids=["png", "tiff", "tiff lzw", "tiff deflate"],
)
def test_16_bit_colour_is_exact(suffix: str, options: tuple[int, ...], channels: int) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, channels), np.uint16)
    pixels, alpha = decode_bytes(encode_deep(samples, suffix, *options))
    np.testing.assert_allclose(pixels, samples[..., :3] / 65535, atol=LOSSLESS)
    if channels == 4:
        np.testing.assert_allclose(alpha, samples[..., 3] / 65535, atol=LOSSLESS)


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
def test_16_bit_tiff_in_either_byte_order_and_layout(byte_order: str, planar: bool) -> None:
    data = tiff_16_bit(DEEP, byte_order, planar=planar)
    np.testing.assert_allclose(decode_bytes(data)[0], DEEP / 65535, atol=LOSSLESS)


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_16_bit_grey_is_exact(name: str) -> None:
    pixels, alpha = decode_bytes(encode(Image.fromarray(DEEP[..., 0]), name))
    np.testing.assert_allclose(pixels, np.dstack([DEEP[..., 0]] * 3) / 65535, atol=LOSSLESS)
    assert alpha is None


def test_grey_of_12_bits_is_exact(tmp_path: Path) -> None:
    values = [0, 1, 100, 2048, 4094, 4095, 7, 8]
    packed = int("".join(f"{value:012b}" for value in values), 2).to_bytes(12, "big")
    tags = [(256, 8), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (279, 12)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    file = b"II*\0" + struct.pack("<I", 20) + packed + struct.pack("<H", len(tags)) + table
    (tmp_path / "a.tif").write_bytes(file + bytes(4))
    pixels, _ = decode(Content(tmp_path / "a.tif"))
    np.testing.assert_allclose(pixels[0, :, 0], np.array(values) * 16 / 65535, atol=LOSSLESS)
    assert read_metadata(tmp_path / "a.tif").bits == 16


def test_one_transparent_colour_among_16_bits() -> None:
    key = DEEP[3, 5]
    hidden = (key == DEEP).all(axis=2)
    transparency = struct.pack(">HHH", *key.tolist())
    pixels, alpha = decode_bytes(insert_chunk(encode_deep(DEEP, ".png"), b"tRNS", transparency))
    assert hidden.sum() == 1
    np.testing.assert_array_equal(alpha, ~hidden)
    np.testing.assert_allclose(pixels, DEEP / 65535, atol=LOSSLESS)


def tiff_16_bit(samples: NDArray[np.uint16], byte_order: str, *, planar: bool) -> bytes:
    """An uncompressed RGB TIFF: header, samples, a directory, and the values that exceed it."""
    height, width, _ = samples.shape
    planes = [samples[..., c] for c in range(3)] if planar else [samples]
    strips = [plane.astype(f"{byte_order}u2").tobytes() for plane in planes]
    offsets = np.cumsum([8] + [len(strip) for strip in strips])
    directory, extra = int(offsets[-1]), b""
    short, long = 3, 4
    entries: list[tuple[int, int, list[int]]] = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [16, 16, 16]),
        (259, short, [1]),
        (262, short, [2]),  # photometric interpretation: RGB
        (273, long, [int(offset) for offset in offsets[:-1]]),
        (277, short, [3]),
        (278, long, [height]),
        (279, long, [len(strip) for strip in strips]),
        (284, short, [2 if planar else 1]),
    ]
    after = directory + 2 + 12 * len(entries) + 4
    table = struct.pack(f"{byte_order}H", len(entries))
    for tag, kind, values in entries:
        packed = struct.pack(f"{byte_order}{len(values)}{'H' if kind == short else 'I'}", *values)
        if len(packed) > 4:
            extra += packed
            packed = struct.pack(f"{byte_order}I", after + len(extra) - len(packed))
        table += struct.pack(f"{byte_order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    magic = b"II*\0" if byte_order == "<" else b"MM\0*"
    header = magic + struct.pack(f"{byte_order}I", directory)
    return header + b"".join(strips) + table + bytes(4) + extra


# --- Damage -----------------------------------------------------------------------------------


@given(name=st.sampled_from(list(FORMATS)), kept=st.floats(0, 0.8))
def test_no_part_of_a_file_passes_for_the_whole(name: str, kept: float) -> None:
    data = FORMATS[name]
    with pytest.raises(ImageError):
        decode_bytes(data[: int(len(data) * kept)])


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(list(FORMATS)),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1),
)
def test_damage_ends_in_a_picture_or_an_image_error(
    name: str, edits: list[tuple[float, int]], capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(FORMATS[name])
    for position, value in edits:
        data[int(position**2 * len(data))] = value  # squared: more often in the header
    with contextlib.suppress(ImageError):
        pixels, alpha = decode_bytes(bytes(data))
        assert pixels.shape[2] == 3
        assert 0 <= pixels.min() <= pixels.max() <= 1
        assert alpha is None or alpha.shape == pixels.shape[:2]
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed_for_a_damaged_tiff(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(FORMATS["tiff lzw"])
    data[60:400] = b"\xff" * 340
    with pytest.raises(ImageError):
        decode_bytes(bytes(data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_bomb_is_refused_before_it_is_decoded(
    side: int, make_bomb: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_bomb(side)
    monkeypatch.setattr(libvips, "levels_of", lambda _: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=rf"{side**2:,} pixels.*89,478,485.*bomb.*--max-pixels"):
        decode_bytes(data)


def test_a_picture_without_pixels_is_refused(make_bomb: Callable[[int], bytes]) -> None:
    with pytest.raises(ImageError, match="damaged"):
        decode_bytes(make_bomb(0))


def test_nothing_is_printed_for_an_impossible_size(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(FORMATS["avif"])
    size = data.index(b"ispe") + 8
    data[size : size + 4] = b"\x06\0\0\x38"
    with pytest.raises(ImageError):
        decode_bytes(bytes(data))
    assert capfd.readouterr() == ("", "")


def test_only_pictures_are_decoded() -> None:
    postscript = encode(RGB, "EPS")
    with pytest.raises(ImageError, match="Not recognised"):
        decode_bytes(postscript)


def test_threads_leave_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode_bytes, [FORMATS["png"]] * 64))
    assert warnings.filters == before
