"""Turns pictures that are already in memory, as arrays of any common kind, into float32 samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nstbatch.runtime.errors import ImageError

ACCEPTED = (
    "a path, a file opened in binary mode, a PIL image, a Picture, or an array (also an object "
    "with __array__ or __dlpack__) of the shape (H, W, 3), (H, W, 4) or (H, W), of uint8, uint16, "
    "or floats in [0, 1]"
)
"""The kinds of picture that the library takes, for messages."""

ROUNDING = 1e-3
"""A float may lie this far outside [0, 1], and is clipped: a step of float16 at 1 is 0.00098."""

OVERSHOOT = 0.5
"""A float that is written may lie this far outside [0, 1], and is clipped.

Resizing and sharpening overshoot by less; more is a picture of another scale, such as 0 to 255,
that would become white. A guess.
"""

# The unsigned integers that pictures are stored in, by their bytes -> white.
_WHITES = {1: np.float32(255), 2: np.float32(65535)}


class SupportsArray(Protocol):
    """An object that numpy can turn into an array: numpy's, pandas', JAX's, a tensor of PyTorch."""

    def __array__(self) -> Any: ...


class SupportsDLPack(Protocol):
    """An object that shares its memory through DLPack: a tensor of CuPy, PyTorch, TensorFlow."""

    def __dlpack__(self) -> Any: ...


def is_array(image: object) -> bool:
    """True for an object that :func:`samples` can turn into an array."""
    return hasattr(image, "__array__") or hasattr(image, "__dlpack__")


def samples(
    image: object, slack: float = ROUNDING
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the colours (H, W, 3) and the opacity (H, W) or None of an array, all in [0, 1].

    Args:
        image: (H, W, 3); (H, W, 4) with straight opacity; or (H, W) or (H, W, 1) for grey. uint8,
            uint16, or floats.
        slack: Floats may lie this far outside [0, 1], and are clipped.

    Raises:
        ImageError: It is an array of another kind, or cannot become an array.
    """
    array = _array(image)
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    if not array.size or not (grey or (array.ndim == 3 and array.shape[2] in {3, 4})):
        raise ImageError(
            "An array must have the shape (H, W, 3), (H, W, 4) with opacity, or (H, W) for grey, "
            f"and at least one pixel; the shape of this one is {array.shape}.{_way_out(array)}"
        )
    values = _unit(array, slack)
    if grey:
        plane = values.reshape(*array.shape[:2], 1)
        return np.ascontiguousarray(np.broadcast_to(plane, (*array.shape[:2], 3))), None
    if array.shape[2] == 4:
        return np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(values[..., 3])
    return values, None


def opacity(alpha: object, shape: tuple[int, ...], slack: float = ROUNDING) -> NDArray[np.float32]:
    """Return an alpha, (H, W) in [0, 1], for a picture of this shape; see :func:`samples`.

    Raises:
        ImageError: It is of another kind, or of another size.
    """
    array = _array(alpha)
    if array.shape != shape[:2]:
        raise ImageError(f"An alpha of {array.shape} does not fit a picture of {shape}.")
    return _unit(array, slack)


def _array(image: object) -> NDArray[Any]:
    if not is_array(image):
        raise refused(image)
    # Data on a GPU comes out by the last way, if numpy is 2.1 and its owner can copy it.
    ways: list[tuple[str, Callable[[Any], NDArray[Any]]]] = [
        ("__array__", np.asarray),
        ("__dlpack__", np.from_dlpack),
        ("__dlpack__", lambda given: np.from_dlpack(given, device="cpu")),
    ]
    reasons = []
    for method, way in ways:
        if hasattr(image, method):
            try:
                return way(image)
            except Exception as error:  # it is other people's code, which may raise anything
                reasons.append(str(error) or type(error).__name__)
    reason = reasons[0].rstrip(".")
    raise ImageError(f"This {_kind(image)} cannot be read as an array: {reason}.")


def _unit(array: NDArray[Any], slack: float) -> NDArray[np.float32]:
    """Scale an array to [0, 1], contiguous; one that needs no change is returned itself."""
    if array.dtype.kind == "u" and array.dtype.itemsize in _WHITES:
        return np.ascontiguousarray(array, np.float32) / _WHITES[array.dtype.itemsize]
    if array.dtype.kind != "f":
        raise ImageError(f"An array must be of uint8, uint16 or floats, not of {array.dtype}.")
    lowest, highest = float(array.min()), float(array.max())
    if not np.isfinite([lowest, highest]).all():
        raise ImageError("An array must hold finite numbers, and some of this one are not finite.")
    if lowest < -slack or highest > 1 + slack:
        raise ImageError(
            f"An array must hold floats in [0, 1], and this one goes from {lowest:.6g} to "
            f"{highest:.6g}. Scale it first; levels from 0 to 255 can be given as uint8."
        )
    if lowest < 0 or highest > 1:
        array = np.clip(array, 0, 1)
    return np.ascontiguousarray(array, np.float32)


def _way_out(array: NDArray[Any]) -> str:
    """Advice for the layout of most networks, channels first."""
    channels_first = array.ndim == 3 and array.shape[0] in {1, 3, 4}
    return " Bring the channels to the end: array.transpose(1, 2, 0)." if channels_first else ""


def _kind(value: object) -> str:
    """Name the type of a value, with its package unless it is a builtin."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def refused(image: object) -> ImageError:
    """The error for an object that is no picture."""
    advice = ""
    if isinstance(image, bytes | bytearray | memoryview):
        advice = " Wrap the bytes of a file in io.BytesIO."
    elif isinstance(image, list | tuple):
        advice = " Make an array of it with numpy.asarray."
    return ImageError(f"A picture must be {ACCEPTED}, not {_kind(image)}.{advice}")
