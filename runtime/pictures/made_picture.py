"""A finished picture, and the kinds of object that it can become."""

from __future__ import annotations

import sys
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.errors import ImageError

from .images import Picture, encode
from .samples import is_array

Kind = TypeVar("Kind")


class MadePicture:
    """A picture that a system has made; notebooks show it as it is.

    Attributes:
        image: (H, W, 3) float32, RGB in [0, 1].
        alpha: (H, W) opacity; None for an opaque picture.
    """

    image: Array
    alpha: Array | None

    def like(self, given: Kind) -> Kind:
        """Return the picture as an object of the same kind as another picture.

        Args:
            given: A PIL image, a :class:`.images.Picture`, or an array (H, W, C) of numpy, PyTorch
                or any library with the array API standard. Only its kind counts: its type, the
                type of its numbers (integers get 0 to their largest), and its device.

        Returns:
            (H, W, 3); (H, W, 4) if the picture has an opacity. In PIL's words RGB or RGBA.

        Raises:
            ImageError: It is of no such kind. To write a file, use
                :func:`nstbatch.runtime.pictures.images.write`.
        """
        if isinstance(given, Picture):
            return cast(Kind, Picture(self.image, self.alpha))
        if isinstance(given, Image.Image):
            return cast(Kind, Image.fromarray(_whole_numbers(self._samples(), np.uint8)))
        if is_array(given):
            return cast(Kind, _array_like(self._samples(), given))
        raise ImageError(
            f"A picture cannot become a {type(given).__name__}. Give a PIL image, a Picture or an "
            "array as the example, or write it to a file with nstbatch.write."
        )

    def _repr_png_(self) -> bytes:
        """The picture for notebooks (IPython's rich display)."""
        return encode(".png", self.image, self.alpha)

    def _samples(self) -> Array:
        if self.alpha is None:
            return self.image
        return np.concatenate([self.image, self.alpha[..., None]], axis=2)


def _array_like(samples: Array, given: Any) -> object:
    """Return samples as an array of the same library, type of numbers and device as another."""
    name = str(given.dtype).rpartition(".")[2]
    values: NDArray[Any] = samples
    if name in {"uint8", "uint16"}:
        values = _whole_numbers(samples, np.dtype(name))
    if isinstance(given, np.ndarray):
        return values.astype(given.dtype)
    # PyTorch has asarray, but not the method that the standard finds it by.
    own = hasattr(given, "__array_namespace__")
    root = type(given).__module__.partition(".")[0]
    library = given.__array_namespace__() if own else sys.modules[root]
    if not hasattr(library, "asarray"):
        raise ImageError(f"A picture cannot become an array of {root}, which has no asarray.")
    return cast(object, library.asarray(values, dtype=given.dtype, device=given.device))


def _whole_numbers(samples: Array, kind: Any) -> NDArray[Any]:
    white = np.iinfo(kind).max
    return np.rint(np.clip(samples, 0, 1) * white).astype(kind)
