"""Colour profiles made of three curves and a matrix, applied in floating point.

Pillow's colour engine takes 8 bits per sample. Most photos of 16 bits have a profile, nearly always
one of this kind: Adobe RGB, Display P3, ProPhoto RGB. For those the relative colorimetric intent is
a formula (ICC.1:2022, annex F.3): curves to linear light, a matrix to the connection space, and the
inverse of both for sRGB.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
Conversion: TypeAlias = Callable[[Samples], Samples]
"""Samples (H, W, 1 | 3) in a profile's space -> sRGB samples (H, W, 3), all in [0, 1]."""

# Columns: sRGB's red, green and blue as XYZ under D50, in 65536ths, as in Little CMS's profile:
# those of IEC 61966-2-1, adapted from D65 to D50 (ICC.1:2022, annex E).
_SRGB_TO_XYZ = (
    np.array([[28576, 25239, 9375], [14581, 46983, 3972], [912, 6361, 46787]], np.float64) / 65536
)

# In linear light. A profile with a lighter black needs black point compensation, which is left to
# the colour engine; hardly any profile of this kind does. A guess: a fifth of a level of 8 bits.
_BLACK = 1e-4


def conversion(profile: bytes) -> Conversion | None:
    """The conversion from a profile to sRGB; None if the profile is more than curves and a matrix.

    Args:
        profile: The ICC profile; the colour engine must have found it valid.
    """
    try:
        tags = _tags(profile)
        space, connection = profile[16:20], profile[20:24]
        if connection != b"XYZ " or any(name in tags for name in (b"A2B0", b"A2B1", b"D2B1")):
            return None
        names = {b"GRAY": (b"kTRC",), b"RGB ": (b"rTRC", b"gTRC", b"bTRC")}[space]
        curves = [_curve(tags[name]) for name in names]
        if any(curve(np.zeros(1, np.float32))[0] > _BLACK for curve in curves):
            return None
        if space == b"GRAY":
            return _grey(curves[0])
        columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        return _colour(curves, np.linalg.inv(_SRGB_TO_XYZ) @ np.stack(columns, axis=1))
    except (KeyError, ValueError, struct.error):  # a tag is missing, cut short or unknown
        return None


def _tags(profile: bytes) -> Mapping[bytes, bytes]:
    """The data of a profile, by the names of its tags (ICC.1:2022, 7.3)."""
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 100:  # the standard defines 60
        raise ValueError("Too many tags.")
    table = [struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(count)]
    return {name: profile[offset : offset + size] for name, offset, size in table}


def _fixed(data: bytes, count: int, offset: int) -> list[float]:
    """Fixed-point numbers with 16 bits after the point (ICC.1:2022, 4.6)."""
    return [value / 65536 for value in struct.unpack_from(f">{count}i", data, offset)]


def _xyz(data: bytes) -> NDArray[np.float64]:
    return np.array(_fixed(data, 3, 8))


# --- Curves -----------------------------------------------------------------------------------

# With the numbers of a damaged profile, a power may overflow or divide by zero.
_quietly = np.errstate(over="ignore", divide="ignore")

Curve: TypeAlias = Callable[[Samples], Samples]


def _curve(data: bytes) -> Curve:
    """A curve from samples to linear light: a table, a power, or a formula (10.6 and 10.18)."""
    if data[:4] == b"para":
        return _formula(data)
    if data[:4] != b"curv":
        raise ValueError("An unknown kind of curve.")
    (count,) = struct.unpack_from(">I", data, 8)
    if count == 0:
        return lambda values: values
    entries = np.array(struct.unpack_from(f">{count}H", data, 12))
    if count == 1:
        return _power(float(entries[0]) / 256)
    places = np.linspace(0, 1, count)
    return lambda values: np.interp(values, places, entries / 65535).astype(np.float32)


def _power(exponent: float) -> Curve:
    return _quietly(lambda values: values ** np.float32(exponent))


# Number of parameters of each kind of formula, by its code.
_PARAMETERS = (1, 3, 4, 5, 7)


def _formula(data: bytes) -> Curve:
    """The curve ``(a x + b)^g + e`` for x >= d, and ``c x + f`` below."""
    (kind,) = struct.unpack_from(">H", data, 8)
    if kind >= len(_PARAMETERS):
        raise ValueError("An unknown formula.")
    given = _fixed(data, _PARAMETERS[kind], 12)
    exponent, a, b, c, d, e, f = given + [0.0] * (7 - len(given))
    if kind == 0:
        return _power(exponent)
    if a == 0:
        raise ValueError("A formula without a slope.")
    if kind in (1, 2):  # the fourth number is added everywhere; the power starts where it is 0
        c, d, e, f = 0.0, -b / a, c, c

    @_quietly
    def curve(values: Samples) -> Samples:
        upper = np.maximum(a * values + b, 0) ** exponent + e
        return np.where(values >= d, upper, c * values + f).astype(np.float32)

    return curve


# --- Conversions ------------------------------------------------------------------------------


def _grey(curve: Curve) -> Conversion:
    def convert(samples: Samples) -> Samples:
        return np.repeat(_encoded(curve(samples[..., :1])), 3, axis=2)

    return convert


def _colour(curves: list[Curve], matrix: NDArray[np.floating]) -> Conversion:
    def convert(samples: Samples) -> Samples:
        linear = np.stack([curve(samples[..., i]) for i, curve in enumerate(curves)], axis=-1)
        # Clipped, since a formula of a damaged profile may reach infinity.
        return _encoded(np.clip(linear, 0, 1) @ matrix.T.astype(np.float32))

    return convert


def _encoded(linear: Samples) -> Samples:
    """The transfer function of sRGB (IEC 61966-2-1); values outside [0, 1] are clipped."""
    linear = np.clip(linear, 0, 1)
    power = np.float32(1.055) * linear ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(linear <= 0.0031308, np.float32(12.92) * linear, power)
