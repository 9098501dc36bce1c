"""Embedded colour profiles are applied when a picture is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from smooth_picture import DEEP, LEVELS, LOSSLESS, RGB, decode_bytes, encode

from nstbatch.runtime.formats import libvips, srgb


def deep_png(profile: bytes) -> bytes:
    """A 16-bit PNG of ``DEEP``, written by OpenCV (BGR), with a profile after its header."""
    png = cv2.imencode(".png", np.ascontiguousarray(DEEP[..., ::-1]))[1].tobytes()
    chunk = b"iCCP" + b"any name\0\0" + zlib.compress(profile)
    length, checksum = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    return png[:33] + length + chunk + checksum + png[33:]


# --- Profiles ---------------------------------------------------------------------------------


def icc_profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 ICC profile: a header of 128 bytes, the table of tags, the tags."""
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data.ljust(-(-len(data) // 4) * 4, b"\0")
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, kind, space, connection
    )
    header += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)  # D50
    return header.ljust(128, b"\0") + table + body


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def linear_light(space: bytes = b"RGB ") -> bytes:
    """A profile with sRGB's primaries (adapted to D50) and linear curves."""
    curve = b"curv" + bytes(8)
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)}
    if space == b"GRAY":
        return icc_profile(space, b"XYZ ", tags | {b"kTRC": curve})
    primaries = {
        b"rXYZ": (0.43607, 0.22249, 0.01392),
        b"gXYZ": (0.38515, 0.71687, 0.09708),
        b"bXYZ": (0.14307, 0.06061, 0.71410),
    }
    tags |= {name: b"XYZ " + bytes(4) + fixed(*value) for name, value in primaries.items()}
    return icc_profile(space, b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_inks() -> bytes:
    """A CMYK profile with grey inks: no ink is white, one ink is L* = 50, more inks are black."""
    ramp = bytes(range(256))
    nodes = [bytes([(255, 128, 0, 0, 0)[bin(node).count("1")], 128, 128]) for node in range(16)]
    identity = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = (
        b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + b"".join(nodes) + ramp * 3
    )
    white = b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)
    return icc_profile(b"CMYK", b"Lab ", {b"wtpt": white, b"A2B0": table, b"A2B1": table})


def srgb_encoded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transfer function of IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


# --- Conversions ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP"])
def test_a_profile_is_applied(name: str) -> None:
    data = encode(RGB, name, icc_profile=linear_light(), lossless=True)
    np.testing.assert_allclose(decode_bytes(data)[0], srgb_encoded(LEVELS / 255), atol=0.01)


def test_a_profile_leaves_alpha_alone() -> None:
    image = Image.fromarray(np.dstack([LEVELS, LEVELS[..., 1]]))
    pixels, alpha = decode_bytes(encode(image, "PNG", icc_profile=linear_light()))
    np.testing.assert_allclose(pixels, srgb_encoded(LEVELS / 255), atol=0.01)
    np.testing.assert_allclose(alpha, LEVELS[..., 1] / 255, atol=LOSSLESS)


@pytest.mark.parametrize("samples", [LEVELS[..., 0], DEEP[..., 0]], ids=["8 bits", "16 bits"])
def test_a_grey_profile_is_applied(samples: NDArray[np.generic]) -> None:
    data = encode(Image.fromarray(samples), "TIFF", icc_profile=linear_light(b"GRAY"))
    most = np.iinfo(samples.dtype).max
    expected = np.dstack([srgb_encoded(samples / most)] * 3)
    # Little CMS turns greys into colours by a table, which is coarse where the curve is steep.
    pixels = decode_bytes(data)[0]
    np.testing.assert_allclose(pixels, expected, atol=0.04)
    np.testing.assert_allclose(pixels[expected > 0.3], expected[expected > 0.3], atol=0.003)


def test_a_profile_is_applied_to_16_bit_colour() -> None:
    data = deep_png(linear_light())
    assert Image.open(io.BytesIO(data)).mode == "RGB"  # otherwise it would not be 16-bit colour
    # Less than an 8-bit level, since the primaries of this profile are rounded.
    np.testing.assert_allclose(decode_bytes(data)[0], srgb_encoded(DEEP / 65535), atol=2.5e-3)


def wide_gamut() -> bytes:
    """Adobe RGB (1998): its primaries under D50, and a gamma of 2.2."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.19921875 * 256))
    primaries = zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE, strict=True)
    tags = {name: b"XYZ " + bytes(4) + fixed(*value) for name, value in primaries}
    tags |= {b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return icc_profile(b"RGB ", b"XYZ ", tags)


ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_of_a_wide_gamut_are_within_a_level_of_the_formula(bits: int) -> None:
    """ICC.1:2022, annex F.3: curves to linear light, a matrix, and the same back."""
    most = 2**bits - 1
    chance = np.random.default_rng(0)
    levels = chance.integers(0, most + 1, (100, 100, 3)).astype(f"u{bits // 8}")
    image = libvips.from_levels(levels, "srgb" if bits == 8 else "rgb16")
    libvips.put_blob(image, srgb.PROFILE, wide_gamut())
    pixels, _ = srgb.samples(image)
    linear = (levels / most) ** 2.19921875 @ np.array(ADOBE) @ np.linalg.inv(SRGB)
    error = np.abs(pixels - srgb_encoded(linear.clip(0, 1))) * 255
    assert np.quantile(error, 0.99) < 0.6
    assert error.max() < (1 if bits == 8 else 8)  # at the border of sRGB; 17 from the table alone


def test_a_profile_for_srgb_costs_no_precision() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_allclose(decode_bytes(deep_png(profile))[0], DEEP / 65535, atol=LOSSLESS)


def test_a_profile_of_a_press_is_applied() -> None:
    ink = np.zeros((2, 2, 4), np.uint8)
    ink[0, 1, 0] = 255  # cyan, which is grey in this profile
    ink[1, :, :] = 255
    image = Image.frombytes("CMYK", (2, 2), ink.tobytes())
    pixels, _ = decode_bytes(encode(image, "TIFF", icc_profile=grey_inks()))
    np.testing.assert_allclose(pixels[0, 0], 1, atol=0.01)
    np.testing.assert_allclose(pixels[0, 1], 0.466, atol=0.01)  # L* = 50 in sRGB
    np.testing.assert_allclose(pixels[1, 0], 0, atol=0.01)


@pytest.mark.parametrize("profile", [b"not a profile", linear_light()[:200], linear_light(b"GRAY")])
def test_a_profile_that_does_not_fit_is_ignored(profile: bytes) -> None:
    data = encode(RGB, "PNG", icc_profile=profile)
    np.testing.assert_allclose(decode_bytes(data)[0], LEVELS / 255, atol=LOSSLESS)
