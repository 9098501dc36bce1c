"""Conversions in floating point, compared with those of Little CMS in 8 bits."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from nstbatch.runtime.pictures.encoding import srgb_profile
from nstbatch.runtime.pictures.icc import conversion

LEVELS = np.arange(0, 256, 15, dtype=np.uint8)
CUBE = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS), axis=-1).reshape(len(LEVELS), -1, 3)

SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
# Adobe RGB (1998) and ProPhoto RGB (ROMM), under D50.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def table(*entries: int) -> bytes:
    return b"curv" + bytes(4) + struct.pack(f">I{len(entries)}H", len(entries), *entries)


def formula(kind: int, *numbers: float) -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(*numbers)


CURVES = {
    "straight": table(),
    "gamma": table(round(2.19921875 * 256)),
    "table": table(*(round(65535 * (i / 40) ** 1.8) for i in range(41))),
    "formula 0": formula(0, 1.8),
    "formula 1": formula(1, 2.0, 1.1, -0.1),
    "formula 2": formula(2, 2.0, 1.1, -0.1, 0.0),
    "formula 3": formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "formula 4": formula(4, 2.2, 0.9, 0.05, 0.5, 0.1, 0.05, 0.0),
}


def profile(curve: bytes, primaries: tuple[tuple[float, ...], ...] | None = SRGB) -> bytes:
    """A version 4 profile of a display, or of grey without primaries."""
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        for letter, xyz in zip(b"rgb", primaries, strict=True):
            tags[bytes([letter]) + b"XYZ"] = b"XYZ " + bytes(4) + fixed(*xyz)
            tags[bytes([letter]) + b"TRC"] = curve
    start = 132 + 12 * len(tags)
    entries, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        entries += name + struct.pack(">II", start + len(body), len(data))
        body += data.ljust(-(-len(data) // 4) * 4, b"\0")
    space = b"GRAY" if primaries is None else b"RGB "
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"lcms", 0x04200000, b"mntr", space, b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + entries + body


def by_little_cms(data: bytes, levels: NDArray[np.uint8], mode: str) -> NDArray[np.uint8]:
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(data)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE,
    )
    return np.asarray(ImageCms.applyTransform(Image.fromarray(levels), transform))


def ours(data: bytes, levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    convert = conversion(data)
    assert convert is not None
    return convert(levels.astype(np.float32) / 255) * 255


@pytest.mark.parametrize("primaries", [SRGB, ADOBE, PROPHOTO], ids=["sRGB", "Adobe", "ProPhoto"])
@pytest.mark.parametrize("curve", CURVES)
def test_colours_are_within_a_level_of_little_cms(
    curve: str, primaries: tuple[tuple[float, ...], ...]
) -> None:
    data = profile(CURVES[curve], primaries)
    np.testing.assert_allclose(ours(data, CUBE), by_little_cms(data, CUBE, "RGB"), atol=1.5)


@pytest.mark.parametrize("curve", CURVES)
def test_greys_are_within_a_level_of_little_cms(curve: str) -> None:
    data = profile(CURVES[curve], None)
    found = ours(data, LEVELS[None, :, None])
    np.testing.assert_allclose(found, by_little_cms(data, LEVELS[None], "L"), atol=1.5)


def test_the_profile_of_srgb_changes_nothing() -> None:
    np.testing.assert_allclose(ours(srgb_profile(), CUBE), CUBE, atol=0.1)


def test_steps_of_16_bits_stay_apart() -> None:
    convert = conversion(profile(CURVES["gamma"], ADOBE))
    assert convert is not None
    ramp = np.linspace(0.5, 0.51, 600, dtype=np.float32)
    steps = np.diff(convert(np.dstack([ramp] * 3)[0][None])[0, :, 1])
    assert steps.min() > 0


# --- Profiles left to Little CMS --------------------------------------------------------------


def without(tag: bytes) -> bytes:
    return profile(CURVES["gamma"]).replace(tag, b"none", 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        profile(CURVES["gamma"])[:200],
        without(b"rXYZ"),
        without(b"gTRC"),
        profile(CURVES["gamma"]).replace(b"wtpt", b"A2B0", 1),  # a table, which has priority
        profile(CURVES["gamma"]).replace(b"XYZ ", b"Lab ", 1),
        profile(CURVES["gamma"]).replace(b"RGB ", b"CMYK", 1),
        profile(formula(9, 1.0)),
        profile(formula(2, 2.0, 0.9, 0.0, 0.1)),  # a light black, which needs compensation
        profile(table(9000, 65535), None),
        profile(formula(1, 2.0, 0.0, 1.0)),
        profile(b"mAB " + bytes(20)),
    ],
)
def test_other_profiles_are_none_of_ours(data: bytes) -> None:
    assert conversion(data) is None


@example(edits=[(388, 128)], curve="formula 4")  # makes the exponent about -32768
@given(
    edits=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=9),
    curve=st.sampled_from(sorted(CURVES)),
)
def test_damage_is_a_conversion_or_none(edits: list[tuple[int, int]], curve: str) -> None:
    data = bytearray(profile(CURVES[curve]))
    for place, value in edits:
        data[place % len(data)] = value
    convert = conversion(bytes(data))
    if convert is not None:
        with np.errstate(all="ignore"):
            found = convert(CUBE.astype(np.float32) / 255)
        assert found.shape == CUBE.shape
        assert 0 <= found.min() <= found.max() <= 1
